// Surface brightness against semi-major axis: data with errors, limits where nothing is seen, and the model; bright is up.

import {number, s} from "./format.js";
import {Scale} from "./scale.js";

const finite = (list) => list.filter((value) => value !== null);

/** The profile as SVG; `axes` for the large one, without for a card. */
export function profileChart(profile, name, {width, height, axes}) {
  const parts = layout(profile, width, height, axes);
  const {px, py, box} = parts;
  const svg = s("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", class: "profile", "aria-label": described(profile, name)});
  if (axes) drawAxes(svg, parts, "surface brightness [mag/arcsec²]", "semi-major axis [arcsec]");
  else svg.append(s("path", {class: "edge", d: `M${box.left},${box.top}V${box.top + box.height}H${box.left + box.width}`}));
  svg.append(s("path", {class: "model", d: pathOf(profile.radius, profile.model, px, py, box)}));
  profile.radius.forEach((radius, k) => {
    const value = profile.data[k];
    if (value !== null) {
      const low = py(value + (profile.down[k] ?? 1)), high = py(value - profile.up[k]);
      svg.append(s("path", {class: "bar", d: `M${px(radius)},${high}V${Math.min(low, box.top + box.height)}`}));
      svg.append(s("circle", {class: "dot", cx: px(radius), cy: py(value), r: axes ? 3 : 2}));
    } else if (profile.limit[k] !== null) {
      const y = py(profile.limit[k]), size = axes ? 3.5 : 2;
      svg.append(s("path", {class: "limit", d: `M${px(radius) - size},${y - size}h${2 * size}l${-size},${1.7 * size}z`}));
    }
  });
  if (axes) legend(svg, box);
  return svg;
}

function layout(profile, width, height, axes) {
  const box = axes ? {left: 52, top: 10, width: width - 64, height: height - 54} : {left: 3, top: 4, width: width - 6, height: height - 8};
  const values = finite([...profile.data, ...profile.limit]), lines = finite(profile.model);
  const shown = values.length ? values : lines.length ? lines : [0, 1];
  const bright = Math.min(...shown, ...(lines.length ? [Math.min(...lines)] : []));
  const x = new Scale(Math.log10(0.85 * Math.min(...profile.radius)), Math.log10(1.1 * Math.max(...profile.radius)), {log: true});
  const y = new Scale(bright - 0.4, Math.max(...shown) + 0.6, {reversed: true});
  const px = (value) => box.left + box.width * x.to(value);
  const py = (value) => box.top + box.height * (1 - y.to(value));
  return {box, x, y, px, py, width, height};
}

function drawAxes(svg, {box, x, y, px, py, height}, yLabel, xLabel) {
  const bottom = box.top + box.height, group = s("g", {class: "axes"});
  group.append(s("path", {class: "edge", d: `M${box.left},${box.top}V${bottom}H${box.left + box.width}`}));
  for (const value of x.ticks(6)) {
    group.append(s("path", {d: `M${px(value)},${bottom}v4`}), s("text", {x: px(value), y: bottom + 16, "text-anchor": "middle"}, number(value)));
  }
  for (const value of y.ticks(6)) {
    group.append(s("path", {d: `M${box.left},${py(value)}h-4`}), s("text", {x: box.left - 7, y: py(value) + 4, "text-anchor": "end"}, number(value)));
  }
  group.append(s("text", {class: "label", x: box.left + box.width / 2, y: height - 4, "text-anchor": "middle"}, xLabel));
  group.append(s("text", {class: "label", transform: `translate(12 ${box.top + box.height / 2}) rotate(-90)`, "text-anchor": "middle"}, yLabel));
  svg.append(group);
}

function legend(svg, box) {
  const left = box.left + box.width - 96, top = box.top + 14;
  svg.append(s("circle", {class: "dot", cx: left, cy: top, r: 3}), s("text", {x: left + 12, y: top + 4}, "data"));
  svg.append(s("path", {class: "model", d: `M${left - 7},${top + 18}h14`}), s("text", {x: left + 12, y: top + 22}, "model"));
  svg.append(s("path", {class: "limit", d: `M${left - 3.5},${top + 33}h7l-3.5,6z`}), s("text", {x: left + 12, y: top + 40}, "2σ limit"));
}

function pathOf(radius, model, px, py, box) {
  let path = "", pen = "M";
  radius.forEach((value, k) => {
    const y = model[k] === null ? Infinity : py(model[k]);
    if (y > box.top + box.height) {
      pen = "M";
      return;
    }
    path += `${pen}${px(value).toFixed(1)},${y.toFixed(1)}`;
    pen = "L";
  });
  return path || "M0,0";
}

function described(profile, name) {
  const seen = finite(profile.data);
  if (!seen.length) return `Surface brightness profile of ${name}: nothing is seen above the noise`;
  const last = profile.radius[profile.data.lastIndexOf(seen[seen.length - 1])];
  return `Surface brightness profile of ${name}: from ${number(seen[0])} to ${number(seen[seen.length - 1])} mag/arcsec² at ${number(last, 3)} arcsec`;
}
