// What is chosen: conditions by key, the galaxies that meet them all, and the galaxy under the pointer.

export class State {
  constructor(galaxies) {
    this.galaxies = galaxies;
    this.conditions = new Map();
    this.mask = new Uint8Array(galaxies.count).fill(1);
    this.shown = new Uint8Array(galaxies.shown.length).fill(1);
    this.hovered = -1;
    this.chosen = galaxies.count;
    this.listeners = {filter: [], hover: []};
  }

  on(event, act) {
    this.listeners[event].push(act);
  }

  /** Any condition at all. */
  get active() {
    return this.conditions.size > 0;
  }

  /** Set conditions by key, each {label, test, columns} or null to take it away. */
  set(changes) {
    for (const [key, condition] of Object.entries(changes)) {
      if (condition === null) this.conditions.delete(key);
      else this.conditions.set(key, condition);
    }
    this.look();
  }

  clear() {
    this.conditions.clear();
    this.look();
  }

  hover(point) {
    if (point === this.hovered) return;
    this.hovered = point;
    for (const act of this.listeners.hover) act(point);
  }

  /** Columns that a condition needs and the points do not have. */
  beyond() {
    const needed = [...this.conditions.values()].flatMap((condition) => [...condition.columns]);
    return [...new Set(needed)].filter((name) => !this.galaxies.has(name));
  }

  look() {
    const all = [...this.conditions.values()];
    const known = all.filter((condition) => [...condition.columns].every((name) => this.galaxies.has(name)));
    this.chosen = 0;
    for (let row = 0; row < this.mask.length; row++) {
      const get = this.galaxies.point(row);
      this.mask[row] = known.every((condition) => condition.test(get)) ? 1 : 0;
      this.chosen += this.mask[row];
    }
    for (let k = 0; k < this.shown.length; k++) {
      const get = this.galaxies.galaxy(k);
      this.shown[k] = all.every((condition) => condition.test(get)) ? 1 : 0;
    }
    for (const act of this.listeners.filter) act();
  }
}

/** A condition that a value lies between two ends. */
export function between(label, of, columns, low, high) {
  const test = (get) => {
    const value = of(get);
    return value !== null && value >= low && value <= high;
  };
  return {label, test, columns};
}
