// Galaxies on the sky: a tangent plane around a patch, Aitoff's whole sky where they are spread over it. East is left.

import {number, s, ticks} from "./format.js";
import {Frame} from "./frame.js";
import {Scale} from "./scale.js";
import {dots, dotSize, opened, ring, under} from "./scatter.js";
import {between} from "./state.js";

const RAD = Math.PI / 180, WIDE = 50, MANY = 4000, CELL = 5;

/** The map; null where no galaxy has a place. */
export function skyMap(host, {state, galaxies}) {
  const ra = galaxies.values((get) => get("ra")), dec = galaxies.values((get) => get("dec"));
  const placed = Uint8Array.from(ra, (value, row) => Number.isFinite(value) && Number.isFinite(dec[row]));
  const middle = centre(ra, dec, placed);
  if (!middle) return null;
  const wide = farthest(ra, dec, placed, middle) > WIDE;
  const project = wide ? aitoff(middle) : tangent(middle);
  const place = Array.from(ra, (value, row) => (placed[row] ? project(value, dec[row]) : [NaN, NaN]));
  const [u, v] = [0, 1].map((k) => Float32Array.from(place, (pair) => pair[k]));
  const [x, y] = wide ? [new Scale(-182, 182), new Scale(-92, 92)] : square(u, v);
  const both = new Set(["ra", "dec"]);
  const coordinate = (k) => (get) => {
    const [a, d] = [get("ra"), get("dec")];
    return a === null || d === null ? null : project(a, d)[k];
  };
  const brushed = (box) => state.set({
    "sky x": box && between("on the sky: across", coordinate(0), both, box[0], box[1]),
    "sky y": box && between("on the sky: up", coordinate(1), both, box[2], box[3]),
  });
  const paint = (ctx, frame) => {
    graticule(ctx, frame, {project, middle, wide});
    const draw = galaxies.count > MANY ? density : points;
    draw(ctx, frame, u, v, placed, state, galaxies.count);
    ring(ctx, frame, u[state.hovered], v[state.hovered]);
  };
  const frame = new Frame(host, {
    label: `Map of ${placed.reduce((a, b) => a + b, 0)} galaxies on the sky around ra ${number(middle[0])}, dec ${number(middle[1])} degrees`,
    x, y, aspect: wide ? 0.53 : 0.62, bare: true, margin: {left: 34, right: 8, top: 8, bottom: 24}, paint, brushed,
    pointed: (px, py) => state.hover(px === null ? -1 : under(frame, u, v, placed, px, py)),
    clicked: () => opened(state, galaxies),
  });
  state.on("filter", () => {
    if (!state.conditions.has("sky x")) frame.brush = null;
    frame.draw();
  });
  state.on("hover", () => frame.draw());
  return {wide, middle};
}

/** Mean direction in degrees. */
function centre(ra, dec, placed) {
  const sum = [0, 0, 0];
  let n = 0;
  ra.forEach((a, row) => {
    if (!placed[row]) return;
    const [c, d] = [Math.cos(dec[row] * RAD), a * RAD];
    [c * Math.cos(d), c * Math.sin(d), Math.sin(dec[row] * RAD)].forEach((value, k) => (sum[k] += value));
    n += 1;
  });
  if (!n) return null;
  const size = Math.hypot(...sum) || 1;
  if (size < 0.05 * n) return [180, 0];
  return [((Math.atan2(sum[1], sum[0]) / RAD) + 360) % 360, Math.asin(sum[2] / size) / RAD];
}

function apart(a, d, [a0, d0]) {
  const cosine = Math.sin(d * RAD) * Math.sin(d0 * RAD) + Math.cos(d * RAD) * Math.cos(d0 * RAD) * Math.cos((a - a0) * RAD);
  return Math.acos(Math.min(Math.max(cosine, -1), 1)) / RAD;
}

function farthest(ra, dec, placed, middle) {
  return ra.reduce((most, a, row) => (placed[row] ? Math.max(most, apart(a, dec[row], middle)) : most), 0);
}

/** Gnomonic projection in degrees, x growing to the west, so that east is left. */
function tangent([a0, d0]) {
  return (ra, dec) => {
    const [a, d, o] = [(ra - a0) * RAD, dec * RAD, d0 * RAD];
    const depth = Math.sin(o) * Math.sin(d) + Math.cos(o) * Math.cos(d) * Math.cos(a);
    if (depth < 0.05) return [NaN, NaN];
    const x = Math.cos(d) * Math.sin(a), y = Math.cos(o) * Math.sin(d) - Math.sin(o) * Math.cos(d) * Math.cos(a);
    return [-x / depth / RAD, y / depth / RAD];
  };
}

function aitoff([a0]) {
  return (ra, dec) => {
    const a = ((((ra - a0 + 180) % 360) + 360) % 360 - 180) * RAD / 2, d = dec * RAD;
    const angle = Math.acos(Math.cos(d) * Math.cos(a)), sinc = angle < 1e-9 ? 1 : Math.sin(angle) / angle;
    return [(-2 * Math.cos(d) * Math.sin(a)) / sinc / RAD, Math.sin(d) / sinc / RAD];
  };
}

/** Scales with one unit for both axes. */
function square(u, v) {
  const [x, y] = [Scale.of(u, {cut: 0}), Scale.of(v, {cut: 0})];
  const half = Math.max(x.high - x.low, (y.high - y.low) / 0.61, 1e-6) / 2;
  const around = (scale, size) => new Scale((scale.low + scale.high) / 2 - size, (scale.low + scale.high) / 2 + size);
  return [around(x, half), around(y, half * 0.61)];
}

function points(ctx, frame, u, v, placed, state, count) {
  const size = dotSize(count, frame.box);
  if (state.active) dots(ctx, frame, u, v, (row) => placed[row] && !state.mask[row], frame.colours.line, size, 0.8);
  dots(ctx, frame, u, v, (row) => placed[row] && state.mask[row], state.active ? frame.colours.pick : frame.colours.dots, size, 0.7);
}

/** Numbers a cell: of all in grey, and where something is chosen of those in colour above it. */
function density(ctx, frame, u, v, placed, state) {
  cellsOf(ctx, frame, u, v, (row) => placed[row], state.active ? frame.colours.line : frame.colours.dots);
  if (state.active) cellsOf(ctx, frame, u, v, (row) => placed[row] && state.mask[row], frame.colours.pick);
}

function cellsOf(ctx, frame, u, v, wanted, colour) {
  const {box} = frame, wide = Math.ceil(box.width / CELL), tall = Math.ceil(box.height / CELL);
  const cells = new Float32Array(wide * tall);
  let most = 1;
  for (let row = 0; row < u.length; row++) {
    if (!wanted(row)) continue;
    const i = Math.floor((frame.px(u[row]) - box.left) / CELL), k = Math.floor((frame.py(v[row]) - box.top) / CELL);
    if (i < 0 || k < 0 || i >= wide || k >= tall) continue;
    cells[k * wide + i] += 1;
    most = Math.max(most, cells[k * wide + i]);
  }
  ctx.fillStyle = colour;
  cells.forEach((n, cell) => {
    if (!n) return;
    ctx.globalAlpha = 0.15 + 0.85 * Math.sqrt(n / most);
    ctx.fillRect(box.left + (cell % wide) * CELL, box.top + Math.floor(cell / wide) * CELL, CELL - 0.6, CELL - 0.6);
  });
  ctx.globalAlpha = 1;
}

/** Lines of equal right ascension and declination, with numbers at the edges. */
function graticule(ctx, frame, {project, middle, wide}) {
  const {x, y} = frame.options, {box} = frame;
  const [across, reach] = [x, y].map((scale) => Math.max(Math.abs(scale.low), Math.abs(scale.high)) * 1.1);
  const narrow = Math.max(Math.cos(middle[1] * RAD), 0.02);
  const decs = wide ? [-60, -30, 0, 30, 60] : ticks(Math.max(middle[1] - reach, -90), Math.min(middle[1] + reach, 90), 6);
  const polar = Math.abs(middle[1]) + reach > 88;
  const ras = wide || polar ? Array.from({length: 12}, (_, k) => 30 * k) : ticks(middle[0] - across / narrow, middle[0] + across / narrow, 7);
  ctx.strokeStyle = frame.colours.line;
  ctx.lineWidth = 0.8;
  const span = wide || polar ? 179.99 : Math.min(across / narrow, 179.99);
  const path = (at) => Array.from({length: 121}, (_, k) => project(...at(k / 60 - 1)));
  const stretch = wide ? 90 : Math.min(reach, 90);
  const [fineRa, fineDec] = [ras, decs].map(places);
  for (const dec of decs) meridian(ctx, frame, path((t) => [middle[0] + span * t, dec]), dec.toFixed(fineDec).replace("-", "\u2212") + "°", "left", wide);
  for (const ra of ras) {
    const along = (t) => [ra, Math.min(Math.max((wide ? 0 : middle[1]) + stretch * t, -90), 90)];
    meridian(ctx, frame, path(along), ((ra + 360) % 360).toFixed(fineRa) + "°", "bottom", wide);
  }
  if (wide) {
    const [cx, cy] = [frame.px(0), frame.py(0)];
    frame.svg.append(s("ellipse", {class: "edge", cx, cy, rx: frame.px(180) - cx, ry: cy - frame.py(90)}));
  } else frame.svg.append(s("path", {class: "edge", d: `M${box.left},${box.top}h${box.width}v${box.height}h${-box.width}z`}));
}

/** Decimals that tell ticks apart. */
function places(list) {
  const step = list.length > 1 ? list[1] - list[0] : 1;
  return Math.min(Math.max([0, 1, 2, 3, 4, 5].find((digits) => Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-6) ?? 6, 0), 6);
}

function meridian(ctx, frame, line, text, side, wide = false) {
  const {box} = frame, at = line.map(([a, b]) => [frame.px(a), frame.py(b)]);
  ctx.beginPath();
  at.forEach(([px, py], k) => {
    const jump = k && Math.abs(px - at[k - 1][0]) > box.width / 2;
    if (k && !jump && px === px) ctx.lineTo(px, py);
    else ctx.moveTo(px, py);
  });
  ctx.stroke();
  if (side === "left" && wide) {
    frame.svg.append(s("text", {x: at[120][0] - 4, y: at[120][1] + 3.5, "text-anchor": "end", class: "over"}, text));
    return;
  }
  if (side === "left") {
    const k = at.findIndex(([px], i) => i && (px - box.left) * (at[i - 1][0] - box.left) <= 0);
    const end = k > 0 ? at[k] : null;
    if (end && end[1] > box.top + 4 && end[1] < box.top + box.height) frame.svg.append(s("text", {x: box.left - 5, y: end[1] + 3.5, "text-anchor": "end"}, text));
    return;
  }
  const low = box.top + box.height, k = at.findIndex(([, py], i) => i && (py - low) * (at[i - 1][1] - low) <= 0);
  const place = wide ? at[60] : k > 0 ? at[k] : null;
  if (!place || place[0] < box.left + 8 || place[0] > box.left + box.width - 8) return;
  frame.svg.append(s("text", {x: place[0], y: wide ? place[1] - 3 : low + 15, "text-anchor": "middle", class: wide ? "over" : null}, text));
}
