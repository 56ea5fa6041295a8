// Histograms over all galaxies in grey; in colour the share of those points that are chosen.

import {h, labelled, number} from "./format.js";
import {Frame} from "./frame.js";
import {Scale} from "./scale.js";
import {between} from "./state.js";

const SHORT = {left: 10, right: 10, top: 8, bottom: 36};

/** How many points of each bin there are, and are chosen. */
function binned(values, mask, histogram) {
  const bins = histogram.counts.length, all = new Float64Array(bins), chosen = new Float64Array(bins);
  const span = histogram.high - histogram.low;
  for (let row = 0; row < values.length; row++) {
    const t = (histogram.log ? Math.log10(values[row]) : values[row]) - histogram.low;
    const bin = Math.floor((t / span) * bins);
    if (!(bin >= 0 && bin < bins)) continue;
    all[bin] += 1;
    chosen[bin] += mask[row];
  }
  return {all, chosen};
}

/** Bars of a histogram; `line` is what is expected, and `fitted` says which points count. */
export function histogram(host, content, {label, xLabel, values, state, fitted, brushed, line = null, height = 150, marks = []}) {
  const x = new Scale(content.low, content.high, {log: content.log});
  const top = Math.max(...content.counts, ...(line ?? [0]), 1) * 1.06;
  const paint = (ctx, frame) => {
    const {box} = frame, bins = content.counts.length, wide = box.width / bins, bottom = box.top + box.height;
    const mask = values && state.active ? fitted.map((ok, row) => ok & state.mask[row]) : null;
    const found = mask && binned(values, mask, content);
    content.counts.forEach((count, bin) => {
      const tall = (count / top) * box.height;
      ctx.fillStyle = found ? frame.colours.line : frame.colours.dots;
      ctx.fillRect(box.left + bin * wide, bottom - tall, Math.max(wide - 0.6, 0.5), tall);
      if (!found || !found.all[bin]) return;
      const part = (tall * found.chosen[bin]) / found.all[bin];
      ctx.fillStyle = frame.colours.pick;
      ctx.fillRect(box.left + bin * wide, bottom - part, Math.max(wide - 0.6, 0.5), part);
    });
    for (const mark of marks) stroke(ctx, frame, [[mark, 0], [mark, top]], top, [2, 3]);
    if (line) curve(ctx, frame, line, top);
  };
  const frame = new Frame(host, {label, x, y: new Scale(0, top), xLabel, height, margin: SHORT, noYTicks: true, alongX: true, paint, brushed});
  state.on("filter", () => frame.draw());
  return frame;
}

function curve(ctx, frame, line, top) {
  const {x} = frame.options, step = 1 / line.length;
  stroke(ctx, frame, line.map((value, bin) => [x.from((bin + 0.5) * step), value]), top, []);
}

function stroke(ctx, frame, points, top, dash) {
  ctx.strokeStyle = frame.colours.warm;
  ctx.lineWidth = 1.6;
  ctx.setLineDash(dash);
  ctx.beginPath();
  for (const [value, count] of points) ctx.lineTo(frame.px(value), frame.box.top + frame.box.height * (1 - count / top));
  ctx.stroke();
  ctx.setLineDash([]);
}

/** A distribution with two sliders: a card of the section of parameters. */
export function distribution(column, content, {state, galaxies, fitted}) {
  const key = `range ${column.name}`, of = (get) => get(column.name);
  const x = new Scale(content.low, content.high, {log: content.log}), host = h("div");
  const [first, last] = ["from", "to"].map((which, k) => h("input", {
    type: "range", min: 0, max: 1000, value: 1000 * k, "aria-label": `${column.label}: ${which}`, on: {input: () => slid()},
  }));
  const told = h("output");
  const values = galaxies.values(of);
  const frame = histogram(host, content, {
    label: `Distribution of ${column.label} over ${content.total} galaxies, median ${number(content.quantiles[1])}`,
    xLabel: labelled(column), values, state, fitted, brushed: (ends) => choose(ends),
  });

  function choose(ends) {
    frame.brush = ends;
    const named = ends && `${column.label} ${number(ends[0], 3)} … ${number(ends[1], 3)}`;
    state.set({[key]: ends && between(named, of, new Set([column.name]), ends[0], ends[1])});
  }

  function slid() {
    const [a, b] = [Number(first.value), Number(last.value)].sort((p, q) => p - q);
    const ends = [a === 0 ? -Infinity : x.from(a / 1000), b === 1000 ? Infinity : x.from(b / 1000)];
    const inside = [Math.max(ends[0], x.from(0)), Math.min(ends[1], x.from(1)), null, null];
    choose(a === 0 && b === 1000 ? null : inside);
  }

  state.on("filter", () => {
    if (!state.conditions.has(key)) frame.brush = null;
    const ends = frame.brush ?? [x.from(0), x.from(1)];
    first.value = Math.round(1000 * x.to(ends[0]));
    last.value = Math.round(1000 * x.to(ends[1]));
    told.textContent = frame.brush ? `${number(ends[0], 3)} … ${number(ends[1], 3)}` : "";
    for (const slider of [first, last]) slider.setAttribute("aria-valuetext", number(x.from(slider.value / 1000), 3));
  });
  const [low, middle, high] = content.quantiles;
  const numbers = h("p", {class: "numbers"}, h("b", {}, number(middle)), ` median, 68 % within ${number(low)} … ${number(high)} `, told);
  const beyond = content.below + content.above;
  const more = beyond ? h("p", {class: "numbers"}, `${beyond} beyond the ends of the chart`) : null;
  return h("figure", {class: "card"}, h("figcaption", {}, labelled(column)), host, h("div", {class: "sliders"}, first, last), numbers, more);
}
