// The page begins here: data in, charts and gallery drawn, addresses and keys heard.

import {Controls} from "./controls.js";
import {drawCharts} from "./charts.js";
import {short} from "./format.js";
import {redrawAll} from "./frame.js";
import {GalaxyPage} from "./galaxy.js";
import {Gallery} from "./gallery.js";
import {State} from "./state.js";
import {Galaxies} from "./table.js";

const content = JSON.parse(document.querySelector("#data").textContent);
for (const line of content.statuses) line.fitted = ["converged", "step_limit", "stalled"].includes(line.name);
const galaxies = new Galaxies(content);
const state = new State(galaxies);
const overview = document.querySelector("#overview");
const page = {content, galaxies, state};
const title = document.title;

new Controls(page);
page.gallery = galaxies.shown.length ? new Gallery(document.querySelector("#gallery"), page) : null;
drawCharts(page);
const galaxyPage = page.gallery && new GalaxyPage(document.querySelector("#galaxy"), page);
let scrolled = 0;

/** Show what the address says: a galaxy, or the whole. */
function follow() {
  const wanted = location.hash.startsWith("#galaxy=") ? decoded(location.hash.slice(8)) : null;
  if (wanted !== null && galaxyPage) {
    if (!overview.hidden) scrolled = window.scrollY;
    overview.hidden = true;
    galaxyPage.open(wanted);
    document.title = `${short(wanted)} – ${title}`;
    return;
  }
  if (!overview.hidden) return;
  overview.hidden = false;
  document.title = title;
  redrawAll();
  window.scrollTo(0, scrolled);
  galaxyPage.close();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

window.addEventListener("hashchange", follow);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [role=region]");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !typing && overview.hidden === false) {
    event.preventDefault();
    document.querySelector("#filter").focus();
  }
  if (!overview.hidden) return;
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (event.key === "Escape") location.hash = "gallery";
  else if (step && !typing) {
    const id = galaxyPage.beside(step);
    if (id !== null) location.hash = `galaxy=${encodeURIComponent(id)}`;
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redrawAll());
matchMedia("print").addEventListener("change", () => redrawAll(true));
follow();
document.documentElement.dataset.ready = "yes";
