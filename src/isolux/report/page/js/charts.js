// Every chart of the page, put into the place that the template keeps for it.

import {count, h, number, withError} from "./format.js";
import {Frame} from "./frame.js";
import {distribution, histogram} from "./histogram.js";
import {ranges, Scale} from "./scale.js";
import {dots, scatter, series} from "./scatter.js";
import {skyMap} from "./sky.js";

const place = (id) => document.querySelector(`#${id}`);

/** Take a section away that has nothing to show. */
function without(id) {
  place(id)?.remove();
  document.querySelector(`#contents a[href="#${id}"]`)?.closest("li").remove();
}

export function drawCharts(page) {
  const {galaxies, content} = page;
  const good = new Set(content.statuses.filter((line) => line.fitted).map((line) => line.code));
  page.fitted = Uint8Array.from({length: galaxies.count}, (_, row) => (good.has(galaxies.point(row)("status")) ? 1 : 0));
  page.everything = new Uint8Array(galaxies.count).fill(1);
  chi2(page);
  if (!content.sky) without("sky");
  else sky(page);
  if (!content.main.length) ["distributions", "correlations", "errors"].forEach(without);
  else {
    distributions(page);
    explorer(page);
    matrix(page);
    errors(page);
  }
  if (content.compared.length) truth(page);
  else without("truth");
  if (content.speed) speed(page);
  else without("speed");
  if (!galaxies.shown.length) without("gallery");
}

function chi2({content, galaxies, state, fitted}) {
  const host = place("chi2-chart");
  if (!content.chi2 || !content.chi2.total) return void host.closest("figure").remove();
  const values = galaxies.values((get) => get("reduced_chi2"));
  const {expected, below, above} = content.chi2;
  histogram(host, content.chi2, {
    label: `Reduced chi-square of ${content.chi2.total} galaxies, median ${number(content.chi2.quantiles[1])}`,
    xLabel: "reduced χ²", values, state, fitted, line: expected, height: 210, marks: expected ? [] : [1],
    brushed: brush(state, "reduced_chi2", "reduced χ²"),
  });
  const line = expected ? "The line is what right models and right σ would give, for the same degrees of freedom. " : "The line is at 1. ";
  place("chi2-note").textContent = line + (below + above ? `${count(below + above)} beyond the ends of the chart.` : "");
}

function brush(state, name, label) {
  return (ends) => state.set({[`range ${name}`]: ends && {
    label: `${label} ${number(ends[0], 3)} … ${number(ends[1], 3)}`,
    test: (get) => get(name) !== null && get(name) >= ends[0] && get(name) <= ends[1], columns: new Set([name]),
  }});
}

function sky(page) {
  const found = skyMap(place("sky-chart"), page);
  if (!found) return without("sky");
  const dense = page.galaxies.count > 4000 ? " Colour is the number of galaxies a cell." : "";
  place("sky-note").textContent = (found.wide ? "Aitoff projection, east to the left." : "Tangent plane, east to the left.") + dense;
}

function distributions(page) {
  const {content, galaxies} = page;
  const drawn = content.main.filter((name) => content.histograms[name]?.total);
  place("distribution-charts").append(...drawn.map((name) => distribution(galaxies.columns.get(name), content.histograms[name], page)));
}

function isLog(content, name) {
  return content.histograms[name]?.log ?? false;
}

/** One scatter of any two columns. */
function explorer(page) {
  const {content, galaxies} = page, host = place("explorer-chart");
  const columns = galaxies.numeric(), names = columns.map((column) => column.name);
  const choice = {x: content.main[0], y: content.main[1] ?? content.main[0]};
  const draw = () => {
    const inner = h("div");
    host.replaceChildren(inner);
    page.state.set({"pair x": null, "pair y": null});
    const [x, y] = ["x", "y"].map((axis) => {
      const log = content.histograms[choice[axis]] ? isLog(content, choice[axis]) : ranges(galaxies.values((get) => get(choice[axis])));
      return series(galaxies, choice[axis], {log});
    });
    scatter(inner, x, y, {...page, use: page.everything, key: "pair", aspect: host.clientWidth < 500 ? 0.95 : 0.62});
  };
  for (const axis of ["x", "y"]) {
    const select = place(`explorer-${axis}`);
    select.append(...names.map((name) => h("option", {value: name, selected: name === choice[axis]}, galaxies.columns.get(name).label)));
    select.addEventListener("change", () => {
      choice[axis] = select.value;
      draw();
    });
  }
  draw();
}

/** Each main parameter against each other. */
function matrix(page) {
  const {content, galaxies} = page, host = place("matrix"), names = content.main.slice(0, 5);
  if (names.length < 3) return void host.closest("figure").remove();
  const all = names.map((name) => series(galaxies, name, {log: isLog(content, name)}));
  host.style.setProperty("--columns", names.length);
  names.forEach((_, row) => {
    names.forEach((name, column) => {
      const cell = h("div", {class: column > row ? "empty" : "cell"});
      host.append(cell);
      if (column > row) return;
      if (column === row) return void cell.append(h("span", {class: "diagonal"}, all[row].plain));
      scatter(cell, all[column], all[row], {...page, use: page.fitted, key: `matrix ${row} ${column}`, small: true, aspect: 0.8});
    });
  });
}

/** Error of each main parameter against magnitude. */
function errors(page) {
  const {content, galaxies} = page, host = place("error-charts"), across = content.magnitude;
  const names = content.main.filter((name) => galaxies.has(`${name}_err`));
  if (!across || !names.length) return without("errors");
  const x = series(galaxies, across);
  for (const name of names) {
    const cell = h("div"), y = series(galaxies, `${name}_err`, {log: true, label: `error of ${galaxies.columns.get(name).label}`});
    host.append(h("figure", {class: "card"}, h("figcaption", {}, y.label), cell));
    scatter(cell, x, {...y, label: ""}, {...page, use: page.fitted, key: `error ${name}`, aspect: 0.66, margin: {left: 52, right: 8, top: 8, bottom: 36}});
  }
}

/** Difference of a column from its truth for one galaxy, as in the table. */
function away(pair) {
  return (get) => {
    const [value, truth] = [get(pair.column), get(pair.truth)];
    if (value === null || truth === null) return null;
    let off = value - truth;
    if (pair.period) off = ((((off + pair.period / 2) % pair.period) + pair.period) % pair.period) - pair.period / 2;
    return pair.relative ? (100 * off) / truth : off;
  };
}

function truth(page) {
  const {content, galaxies} = page;
  const named = (pair) => galaxies.columns.get(pair.column);
  const unitOf = (pair) => (pair.relative ? "%" : named(pair).unit);
  const cells = (pair) => [
    h("th", {scope: "row"}, named(pair).label), unitOf(pair), count(pair.n),
    withError(pair.offset, pair.offset_error), number(pair.scatter, 3), number(pair.pull_offset, 2), number(pair.pull_width, 3), `${number(pair.outliers, 2)} %`,
  ].map((cell) => (cell instanceof Node ? cell : h("td", {}, cell)));
  place("truth-rows").append(...content.compared.map((pair) => h("tr", {}, cells(pair))));
  const wanted = content.compared.filter((pair) => galaxies.has(pair.truth) && pair.n).slice(0, 9);
  const across = content.magnitude;
  for (const pair of wanted) {
    const label = named(pair).label, cells = [h("div"), across ? h("div") : null].filter(Boolean);
    place("truth-charts").append(h("figure", {class: "card"}, h("figcaption", {}, `${label}: fit less truth`), cells));
    pulls(cells[0], pair, label, page);
    if (across) residual(cells[1], pair, across, `[${unitOf(pair) || "1"}]`, page);
  }
}

function pulls(host, pair, label, {state, galaxies, fitted}) {
  const {pulls: content, column, error, relative} = pair, off = away({...pair, relative: false});
  const pull = (get) => (off(get) === null || !(get(error) > 0) ? null : off(get) / get(error));
  const step = (content.high - content.low) / content.counts.length;
  const fine = Array.from({length: 121}, (_, k) => content.low + ((k + 0.5) / 121) * (content.high - content.low));
  const normal = fine.map((at) => (pair.n * step * Math.exp(-0.5 * at ** 2)) / Math.sqrt(2 * Math.PI));
  histogram(host, content, {
    label: `Fit less truth over error of ${label}: width ${number(pair.pull_width, 3)}`, xLabel: "(fit − truth) / error",
    values: galaxies.values(pull), state, fitted, line: normal, height: 140,
  });
}

function residual(host, pair, across, unit, page) {
  const {galaxies, content} = page, of = away(pair), values = galaxies.values(of);
  const reach = Math.max(8 * (pair.scatter || 0), 1e-9);
  const y = {label: unit, plain: `fit less truth of ${galaxies.columns.get(pair.column).label}`, of, columns: new Set([pair.column, pair.truth]), values, scale: new Scale(-reach, reach)};
  const x = series(galaxies, content.columns.some((column) => column.name === `truth_${across}`) && galaxies.has(`truth_${across}`) ? `truth_${across}` : across);
  scatter(host, x, y, {
    ...page, use: page.fitted, key: `truth ${pair.column}`, height: 190, margin: {left: 52, right: 8, top: 8, bottom: 36},
    over: (ctx, frame) => {
      ctx.strokeStyle = frame.colours.warm;
      ctx.beginPath();
      ctx.moveTo(frame.box.left, frame.py(0));
      ctx.lineTo(frame.box.left + frame.box.width, frame.py(0));
      ctx.stroke();
    },
  });
}

/** Galaxies done against time, and the time of each part. */
function speed({content}) {
  const {elapsed, done, each, every} = content.speed, most = Math.max(...elapsed, 1e-9);
  const [size, unit] = most > 7200 ? [3600, "hours"] : most > 240 ? [60, "minutes"] : [1, "seconds"];
  const times = elapsed.map((value) => value / size), x = new Scale(0, (most / size) * 1.03);
  const paintLine = (ctx, frame) => {
    ctx.strokeStyle = frame.colours.pick;
    ctx.lineWidth = 1.8;
    ctx.beginPath();
    ctx.moveTo(frame.px(0), frame.py(0));
    times.forEach((time, k) => ctx.lineTo(frame.px(time), frame.py(done[k])));
    ctx.stroke();
  };
  const xLabel = `${unit} since the first part was begun`;
  new Frame(place("progress-chart"), {label: `Galaxies done against time: ${done[done.length - 1]} after ${number(times[times.length - 1], 3)} ${unit}`, x, y: new Scale(0, done[done.length - 1] * 1.06), xLabel, height: 220, margin: {left: 60, right: 10, top: 8, bottom: 38}, paint: paintLine});
  const y = Scale.of(each, {cut: 0});
  y.low = 0;
  const paintDots = (ctx, frame) => dots(ctx, frame, times, each, () => true, frame.colours.pick, Math.min(Math.max(240 / times.length, 3), 7), 0.7);
  new Frame(place("each-chart"), {label: `Milliseconds a galaxy of each part, from ${number(Math.min(...each), 3)} to ${number(Math.max(...each), 3)}`, x, y, xLabel, height: 220, margin: {left: 60, right: 10, top: 8, bottom: 38}, paint: paintDots});
  if (every > 1) place("speed-note").textContent = `Every ${every}th part is drawn.`;
}
