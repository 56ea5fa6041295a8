// The galaxies: points of the charts with the columns that are drawn, and those of the gallery with every column.

/** Decode base64 to a typed array. */
function typedArray(entry) {
  const bytes = Uint8Array.from(atob(entry.data), (character) => character.charCodeAt(0));
  if (entry.type === "u1") return bytes;
  return entry.type === "i4" ? new Int32Array(bytes.buffer) : new Float32Array(bytes.buffer);
}

export class Galaxies {
  constructor(content) {
    this.columns = new Map(content.columns.map((column) => [column.name, column]));
    this.count = content.points;
    this.ids = content.ids;
    this.shown = content.shown;
    this.full = content.full;
    this.pictures = content.pictures;
    this.order = content.order;
    this.words = {};
    this.arrays = {};
    for (const [name, entry] of Object.entries(content.values)) {
      this.arrays[name] = typedArray(entry);
      if (entry.words) this.words[name] = entry.words;
    }
    this.place = new Map(this.shown.map((point, k) => [point, k]));
  }

  /** Whether the points have a column. */
  has(name) {
    return Object.hasOwn(this.arrays, name) || name === "id";
  }

  /** Columns of numbers that the points have. */
  numeric() {
    return [...this.columns.values()].filter((column) => column.kind !== "text" && this.has(column.name));
  }

  /** A getter of one point's values, or of one gallery galaxy's. */
  point(row) {
    return (name) => {
      if (name === "id") return this.ids[row];
      const array = this.arrays[name];
      if (array === undefined) return null;
      return this.words[name] ? this.words[name][array[row]] : array[row];
    };
  }

  galaxy(k) {
    return (name) => (Object.hasOwn(this.full, name) ? this.full[name][k] : null);
  }

  /** What a series is for every point. */
  values(of) {
    const out = new Float32Array(this.count);
    for (let row = 0; row < this.count; row++) {
      const value = of(this.point(row));
      out[row] = value === null ? NaN : value;
    }
    return out;
  }
}
