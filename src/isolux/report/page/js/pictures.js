// Data, model and residual of a galaxy, with colour bars on its own page.

import {h, number, s} from "./format.js";

let bars = 0;
const LIGHT = ["#000004", "#1c1044", "#4f127b", "#812581", "#b5367a", "#e55964", "#fb8761", "#fec287", "#fcfdbf"];
const RESIDUAL = ["#053061", "#2f79b5", "#7bb6d6", "#c9e0ed", "#f7f6f6", "#fbccb4", "#ea8e70", "#c43b3c", "#67001f"];

/** The images that there are, as figures; `large` adds colour bars and a scale. */
export function images(picture, name, large = false) {
  if (!picture || !picture.data) return [h("p", {class: "none"}, picture ? "no usable pixel" : "no images of this galaxy are kept")];
  const kinds = [["data", "data"], ["model", "model"], ["residual", `residual / ${picture.per ?? "σ"}`]];
  return kinds.filter(([kind]) => picture[kind]).map(([kind, title]) => {
    const image = h("img", {src: picture[kind], alt: `${title} of ${name}`});
    if (!large) return image;
    const bar = kind === "residual" ? residualBar(picture) : lightBar(picture);
    return h("figure", {}, h("figcaption", {}, title), h("div", {class: "image"}, image, kind === "data" ? ruler(picture) : null), bar);
  });
}

function lightBar(picture) {
  const {low, high, noise, ticks, power} = picture.stretch;
  const asinh = (value) => Math.asinh(value / (2 * noise));
  const place = (value) => (asinh(value) - asinh(low)) / (asinh(high) - asinh(low));
  const unit = power ? `flux above sky, 10^${power} image units a pixel` : "flux above sky, image units a pixel";
  return bar(LIGHT, ticks.map((value) => [place(value), number(value, 3)]), unit);
}

function residualBar({limit, per, binned}) {
  const step = Number((0.7 * limit).toPrecision(1));
  const places = [-step, 0, step].map((value) => [(value + limit) / (2 * limit), number(value, 2)]);
  const mean = binned > 1 ? `, means of ${binned} × ${binned} pixels` : "";
  return bar(RESIDUAL, places, `data less model, over ${per === "σ" ? "σ of a pixel" : "their scatter"}${mean}`);
}

function bar(stops, places, label) {
  bars += 1;
  const id = `bar-${bars}`;
  const gradient = s("linearGradient", {id}, ...stops.map((colour, k) => s("stop", {offset: k / (stops.length - 1), "stop-color": colour})));
  const texts = places.filter(([at]) => at > 0.02 && at < 0.98).map(([at, text]) => s("text", {x: 300 * at, y: 25, "text-anchor": "middle"}, text));
  return h("div", {class: "bar"}, s("svg", {viewBox: "0 0 300 30", "aria-hidden": "true"},
    s("defs", {}, gradient), s("rect", {width: 300, height: 9, fill: `url(#${id})`}), ...texts), h("small", {}, label));
}

/** A line of round length over the data. */
function ruler(picture) {
  const lengths = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
  const length = lengths.filter((value) => value <= 0.35 * picture.across).pop() ?? lengths[0];
  const wide = (100 * length) / picture.across;
  return s("svg", {viewBox: "0 0 100 100", class: "ruler", "aria-hidden": "true"},
    s("path", {d: `M5,94h${wide}`}), s("text", {x: 5, y: 91}, `${length}″`));
}
