/**
 * Line search for the strong Wolfe conditions: bracketing, then zooming with cubic interpolation
 * (Nocedal and Wright, Numerical Optimization, 3.5; safeguards as in minFunc and PyTorch).
 */
import type { Tensor } from '../tensor';

/** The objective at distance t along the direction. */
export interface Point {
  readonly t: number;
  readonly loss: number;
  readonly grad: Tensor;
  /** Directional derivative. */
  readonly slope: number;
}

export interface WolfeOptions {
  /** Largest absolute entry of the direction. */
  readonly directionSize: number;
  readonly toleranceChange: number;
  readonly maxIterations: number;
}

export interface WolfeResult {
  readonly point: Point;
  readonly evaluations: number;
}

const sufficientDecrease = 1e-4;
const curvature = 0.9;

/** Minimum of the cubic through two points with slopes, kept within bounds. */
function cubicMinimum(
  a: Point,
  b: Point,
  low = Math.min(a.t, b.t),
  high = Math.max(a.t, b.t),
): number {
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t);
  const square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const d2 = Math.sqrt(square);
  const [near, far] = a.t <= b.t ? [a, b] : [b, a];
  const at = far.t - (far.t - near.t) * ((far.slope + d2 - d1) / (far.slope - near.slope + 2 * d2));
  return Math.min(Math.max(at, low), high);
}

export class WolfeSearch {
  readonly #evaluate: (t: number) => Point;
  readonly #start: Point;
  readonly #options: WolfeOptions;
  #evaluations = 0;
  #iterations = 0;

  constructor(evaluate: (t: number) => Point, start: Point, options: WolfeOptions) {
    this.#evaluate = evaluate;
    this.#start = start;
    this.#options = options;
  }

  run(t: number): WolfeResult {
    const { bracket, done } = this.#bracket(this.#at(t));
    const point = done ? (bracket[0] as Point) : this.#zoom(bracket);
    return { point, evaluations: this.#evaluations };
  }

  #at(t: number): Point {
    ++this.#evaluations;
    return this.#evaluate(t);
  }

  #decreasesTooLittle(p: Point): boolean {
    return p.loss > this.#start.loss + sufficientDecrease * p.t * this.#start.slope;
  }

  #isFlat(p: Point): boolean {
    return Math.abs(p.slope) <= -curvature * this.#start.slope;
  }

  /** A point that satisfies the conditions, or two that enclose one. */
  #bracket(first: Point): { bracket: Point[]; done: boolean } {
    let previous = this.#start;
    let current = first;
    while (this.#iterations < this.#options.maxIterations) {
      const rises = this.#iterations > 1 && current.loss >= previous.loss;
      if (this.#decreasesTooLittle(current) || rises) {
        return { bracket: [previous, current], done: false };
      }
      if (this.#isFlat(current)) return { bracket: [current], done: true };
      if (current.slope >= 0) return { bracket: [previous, current], done: false };
      const least = current.t + 0.01 * (current.t - previous.t);
      const t = cubicMinimum(previous, current, least, current.t * 10);
      previous = current;
      current = this.#at(t);
      ++this.#iterations;
    }
    return { bracket: [this.#start, current], done: false };
  }

  #zoom(bracket: Point[]): Point {
    let [low, high] = bracket as [Point, Point];
    if (!(low.loss <= high.loss)) [low, high] = [high, low];
    let slow = false;
    while (this.#iterations < this.#options.maxIterations) {
      const width = Math.abs(high.t - low.t);
      if (width * this.#options.directionSize < this.#options.toleranceChange) break;
      const trial = this.#trial(low, high, slow);
      slow = trial.slow;
      const p = this.#at(trial.t);
      ++this.#iterations;
      if (this.#decreasesTooLittle(p) || p.loss >= low.loss) {
        high = p;
        if (!(low.loss <= high.loss)) [low, high] = [high, low];
        continue;
      }
      if (this.#isFlat(p)) return p;
      if (p.slope * (high.t - low.t) >= 0) high = low;
      low = p;
    }
    return low;
  }

  /** The next distance to try; moved off the ends when it stays near them. */
  #trial(low: Point, high: Point, slow: boolean): { t: number; slow: boolean } {
    const t = cubicMinimum(low, high);
    const least = Math.min(low.t, high.t);
    const most = Math.max(low.t, high.t);
    const margin = 0.1 * (most - least);
    if (!(Math.min(most - t, t - least) < margin)) return { t, slow: false };
    if (!slow && t < most && t > least) return { t, slow: true };
    const nearMost = Math.abs(t - most) < Math.abs(t - least);
    return { t: nearMost ? most - margin : least + margin, slow: false };
  }
}
