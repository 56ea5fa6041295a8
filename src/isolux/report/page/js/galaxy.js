// The page of one galaxy, at #galaxy=NAME.

import {h, number, withError} from "./format.js";
import {badge, named, unit} from "./gallery.js";
import {images} from "./pictures.js";
import {profileChart} from "./profile.js";

export class GalaxyPage {
  constructor(host, {galaxies, content, gallery}) {
    Object.assign(this, {host, galaxies, content, gallery, current: null});
    this.places = new Map(galaxies.full.id.map((id, k) => [id, k]));
  }

  /** Show a galaxy by name; whether there is one. */
  open(id) {
    const k = this.places.get(id);
    if (k === undefined) {
      this.host.replaceChildren(this.top(null), h("h2", {tabindex: -1}, "No such galaxy"),
        h("p", {}, `This page has no galaxy named ${id}. It shows ${this.galaxies.shown.length} galaxies one by one.`));
    } else this.host.replaceChildren(...this.parts(k));
    this.current = k ?? null;
    this.host.hidden = false;
    window.scrollTo(0, 0);
    this.host.querySelector("h2").focus({preventScroll: true});
  }

  close() {
    const last = this.current;
    this.host.hidden = true;
    this.host.replaceChildren();
    this.current = null;
    if (last !== null) this.gallery.cards.get(last)?.querySelector("a").focus();
  }

  /** The galaxy before or after the current one, in the order of the gallery. */
  beside(step) {
    const rows = this.gallery.rows, place = rows.indexOf(this.current);
    const next = place < 0 ? rows[0] : rows[place + step];
    return next === undefined ? null : this.galaxies.full.id[next];
  }

  top(k) {
    const link = (id, text, label) => (id === null
      ? h("span", {class: "off"}, text)
      : h("a", {href: `#galaxy=${encodeURIComponent(id)}`, "aria-label": `${label}: ${id}`}, text));
    const steps = k === null ? [] : [[-1, "← previous", "Previous galaxy"], [1, "next →", "Next galaxy"]].map(([step, text, label]) => {
      this.current = k;
      return link(this.beside(step), text, label);
    });
    return h("nav", {"aria-label": "Galaxies"}, h("a", {href: "#gallery"}, "↑ all galaxies"), steps, k === null ? null : this.copier());
  }

  copier() {
    const button = h("button", {type: "button"}, "Copy link");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(location.href);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Copy it from the address bar";
      }
    });
    return button;
  }

  parts(k) {
    const {galaxies, content} = this, get = galaxies.galaxy(k), id = get("id"), picture = galaxies.pictures[k];
    const shown = images(picture, id, true);
    const flags = content.flags.filter((line) => (get("flags") & line.code) !== 0);
    return [
      this.top(k),
      h("h2", {tabindex: -1}, named(id)),
      badge(get, content),
      plain(get, content) ? null : h("p", {class: "message"}, String(get("message") ?? "")),
      flags.length ? h("ul", {class: "flags"}, flags.map((line) => h("li", {}, line.message))) : null,
      h("div", {class: "large"}, shown),
      h("div", {class: "pair"}, picture?.profile ? this.profile(picture.profile, id) : null, this.parameters(get)),
      this.every(get),
    ].filter((part) => part !== null);
  }

  profile(profile, id) {
    return h("section", {}, h("h3", {}, "Surface brightness"),
      profileChart(profile, id, {width: 560, height: 380, axes: true}),
      h("p", {class: "note"}, "Means along ellipses of the model’s shape, above the sky; data and model over the same pixels."));
  }

  parameters(get) {
    const {galaxies} = this, truth = [...galaxies.columns.keys()].some((name) => name.startsWith("truth_"));
    const rows = [...galaxies.columns.values()].filter((column) => galaxies.columns.has(`${column.name}_err`) && get(column.name) !== null);
    const head = h("tr", {}, ["parameter", "value", ...(truth ? ["truth"] : [])].map((text) => h("th", {scope: "col"}, text)));
    const line = (column) => h("tr", {},
      h("th", {scope: "row", title: column.meaning}, column.label),
      h("td", {}, withError(get(column.name), get(`${column.name}_err`)), unit(column), marked(get(`${column.name}_mark`))),
      truth ? h("td", {}, galaxies.columns.has(`truth_${column.name}`) ? number(get(`truth_${column.name}`), 5) : "") : null);
    return h("section", {}, h("h3", {}, "Parameters"), h("div", {class: "wide", tabindex: 0, role: "region", "aria-label": "Parameters"},
      h("table", {}, h("thead", {}, head), h("tbody", {}, rows.slice(0, 40).map(line)))));
  }

  every(get) {
    const rows = [...this.galaxies.columns.values()].map((column) => {
      const value = get(column.name);
      const text = typeof value === "string" ? value : number(value, 8);
      return h("tr", {}, h("th", {scope: "row"}, h("code", {}, column.name)), h("td", {}, text), h("td", {}, column.unit), h("td", {}, column.meaning));
    });
    const head = h("tr", {}, ["column", "value", "unit", "meaning"].map((text) => h("th", {scope: "col"}, text)));
    return h("section", {}, h("h3", {}, "All columns"), h("div", {class: "wide", tabindex: 0, role: "region", "aria-label": "All columns"},
      h("table", {class: "every"}, h("thead", {}, head), h("tbody", {}, rows))));
  }
}

/** Whether the message says no more than the name of the status. */
function plain(get, content) {
  return content.statuses.find((line) => line.code === get("status"))?.name === get("message");
}

function marked(mark) {
  return mark && mark !== "free" ? h("small", {}, ` ${mark}`) : "";
}
