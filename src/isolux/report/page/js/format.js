// Numbers as text, ticks for axes, and elements made without any HTML text.

const MINUS = "\u2212", THIN = "\u202f";

/** An element with attributes and children; text is never read as HTML. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  return dress(element, attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return dress(element, attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A number with so many significant digits; an en dash where there is none. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const [mantissa, power] = value.toExponential(Math.max(digits - 2, 1)).split("e");
    return (trimmed(mantissa) + "\u00d710" + superscript(power)).replace("-", MINUS);
  }
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return trimmed(value.toFixed(Math.min(places, 10))).replace("-", MINUS);
}

/** A value and its error, to two digits of the error. */
export function withError(value, error) {
  if (value === null || !Number.isFinite(value)) return "\u2013";
  if (error === null || !Number.isFinite(error) || !(error > 0)) return number(value, 5);
  const size = Math.max(Math.abs(value), error);
  if (size >= 1e6 || size < 1e-3) {
    const power = Math.floor(Math.log10(size));
    return `(${withError(value / 10 ** power, error / 10 ** power)})\u00d710${superscript(power)}`;
  }
  const places = Math.min(Math.max(1 - Math.floor(Math.log10(error)), 0), 7);
  return `${value.toFixed(places)} \u00b1 ${error.toFixed(places)}`.replaceAll("-", MINUS);
}

/** A whole number with thin spaces. */
export function count(value) {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
}

/** Round ticks between two ends. */
export function ticks(low, high, wanted = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({length: Math.max(last - first + 1, 0)}, (_, k) => Number(((first + k) * step).toPrecision(12)));
}

/** Ticks at 1, 2, 5 and powers of ten; ends are logarithms. */
export function logTicks(low, high, wanted = 5) {
  const factors = high - low > wanted ? [1] : high - low > 1.6 ? [1, 3] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
    for (const factor of factors) {
      const value = Number((factor * 10 ** power).toPrecision(3));
      if (Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9) found.push(value);
    }
  }
  if (found.length < 3) return ticks(10 ** low, 10 ** high, 4).filter((value) => value > 0);
  const every = Math.max(1, Math.ceil(found.length / (wanted + 2)));
  return found.filter((_, k) => k % every === 0);
}

/** A label with its unit. */
export function labelled(column) {
  return column.unit ? `${column.label} [${column.unit}]` : column.label;
}

/** Text of at most so many characters. */
export function short(text, most = 40) {
  return text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
}

function trimmed(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function superscript(power) {
  const digits = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";
  return String(Number(power)).replace("-", "\u207b").replace(/\d/g, (digit) => digits[digit]);
}
