// Points of two series: all of them pale, those that are chosen in colour, the one under the pointer with a ring.

import {number} from "./format.js";
import {Frame} from "./frame.js";
import {Scale} from "./scale.js";
import {between} from "./state.js";

const SMALL = {left: 8, right: 4, top: 4, bottom: 8};

/**
 * @param x, y series: {label, of(get), columns, values, scale}
 * @param options {state, galaxies, use: mask of the points to draw, key, name, small, aspect, height, under(ctx, frame), over(ctx, frame)}
 */
export function scatter(host, x, y, options) {
  const {state, galaxies, use, key = null, small = false} = options;
  const paint = (ctx, frame) => {
    options.under?.(ctx, frame);
    const size = dotSize(galaxies.count, frame.box);
    if (state.active) {
      dots(ctx, frame, x.values, y.values, (row) => use[row] && !state.mask[row], frame.colours.line, size, 0.7);
      dots(ctx, frame, x.values, y.values, (row) => use[row] && state.mask[row], frame.colours.pick, size, 0.75);
    } else {
      dots(ctx, frame, x.values, y.values, (row) => use[row], frame.colours.dots, size, alpha(galaxies.count, frame.box));
    }
    options.over?.(ctx, frame);
    ring(ctx, frame, x.values[state.hovered], y.values[state.hovered]);
  };
  const brushed = key && ((box) => state.set(chosen(key, x, y, box)));
  const frame = new Frame(host, {
    label: `${y.label} against ${x.label} of ${galaxies.count} galaxies`,
    x: x.scale, y: y.scale, xLabel: small ? null : x.label, yLabel: small ? null : y.label,
    aspect: options.aspect ?? 0.75, height: options.height, margin: small ? SMALL : options.margin,
    noXNumbers: small, noYNumbers: small, ticks: small ? [3, 3] : undefined, bare: options.bare, paint, brushed,
    pointed: (px, py) => state.hover(px === null ? -1 : under(frame, x.values, y.values, use, px, py)),
    clicked: () => opened(state, galaxies),
  });
  if (key) {
    state.on("filter", () => {
      if (!state.conditions.has(`${key} x`)) frame.brush = null;
    });
  }
  state.on("filter", () => frame.draw());
  state.on("hover", () => frame.draw());
  return frame;
}

/** Conditions that a brush sets: one for each axis. */
function chosen(key, x, y, box) {
  if (!box) return {[`${key} x`]: null, [`${key} y`]: null};
  const condition = (series, low, high) =>
    between(`${series.plain ?? series.label} ${number(low, 3)} … ${number(high, 3)}`, series.of, series.columns, low, high);
  return {[`${key} x`]: condition(x, box[0], box[1]), [`${key} y`]: condition(y, box[2], box[3])};
}

/** Open the page of the galaxy under the pointer, where it has one. */
export function opened(state, galaxies) {
  const k = galaxies.place.get(state.hovered);
  if (k !== undefined) location.hash = `galaxy=${encodeURIComponent(galaxies.full.id[k])}`;
}

/** A series of a column. */
export function series(galaxies, name, {log, label, unit} = {}) {
  const column = galaxies.columns.get(name), of = (get) => get(name), values = galaxies.values(of);
  return {
    label: (label ?? column.label) + ((unit ?? column.unit) ? ` [${unit ?? column.unit}]` : ""),
    plain: label ?? column.label, of, columns: new Set([name]), values, scale: Scale.of(values, {log}),
  };
}

export function dots(ctx, frame, xs, ys, wanted, colour, size, opacity) {
  ctx.fillStyle = colour;
  ctx.globalAlpha = opacity;
  const half = size / 2, round = size > 3.2 || xs.length < 1500;
  for (let row = 0; row < xs.length; row++) {
    if (!wanted(row)) continue;
    const px = frame.px(xs[row]), py = frame.py(ys[row]);
    if (!(px === px && py === py)) continue;
    if (round) {
      ctx.beginPath();
      ctx.arc(px, py, half, 0, 7);
      ctx.fill();
    } else ctx.fillRect(px - half, py - half, size, size);
  }
  ctx.globalAlpha = 1;
}

export function ring(ctx, frame, x, y) {
  const [px, py] = [frame.px(x), frame.py(y)];
  if (!(px === px && py === py)) return;
  for (const [width, colour] of [[4.5, frame.colours.paper], [2.2, frame.colours.warm]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.beginPath();
    ctx.arc(px, py, 6, 0, 7);
    ctx.stroke();
  }
}

/** The nearest point within a few pixels, -1 where there is none. */
export function under(frame, xs, ys, use, px, py) {
  let best = 100, found = -1;
  for (let row = 0; row < xs.length; row++) {
    if (!use[row]) continue;
    const apart = (frame.px(xs[row]) - px) ** 2 + (frame.py(ys[row]) - py) ** 2;
    if (apart < best) [best, found] = [apart, row];
  }
  return found;
}

export function dotSize(count, box) {
  const room = Math.sqrt((box.width * box.height) / Math.max(count, 1));
  return Math.min(Math.max(room * 0.28, 1.3), Math.min(5, box.width / 30));
}

function alpha(count, box) {
  return Math.min(Math.max(((box.width * box.height) / Math.max(count, 1)) * 0.035, 0.16), 0.8);
}
