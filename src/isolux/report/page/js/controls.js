// What chooses galaxies: the filter's text, lists of statuses and flags, and the conditions that hold now.

import {count, h} from "./format.js";
import {FilterError, parseFilter} from "./filter.js";

export class Controls {
  constructor({state, galaxies, content}) {
    Object.assign(this, {state, galaxies, content});
    this.known = {
      columns: galaxies.columns,
      aliases: content.aliases,
      statuses: Object.fromEntries(content.statuses.map((line) => [line.name, line.code])),
      flags: Object.fromEntries(content.flags.map((line) => [line.name, line.code])),
    };
    this.input = document.querySelector("#filter");
    this.error = document.querySelector("#filter-error");
    this.chips = document.querySelector("#chips");
    this.told = document.querySelector("#chosen");
    document.querySelector("#filter-form").addEventListener("submit", (event) => event.preventDefault());
    this.input.addEventListener("input", () => {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.read(), 200);
    });
    this.input.addEventListener("change", () => this.read());
    this.list("#status", "status", content.statuses);
    this.list("#flag", "flag", content.flags);
    for (const [kind, lines] of [["status", content.statuses], ["flag", content.flags]]) {
      for (const line of lines) this.row(kind, line);
    }
    document.querySelector("#clear").addEventListener("click", () => this.clear());
    state.on("filter", () => this.show());
    this.show();
  }

  /** Take the text of the filter in; what is wrong with it is said, and the last one that was right stays. */
  read() {
    const text = this.input.value.trim();
    try {
      const found = text ? parseFilter(text, this.known) : null;
      this.say("");
      if (text !== this.last) this.state.set({text: found && {label: text, ...found}});
      this.last = text;
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      this.say(`${error.message[0].toUpperCase()}${error.message.slice(1)} (at character ${error.at + 1}).`);
    }
  }

  say(text) {
    this.error.textContent = text;
    this.input.setAttribute("aria-invalid", String(Boolean(text)));
  }

  list(selector, kind, lines) {
    const select = document.querySelector(selector);
    select.append(...lines.map((line) => h("option", {value: line.code}, `${line.name.replaceAll("_", " ")} (${count(line.count)})`)));
    select.addEventListener("change", () => this.choose(kind, lines.find((line) => String(line.code) === select.value) ?? null));
    this.state.on("filter", () => {
      if (!this.state.conditions.has(kind)) select.value = "";
    });
  }

  choose(kind, line) {
    const name = kind === "status" ? "status" : "flags";
    const test = kind === "status" ? (get) => get("status") === line.code : (get) => (get("flags") & line.code) !== 0;
    const label = line && line.name.replaceAll("_", " ");
    document.querySelector(`#${kind}`).value = line ? String(line.code) : "";
    this.state.set({[kind]: line && {label, test, columns: new Set([name]), code: line.code}});
  }

  /** A line of a table becomes a button. */
  row(kind, line) {
    const button = document.querySelector(`#${kind}-table button[data-code="${line.code}"]`);
    if (!button) return;
    button.addEventListener("click", () => {
      const on = this.state.conditions.get(kind)?.code === line.code;
      this.choose(kind, on ? null : line);
    });
    this.state.on("filter", () => button.setAttribute("aria-pressed", String(this.state.conditions.get(kind)?.code === line.code)));
  }

  clear() {
    this.input.value = "";
    this.last = "";
    this.say("");
    this.state.clear();
    this.input.focus();
  }

  show() {
    const {state, galaxies} = this, pairs = [...state.conditions];
    if (!state.conditions.has("text") && this.last) {
      this.input.value = "";
      this.last = "";
    }
    this.chips.replaceChildren(...pairs.map(([key, condition]) => h("li", {}, h("button", {
      type: "button", "aria-label": `Remove: ${condition.label}`, on: {click: () => state.set({[key]: null})},
    }, condition.label, h("span", {"aria-hidden": "true"}, " ×")))));
    document.querySelector("#clear").hidden = !state.active;
    const shown = state.shown.reduce((a, b) => a + b, 0), beyond = state.beyond();
    const sampled = this.content.total > galaxies.count ? " sampled" : "";
    this.told.textContent = state.active
      ? `${count(state.chosen)} of ${count(galaxies.count)}${sampled} ${this.content.noun}, ${count(shown)} of ${count(state.shown.length)} in the gallery`
        + (beyond.length ? ` (charts do not know ${beyond.join(", ")})` : "")
      : "";
  }
}
