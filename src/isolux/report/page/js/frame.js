// A chart: a canvas for the data, SVG above it for axes, brush and pointer; drawn again when its width or the theme changes.

import {number, s} from "./format.js";

const frames = new Set();

/** Colours of the theme that holds now; of the light one on paper. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  return {ink: named("ink"), soft: named("soft"), line: named("line"), dots: named("dots"), pick: named("pick"), warm: named("warm"), paper: named("card")};
}

/** Draw every chart again; `now` also those that are out of sight, as for paper. */
export function redrawAll(now = false) {
  for (const frame of frames) {
    if (!frame.host.isConnected) frames.delete(frame);
    else if (now) frame.drawNow();
    else frame.draw();
  }
}

/** Charts out of sight are drawn when they come into it. */
const watcher = new IntersectionObserver((seen) => {
  for (const entry of seen) {
    const frame = entry.target.frame;
    frame.visible = entry.isIntersecting;
    if (frame.visible && frame.stale) frame.draw();
  }
}, {rootMargin: "300px"});

export class Frame {
  /**
   * @param host element that the chart goes into
   * @param options {label, x, y, xLabel, yLabel, aspect, height, margin, bare, paint(ctx, frame), brushed(box or null), pointed(x, y)}
   *   x and y are scales; brushed is given [x0, x1, y0, y1] in values, y0 and y1 null where `alongX`.
   */
  constructor(host, options) {
    Object.assign(this, {host, options, brush: null});
    this.margin = options.margin ?? {left: 52, right: 10, top: 8, bottom: 38};
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.svg = s("svg", {role: "img", "aria-label": options.label, class: options.brushed ? "brushable" : ""});
    host.classList.add("frame");
    host.append(this.canvas, this.svg);
    if (options.brushed) this.listen();
    if (options.pointed) {
      this.svg.addEventListener("pointermove", (event) => this.point(event));
      this.svg.addEventListener("pointerleave", () => options.pointed(null, null));
    }
    frames.add(this);
    host.frame = this;
    watcher.observe(host);
    new ResizeObserver(() => this.resize()).observe(host);
    this.resize();
  }

  resize() {
    const width = Math.floor(this.host.clientWidth);
    if (width < 30 || width === this.width) return;
    this.width = width;
    this.height = Math.round(this.options.height ?? width * (this.options.aspect ?? 0.7));
    const {left, right, top, bottom} = this.margin;
    this.box = {left, top, width: width - left - right, height: this.height - top - bottom};
    const dense = Math.min(Math.max(window.devicePixelRatio || 1, 2), 3);
    this.canvas.width = width * dense;
    this.canvas.height = this.height * dense;
    this.dense = dense;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    if (matchMedia("print").matches) this.drawNow();
    else this.draw();
  }

  px(value) {
    return this.box.left + this.box.width * this.options.x.to(value);
  }

  py(value) {
    return this.box.top + this.box.height * (1 - this.options.y.to(value));
  }

  draw() {
    this.stale = true;
    if (!this.width || !this.visible) return;
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    if (!this.width) return;
    this.stale = false;
    const ctx = this.canvas.getContext("2d"), {box} = this;
    ctx.setTransform(this.dense, 0, 0, this.dense, 0, 0);
    ctx.clearRect(0, 0, this.width, this.height);
    this.colours = colours();
    this.svg.replaceChildren();
    if (!this.options.bare) this.axes();
    ctx.save();
    ctx.beginPath();
    ctx.rect(box.left, box.top, box.width, box.height);
    ctx.clip();
    this.options.paint(ctx, this);
    ctx.restore();
    this.drawBrush();
  }

  axes() {
    const {x, y, xLabel, yLabel, ticks: wanted} = this.options, {box} = this;
    const bottom = box.top + box.height, [many, tall] = wanted ?? [Math.max(3, box.width / 62), Math.max(3, box.height / 36)];
    const group = s("g", {class: "axes"});
    group.append(s("path", {class: "edge", d: `M${box.left},${box.top}V${bottom}H${box.left + box.width}`}));
    for (const value of x ? x.ticks(many) : []) {
      const place = this.px(value);
      group.append(s("path", {d: `M${place},${bottom}v4`}));
      if (!this.options.noXNumbers) group.append(s("text", {x: place, y: bottom + 15, "text-anchor": "middle"}, number(value)));
    }
    for (const value of y && !this.options.noYTicks ? y.ticks(tall) : []) {
      const place = this.py(value);
      group.append(s("path", {d: `M${box.left},${place}h-4`}));
      if (!this.options.noYNumbers) group.append(s("text", {x: box.left - 7, y: place + 3.5, "text-anchor": "end"}, number(value)));
    }
    const middle = box.left + box.width / 2;
    if (xLabel) group.append(s("text", {class: "label", x: middle, y: this.height - 4, "text-anchor": "middle"}, xLabel));
    if (yLabel) {
      const place = `translate(11 ${box.top + box.height / 2}) rotate(-90)`;
      group.append(s("text", {class: "label", transform: place, "text-anchor": "middle"}, yLabel));
    }
    this.svg.append(group);
  }

  drawBrush() {
    if (!this.brush) return;
    const [x0, x1, y0, y1] = this.brush, {box} = this;
    const [left, right] = [this.px(x0), this.px(x1)].sort((a, b) => a - b);
    const [top, bottom] = y0 === null ? [box.top, box.top + box.height] : [this.py(y1), this.py(y0)].sort((a, b) => a - b);
    this.svg.append(s("rect", {class: "brush", x: left, y: top, width: Math.max(right - left, 1), height: Math.max(bottom - top, 1)}));
  }

  /** Where an event is, in values, kept inside the axes. */
  where(event) {
    const frame = this.svg.getBoundingClientRect(), {box} = this;
    const size = this.width / frame.width;
    const across = ((event.clientX - frame.left) * size - box.left) / box.width;
    const up = 1 - ((event.clientY - frame.top) * size - box.top) / box.height;
    return {across: Math.min(Math.max(across, 0), 1), up: Math.min(Math.max(up, 0), 1)};
  }

  point(event) {
    const frame = this.svg.getBoundingClientRect(), size = this.width / frame.width;
    this.options.pointed((event.clientX - frame.left) * size, (event.clientY - frame.top) * size, event);
  }

  listen() {
    let start = null;
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      start = {...this.where(event), x: event.clientX, y: event.clientY};
      this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (start === null) return;
      this.brush = this.ends(start, this.where(event));
      this.drawNow();
    });
    this.svg.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const still = Math.hypot(event.clientX - start.x, event.clientY - start.y) < 4;
      const ends = still ? null : this.ends(start, this.where(event));
      start = null;
      if (still && this.brush === null && this.options.clicked) return void this.options.clicked();
      this.brush = ends;
      this.options.brushed(ends);
      this.drawNow();
    });
  }

  ends(a, b) {
    const {x, y, alongX} = this.options;
    const sorted = (scale, one, two) => [scale.from(one), scale.from(two)].sort((p, q) => p - q);
    const across = sorted(x, a.across, b.across);
    return alongX ? [...across, null, null] : [...across, ...sorted(y, a.up, b.up)];
  }
}
