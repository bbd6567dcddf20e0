/** Random arguments for random ops: mostly plausible, often not. */
import { callOp, type DType, dtypes, type NativeArgument, tensor, type Tensor } from '../../lib';
import { Random } from '../ops/support/random';

const sizes = [0, 1, 1, 2, 2, 3, 4, 5, 7];
const numbers = [
  0,
  1,
  -1,
  2,
  3,
  0.5,
  -2.5,
  1e30,
  NaN,
  Infinity,
  -Infinity,
  2 ** 53,
  -(2 ** 63),
  2 ** 63,
];
// Sizes are small or beyond any memory: nothing between, which would only take time.
const integers = [0, 0, 1, 1, 2, 3, -1, -2, -3, 5, 100, 2 ** 45, -(2 ** 31), 2 ** 53, 2 ** 62];
const strings = [
  'none',
  'mean',
  'sum',
  'trunc',
  'floor',
  'tanh',
  'constant',
  'reflect',
  'linear',
  '',
  'x',
];
const wrong: readonly unknown[] = [
  null,
  undefined,
  'text',
  {},
  [],
  Symbol.iterator,
  10n ** 30n,
  true,
  NaN,
];

export class Generator {
  readonly random: Random;
  /** Tensors of this call share shapes now and then, so that calls get past the checks. */
  #shape: number[] = [];
  #dtype: DType = 'float32';

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  #chance(p: number): boolean {
    return this.random.next() < p;
  }

  shape(): number[] {
    return Array.from({ length: this.random.pick([0, 1, 1, 2, 2, 2, 3, 3, 4, 5]) }, () =>
      this.random.pick(sizes),
    );
  }

  /** A shape that often fits the one before: equal, broadcast, transposed, one size changed. */
  #related(): number[] {
    const s = [...this.#shape];
    const roll = this.random.next();
    if (roll < 0.45) return s;
    if (roll < 0.6) return s.map((n) => (this.#chance(0.5) ? 1 : n));
    if (roll < 0.7) return s.slice(1);
    if (roll < 0.8) return s.reverse();
    if (roll < 0.9 && s.length > 0) {
      s[this.random.integer(0, s.length - 1)] = this.random.pick(sizes);
      return s;
    }
    return this.shape();
  }

  /** Starts a call. */
  begin(declared: readonly string[]): void {
    this.#shape = this.shape();
    this.#dtype = (
      this.#chance(0.8) && declared.length > 0
        ? this.random.pick(declared)
        : this.random.pick(dtypes)
    ) as DType;
  }

  tensor(): Tensor {
    const shape = this.#related();
    const dtype = this.#chance(0.85) ? this.#dtype : this.random.pick(dtypes);
    const index = this.#chance(0.12);
    const n = shape.reduce((a, b) => a * b, 1);
    const values = Float64Array.from({ length: n }, () =>
      index
        ? this.random.integer(-1, 4)
        : this.#chance(0.05)
          ? this.random.pick(numbers)
          : this.random.uniform(-4, 4),
    );
    const wide = tensor(values).view(shape);
    let t = wide.to(index ? 'int64' : dtype);
    if (t.isFloatingPoint() && this.#chance(0.3)) t = t.detach().requiresGrad_();
    return this.#strided(t);
  }

  /** The same tensor, or a view with other strides. */
  #strided(t: Tensor): Tensor {
    const roll = this.random.next();
    if (t.ndim >= 2 && roll < 0.15) return t.transpose(0, t.ndim - 1);
    if (t.ndim >= 1 && roll < 0.25) return callOp('slice', [t, 0, 0, null, 2]) as Tensor;
    if (t.ndim >= 1 && t.shape[0] === 1 && roll < 0.6) return t.expand([3, ...t.shape.slice(1)]);
    if (roll > 0.995) t.dispose();
    return t;
  }

  integer(): number {
    return this.#chance(0.85) ? this.random.integer(-2, 4) : this.random.pick(integers);
  }

  integers(): number[] | number {
    if (this.#chance(0.15)) return this.integer();
    if (this.#chance(0.4)) return this.#related();
    return Array.from({ length: this.random.integer(0, 4) }, () => this.integer());
  }

  number(): number | bigint | boolean {
    if (this.#chance(0.05)) return this.#chance(0.5);
    if (this.#chance(0.05)) return BigInt(this.random.integer(-5, 5));
    return this.#chance(0.6) ? this.random.integer(-2, 4) : this.random.pick(numbers);
  }

  argument(a: NativeArgument): unknown {
    if (this.#chance(0.02)) return this.random.pick(wrong);
    const optional = a.type.endsWith('?');
    if (optional && this.#chance(0.3)) return null;
    switch (a.type.replace('?', '')) {
      case 'Tensor':
        return this.tensor();
      case 'Tensor|Scalar':
        return this.#chance(0.6) ? this.tensor() : this.number();
      case 'Tensor[]':
        return Array.from({ length: this.random.integer(0, 3) }, () => this.tensor());
      case 'Scalar':
        return this.number();
      case 'float':
        return this.#chance(0.7) ? this.random.uniform(-2, 2) : this.random.pick(numbers);
      case 'int':
        return this.integer();
      case 'bool':
        return this.#chance(0.5);
      case 'int[]':
        return this.integers();
      case 'int[]|str':
        return this.#chance(0.3) ? this.random.pick(strings) : this.integers();
      case 'Scalar|str':
        return this.#chance(0.5) ? this.random.pick([...strings, 'fro', 'nuc']) : this.number();
      case 'Tensor|float[]':
      case 'float[]':
        return Array.from({ length: this.random.integer(0, 3) }, () => this.random.uniform(-2, 2));
      case 'str':
        return a.default !== '' && this.#chance(0.5)
          ? a.default.replace(/'/g, '')
          : this.random.pick(strings);
      case 'ScalarType':
        return this.random.pick(dtypes);
      case 'Device':
        return this.random.pick(['cpu', 'cpu', 'cpu', 'cuda', 'cuda:1', 'x']);
      default:
        throw new Error(`no generator for arguments of type ${a.type}`);
    }
  }
}
