// Cards of galaxies: sorted, filtered with everything else, made as they come into view.

import {count, h, number, short, withError} from "./format.js";
import {images} from "./pictures.js";
import {profileChart} from "./profile.js";

const AT_ONCE = 24;

export class Gallery {
  constructor(host, {state, galaxies, content}) {
    Object.assign(this, {host, state, galaxies, content, sortBy: "", down: false, cards: new Map(), made: 0});
    this.list = host.querySelector("#cards");
    this.told = host.querySelector("#gallery-count");
    this.more = h("button", {type: "button", class: "more", on: {click: () => this.add(true)}}, `Show more ${content.noun}`);
    this.list.after(this.more);
    this.controls();
    this.watcher = new IntersectionObserver((seen) => {
      if (seen.some((entry) => entry.isIntersecting)) this.add();
    }, {rootMargin: "600px"});
    this.watcher.observe(this.more);
    state.on("filter", () => this.arrange());
    state.on("hover", (point) => this.mark(point));
    this.arrange();
  }

  controls() {
    const {content, galaxies} = this;
    const option = (column) => h("option", {value: column.name}, column.label);
    const all = [...galaxies.columns.values()];
    const main = all.filter((column) => [...content.main, "reduced_chi2", "status", "id"].includes(column.name));
    const select = this.host.querySelector("#sort");
    select.append(h("option", {value: ""}, "the catalogue's order"),
      h("optgroup", {label: "Main columns"}, main.map(option)), h("optgroup", {label: "All columns"}, all.map(option)));
    select.addEventListener("change", () => this.sort(select.value, this.down));
    const turn = this.host.querySelector("#direction");
    turn.addEventListener("click", () => {
      this.sort(this.sortBy, !this.down);
      turn.setAttribute("aria-pressed", String(this.down));
      turn.textContent = this.down ? "descending ↓" : "ascending ↑";
    });
  }

  sort(name, down) {
    Object.assign(this, {sortBy: name, down});
    this.arrange();
  }

  /** Numbers of the galaxies to be shown, in order; those without a value come last. */
  order() {
    const {state, galaxies, sortBy} = this;
    const rows = galaxies.shown.map((_, k) => k).filter((k) => state.shown[k]);
    const key = sortBy ? galaxies.full[sortBy] : galaxies.order;
    const empty = (value) => value === null || value === "";
    const sign = this.down ? -1 : 1;
    return rows.sort((a, b) => {
      const [x, y] = [key[a], key[b]];
      if (empty(x) || empty(y)) return empty(x) - empty(y) || a - b;
      return (typeof x === "string" ? x.localeCompare(y, "en", {numeric: true}) : x - y) * sign || a - b;
    });
  }

  arrange() {
    this.rows = this.order();
    this.made = 0;
    this.list.replaceChildren();
    this.add();
    const total = this.galaxies.shown.length;
    const shown = this.rows.length === total ? `${count(total)} ${this.content.noun}` : `${count(this.rows.length)} of ${count(total)} ${this.content.noun}`;
    this.told.textContent = this.rows.length ? shown : `None of the ${total} in the gallery meets the filter.`;
  }

  add(focus = false) {
    const next = this.rows.slice(this.made, this.made + AT_ONCE);
    const cards = next.map((k) => this.card(k));
    this.list.append(...cards);
    this.made += next.length;
    this.more.hidden = this.made >= this.rows.length;
    if (focus && cards.length) cards[0].querySelector("a").focus();
  }

  card(k) {
    if (this.cards.has(k)) return this.cards.get(k);
    const {galaxies, state} = this, get = galaxies.galaxy(k), id = get("id"), picture = galaxies.pictures[k];
    const numbers = this.content.main.slice(0, 4).map((name) => {
      const column = galaxies.columns.get(name);
      return h("div", {}, h("dt", {}, column.label), h("dd", {}, withError(get(name), get(`${name}_err`)), unit(column)));
    });
    const chi2 = get("reduced_chi2");
    const end = h("div", {}, h("dt", {}, "reduced χ²"), h("dd", {}, chi2 === null || chi2 > 1e4 ? number(chi2, 3) : chi2.toFixed(3)));
    const enter = () => state.hover(galaxies.shown[k]);
    const card = h("li", {class: "galaxy", on: {pointerenter: enter, pointerleave: () => state.hover(-1), focusin: enter}},
      h("h3", {}, h("a", {href: `#galaxy=${encodeURIComponent(id)}`, title: id}, named(id, 34))),
      badge(get, this.content),
      h("div", {class: "images"}, images(picture, id)),
      picture?.profile ? profileChart(picture.profile, id, {width: 300, height: 92, axes: false}) : null,
      chi2 === null && !picture ? null : h("dl", {}, numbers, end),
      fitted(get, this.content) ? null : h("p", {class: "none"}, short(String(get("message") ?? ""), 140)));
    this.cards.set(k, card);
    return card;
  }

  mark(point) {
    const k = this.galaxies.place.get(point);
    if (this.marked) this.marked.classList.remove("pointed");
    this.marked = this.cards.get(k) ?? null;
    if (this.marked) this.marked.classList.add("pointed");
  }
}

/** A name as it is shown: cut where it is long, and never empty. */
export function named(id, most = 4000) {
  return id.trim() ? short(id, most) : "(no name)";
}

export function unit(column) {
  if (!column.unit) return "";
  return column.unit === "°" ? "°" : ` ${column.unit}`;
}

/** Whether a galaxy has a fit. */
export function fitted(get, content) {
  return content.statuses.find((line) => line.code === get("status"))?.fitted ?? false;
}

/** How the fit ended, and how many remarks there are. */
export function badge(get, content) {
  const status = content.statuses.find((line) => line.code === get("status"));
  const flags = content.flags.filter((line) => (get("flags") & line.code) !== 0);
  const marks = flags.length ? ` · ${flags.length} remark${flags.length > 1 ? "s" : ""}` : "";
  const kind = status?.name === "converged" ? "good" : "bad";
  const title = flags.map((line) => line.message).join("; ");
  return h("p", {class: `badge ${kind}`, title: title || null}, (status?.name ?? "?").replaceAll("_", " "), marks);
}
