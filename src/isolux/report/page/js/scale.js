// From values to places on an axis and back.

import {logTicks, ticks} from "./format.js";

export class Scale {
  /** Ends are logarithms where `log`. */
  constructor(low, high, {log = false, reversed = false} = {}) {
    const room = high > low ? 0 : 0.5;
    Object.assign(this, {low: low - room, high: high + room, log, reversed});
  }

  /** A scale for values, without the few most extreme where there are many. */
  static of(values, {log = false, reversed = false, cut = 0.002} = {}) {
    const good = [];
    for (const value of values) if (Number.isFinite(value) && (!log || value > 0)) good.push(log ? Math.log10(value) : value);
    if (!good.length) return new Scale(0, 1, {log: false, reversed});
    good.sort((a, b) => a - b);
    const skip = good.length > 500 ? Math.floor(cut * good.length) : 0;
    const [low, high] = [good[skip], good[good.length - 1 - skip]];
    const room = 0.04 * (high - low);
    return new Scale(low - room, high + room, {log, reversed});
  }

  /** Place from 0 to 1; beyond them outside the ends. */
  to(value) {
    const t = ((this.log ? Math.log10(value) : value) - this.low) / (this.high - this.low);
    return this.reversed ? 1 - t : t;
  }

  from(place) {
    const t = this.low + (this.reversed ? 1 - place : place) * (this.high - this.low);
    return this.log ? 10 ** t : t;
  }

  ticks(wanted) {
    return this.log ? logTicks(this.low, this.high, wanted) : ticks(this.low, this.high, wanted);
  }
}

/** Whether a column of positive numbers ranges widely enough for logarithms. */
export function ranges(values) {
  const good = [...values].filter(Number.isFinite).sort((a, b) => a - b);
  if (good.length < 5) return false;
  const [low, high] = [good[Math.floor(0.02 * good.length)], good[Math.floor(0.98 * (good.length - 1))]];
  return low > 0 && high > 7 * low;
}
