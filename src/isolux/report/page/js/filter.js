// A small language for choosing galaxies:  sersic_n > 2 & status = converged & not flags has edge
//
//   or      :  and ("or" | "|") and ...
//   and     :  not ("and" | "&" | ",") not ...
//   not     :  ("not" | "!") not  |  comparison
//   comparison: sum (< <= > >= = != ~ has) sum ...       chains such as 1 < n < 4 are read as 1 < n and n < 4
//   sum, product, power of numbers, columns, functions and brackets
//
// Every node is {type, of}, where type is "value", "truth" or "word" and of(get) gives its value for one galaxy.

const FUNCTIONS = {
  abs: Math.abs, log10: Math.log10, sqrt: Math.sqrt, exp: Math.exp, min: Math.min, max: Math.max,
};
const COMPARE = {
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  "=": (a, b) => a === b, "!=": (a, b) => a !== b,
};
const TOKEN = /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|([\p{L}_][\p{L}\p{N}_.]*)|`([^`]*)`|"([^"]*)"|'([^']*)'|(<=|>=|==|!=|<>|&&|\|\||[<>=~&|!,()+\-*\/^≤≥≠−])|(\S))/giuy;
const SAME = {"==": "=", "<>": "!=", "&&": "&", "||": "|", "≤": "<=", "≥": ">=", "≠": "!=", "−": "-", and: "&", or: "|", not: "!"};

/** What is wrong with a filter, and where. */
export class FilterError extends Error {
  constructor(message, at) {
    super(message);
    this.at = at;
  }
}

/**
 * Read a filter.
 * @param known {columns: Map of name to {kind}, aliases: {}, statuses: {name: code}, flags: {name: bit}}
 * @returns {test, columns}: test(get) for one galaxy, where get(name) is the value of a column; the columns that it uses.
 */
export function parseFilter(text, known) {
  const reader = new Reader(tokens(text), known, text.length);
  if (reader.peek() === null) return {test: () => true, columns: new Set()};
  const tree = reader.truth(reader.or());
  if (reader.peek() !== null) throw new FilterError(`“${reader.peek().text}” is not expected here`, reader.peek().at);
  return {test: tree.of, columns: reader.used};
}

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length && text.slice(TOKEN.lastIndex).trim()) {
    const match = TOKEN.exec(text);
    const [whole, digits, name, quoted, double, single, sign, other] = match;
    const at = match.index + whole.length - whole.trimStart().length;
    if (other !== undefined) {
      const unclosed = "`\"'".includes(other) ? "this quote is not closed" : `“${other}” means nothing here`;
      throw new FilterError(unclosed, at);
    }
    if (digits !== undefined) found.push({kind: "number", text: digits, at});
    else if (quoted !== undefined) found.push({kind: "name", text: quoted, quoted: true, at});
    else if (double !== undefined || single !== undefined) found.push({kind: "text", text: double ?? single, at});
    else {
      const plain = sign ?? name, same = SAME[plain.toLowerCase()] ?? plain;
      const isSign = sign !== undefined || "&|!".includes(same);
      found.push({kind: isSign ? "sign" : "name", text: isSign ? same : plain, at});
    }
  }
  return found;
}

class Reader {
  constructor(list, known, end) {
    Object.assign(this, {list, known, end, place: 0, used: new Set()});
  }

  peek() {
    return this.list[this.place] ?? null;
  }

  take(...signs) {
    const next = this.peek();
    if (next === null || next.kind !== "sign" || !signs.includes(next.text)) return null;
    this.place += 1;
    return next;
  }

  or() {
    let left = this.and();
    while (this.take("|")) {
      const [a, b] = [this.truth(left), this.truth(this.and())];
      left = {type: "truth", of: (get) => a.of(get) || b.of(get)};
    }
    return left;
  }

  and() {
    let left = this.not();
    while (this.take("&", ",")) {
      const [a, b] = [this.truth(left), this.truth(this.not())];
      left = {type: "truth", of: (get) => a.of(get) && b.of(get)};
    }
    return left;
  }

  not() {
    if (!this.take("!")) return this.comparison();
    const inner = this.truth(this.not());
    return {type: "truth", of: (get) => !inner.of(get)};
  }

  comparison() {
    let left = this.sum();
    const tests = [];
    for (let sign = this.comparator(); sign; sign = this.comparator()) {
      const right = this.sum();
      tests.push(this.compared(left, sign, right));
      left = right;
    }
    if (!tests.length) return left;
    return {type: "truth", of: tests.length === 1 ? tests[0] : (get) => tests.every((test) => test(get))};
  }

  comparator() {
    const next = this.peek();
    if (next?.kind === "name" && !next.quoted && next.text.toLowerCase() === "has") {
      this.place += 1;
      return {...next, text: "has"};
    }
    return this.take("<", "<=", ">", ">=", "=", "!=", "~");
  }

  compared(left, sign, right) {
    if (left.type === "truth" || right.type === "truth") {
      throw new FilterError(`“${sign.text}” compares values, not conditions`, sign.at);
    }
    const either = sign.text === "=" || sign.text === "!=";
    if (either && left.type === "word" && right.type !== "word") [left, right] = [right, left];
    if (left.column === "flags" && right.type !== "value") return this.flagged(sign, right);
    if (sign.text === "has" || sign.text === "~") return contains(this.value(left), this.textual(right));
    if (left.column === "status" && right.type !== "value") right = this.coded(right, "statuses", "status");
    if (!left.text && right.type === "word" && !right.literal) this.value(right);
    if (left.text || right.type !== "value") return worded(this.value(left), sign, this.textual(right));
    const [a, b, compare] = [this.value(left), this.value(right), COMPARE[sign.text]];
    return (get) => {
      const [x, y] = [a.of(get), b.of(get)];
      return !Number.isNaN(x) && !Number.isNaN(y) && compare(x, y);
    };
  }

  flagged(sign, right) {
    const bit = this.coded(right, "flags", "flag").of();
    const wanted = sign.text !== "!=";
    if (["<", "<=", ">", ">="].includes(sign.text)) throw new FilterError("flags can be =, != or has", sign.at);
    this.used.add("flags");
    return (get) => ((get("flags") & bit) !== 0) === wanted;
  }

  coded(node, kind, what) {
    const name = node.word.toLowerCase(), codes = this.known[kind];
    if (name in codes) return {type: "value", of: () => codes[name]};
    const near = nearest(name, Object.keys(codes));
    throw new FilterError(`there is no ${what} “${node.word}”${near ? `; do you mean ${near}?` : ""}`, node.at);
  }

  sum() {
    let left = this.product();
    for (let sign = this.take("+", "-"); sign; sign = this.take("+", "-")) {
      const [a, b] = [this.value(left), this.value(this.product())];
      left = {type: "value", of: sign.text === "+" ? (get) => a.of(get) + b.of(get) : (get) => a.of(get) - b.of(get)};
    }
    return left;
  }

  product() {
    let left = this.power();
    for (let sign = this.take("*", "/"); sign; sign = this.take("*", "/")) {
      const [a, b] = [this.value(left), this.value(this.power())];
      left = {type: "value", of: sign.text === "*" ? (get) => a.of(get) * b.of(get) : (get) => a.of(get) / b.of(get)};
    }
    return left;
  }

  power() {
    if (this.take("-")) {
      const inner = this.value(this.power());
      return {type: "value", of: (get) => -inner.of(get)};
    }
    const base = this.atom();
    if (!this.take("^")) return base;
    const [a, b] = [this.value(base), this.value(this.power())];
    return {type: "value", of: (get) => a.of(get) ** b.of(get)};
  }

  atom() {
    const next = this.peek();
    if (next === null) throw new FilterError("something is missing at the end", this.end);
    if (this.take("(")) {
      const inner = this.or();
      if (!this.take(")")) throw new FilterError("this bracket is not closed", next.at);
      return inner;
    }
    this.place += 1;
    if (next.kind === "number") return {type: "value", of: () => Number(next.text)};
    if (next.kind === "text") return {type: "word", word: next.text, at: next.at, literal: true};
    if (next.kind === "name") return this.named(next);
    throw new FilterError(`“${next.text}” is not expected here`, next.at);
  }

  named(next) {
    if (this.peek()?.text === "(" && !next.quoted) return this.called(next);
    const name = this.column(next.text);
    if (name === null) return {type: "word", word: next.text, at: next.at};
    this.used.add(name);
    const text = this.known.columns.get(name).kind === "text";
    const of = text ? (get) => get(name) : (get) => get(name) ?? NaN;
    return {type: "value", of, column: name, text, at: next.at};
  }

  called(next) {
    const name = next.text.toLowerCase();
    if (!(name in FUNCTIONS) && name !== "missing") {
      throw new FilterError(`there is no function “${next.text}”; there are missing, ${Object.keys(FUNCTIONS).join(", ")}`, next.at);
    }
    this.take("(");
    const inputs = [this.value(this.sum())];
    while (this.take(",")) inputs.push(this.value(this.sum()));
    if (!this.take(")")) throw new FilterError("this bracket is not closed", next.at);
    if (name !== "missing") return {type: "value", of: (get) => FUNCTIONS[name](...inputs.map((input) => input.of(get)))};
    return {type: "truth", of: (get) => [null, ""].includes(inputs[0].of(get)) || Number.isNaN(inputs[0].of(get))};
  }

  column(name) {
    const {columns, aliases} = this.known;
    if (columns.has(name)) return name;
    if (Object.hasOwn(aliases, name)) return aliases[name];
    const lower = name.toLowerCase();
    return [...columns.keys()].find((other) => other.toLowerCase() === lower) ?? null;
  }

  value(node) {
    if (node.type === "value") return node;
    if (node.type === "truth") throw new FilterError("a condition stands where a value should be", node.at ?? 0);
    if (node.literal) return {type: "value", of: () => node.word, text: true};
    const near = nearest(node.word, [...this.known.columns.keys(), ...Object.keys(this.known.aliases)]);
    throw new FilterError(`there is no column “${node.word}”${near ? `; do you mean ${near}?` : ""}`, node.at);
  }

  textual(node) {
    return node.type === "word" ? {of: () => node.word} : this.value(node);
  }

  truth(node) {
    if (node.type === "truth") return node;
    if (node.type === "value" && node.column && !node.text) return {type: "truth", of: (get) => Boolean(node.of(get))}; // NaN is false
    this.value(node);
    throw new FilterError("a comparison is missing, such as > 2", node.at ?? this.end);
  }
}

function contains(left, right) {
  return (get) => String(left.of(get) ?? "").toLowerCase().includes(String(right.of(get)).toLowerCase());
}

function worded(left, sign, right) {
  const compare = COMPARE[sign.text];
  return (get) => compare(String(left.of(get) ?? "").toLowerCase(), String(right.of(get) ?? "").toLowerCase());
}

/** The name that differs least from another, or null where none is like it. */
export function nearest(name, names) {
  const scored = names.map((other) => [distance(name.toLowerCase(), other.toLowerCase()), other]);
  const [best, found] = scored.reduce((a, b) => (b[0] < a[0] ? b : a), [Infinity, null]);
  return best <= Math.max(2, name.length / 2) ? found : null;
}

function distance(a, b) {
  let row = Array.from({length: b.length + 1}, (_, k) => k);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let k = 1; k <= b.length; k++) next[k] = Math.min(next[k - 1] + 1, row[k] + 1, row[k - 1] + (a[i - 1] !== b[k - 1]));
    row = next;
  }
  return row[b.length];
}
