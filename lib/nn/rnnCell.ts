/** Single recurrent steps as layers: RNNCell, LSTMCell, GRUCell. */
import { makeError } from '../errors';
import { empty, zeros } from '../ops.gen';
import { Tensor } from '../tensor';
import { linear } from './functional/linear';
import { uniform_ } from './init';
import { type FieldNames, Module } from './module';
import {
  badArgument,
  bool,
  choice,
  type FactoryOptions,
  factory,
  readOptions,
  requiredInt,
} from './options';
import { Parameter } from './parameter';
import { type CellWeights, gateCounts, type RnnMode, type State, steps } from './rnnLoop';

export interface CellOptions extends FactoryOptions {
  /** Default true. */
  readonly bias?: boolean | undefined;
}

export interface RNNCellOptions extends CellOptions {
  /** Default 'tanh'. */
  readonly nonlinearity?: 'tanh' | 'relu' | undefined;
}

const spec = { bias: bool(true), ...factory };
const rnnSpec = { ...spec, nonlinearity: choice(['tanh', 'relu'], 'tanh') };

type Read = { [K in keyof typeof spec]: ReturnType<(typeof spec)[K]> };

/** What the cells share. PyTorch: `RNNCellBase`. */
export abstract class RNNCellBase extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  readonly inputSize: number;
  readonly hiddenSize: number;
  weightIh: Parameter;
  weightHh: Parameter;
  biasIh: Parameter | null = null;
  biasHh: Parameter | null = null;

  constructor(
    readonly mode: RnnMode,
    inputSize: number,
    hiddenSize: number,
    { bias, dtype, device }: Read,
  ) {
    super();
    const name = new.target.name;
    this.inputSize = requiredInt(1)(name, 'inputSize', inputSize);
    this.hiddenSize = requiredInt(1)(name, 'hiddenSize', hiddenSize);
    const rows = gateCounts[mode] * hiddenSize;
    this.weightIh = new Parameter(empty([rows, inputSize], { dtype, device }));
    this.weightHh = new Parameter(empty([rows, hiddenSize], { dtype, device }));
    if (bias) {
      this.biasIh = new Parameter(empty([rows], { dtype, device }));
      this.biasHh = new Parameter(empty([rows], { dtype, device }));
    }
    this.resetParameters();
  }

  /** Draws new initial values: U(-1/sqrt(hiddenSize), 1/sqrt(hiddenSize)). */
  resetParameters(): void {
    const bound = 1 / Math.sqrt(this.hiddenSize);
    for (const p of this.parameters()) uniform_(p, -bound, bound);
  }

  private check(what: string, t: Tensor, size: number): void {
    if (!(t instanceof Tensor)) throw badArgument(this.constructor.name, what, 'a Tensor', t);
    if ((t.ndim !== 1 && t.ndim !== 2) || t.size(-1) !== size) {
      throw makeError(
        'ERR_SHAPE',
        `${this.constructor.name}: argument '${what}' must have shape [N, ${size}] or [${size}], ` +
          `got [${t.shape.join(', ')}]`,
      );
    }
  }

  protected step(input: Tensor, given: readonly Tensor[] | null): State {
    this.check('input', input, this.inputSize);
    given?.forEach((s) => this.check('hx', s, this.hiddenSize));
    const { dtype, device } = input;
    const size = [...input.shape.slice(0, -1), this.hiddenSize];
    const count = this.mode === 'LSTM' ? 2 : 1;
    const state = given ?? Array.from({ length: count }, () => zeros(size, { dtype, device }));
    const weights: CellWeights = {
      ih: this.weightIh,
      hh: this.weightHh,
      bih: this.biasIh,
      bhh: this.biasHh,
      hr: null,
    };
    return steps[this.mode](linear(input, weights.ih, weights.bih), state, weights);
  }

  override extraRepr(): string {
    const bias = this.biasIh === null ? ', bias=false' : '';
    return `${this.inputSize}, ${this.hiddenSize}${bias}`;
  }
}

/** h' = tanh(W_ih x + b_ih + W_hh h + b_hh); input [N, inputSize], state [N, hiddenSize]. */
export class RNNCell extends RNNCellBase {
  readonly nonlinearity: 'tanh' | 'relu';

  constructor(inputSize: number, hiddenSize: number, options: RNNCellOptions = {}) {
    const read = readOptions(new.target.name, rnnSpec, options);
    super(read.nonlinearity === 'relu' ? 'RNN_RELU' : 'RNN_TANH', inputSize, hiddenSize, read);
    this.nonlinearity = read.nonlinearity;
  }

  override forward(input: Tensor, hx?: Tensor | null): Tensor {
    return this.step(input, hx === undefined || hx === null ? null : [hx])[0] as Tensor;
  }

  override extraRepr(): string {
    const { nonlinearity } = this;
    return super.extraRepr() + (nonlinearity === 'tanh' ? '' : `, nonlinearity=${nonlinearity}`);
  }
}

/** One step of gated recurrent units. */
export class GRUCell extends RNNCellBase {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super('GRU', inputSize, hiddenSize, readOptions(new.target.name, spec, options));
  }

  override forward(input: Tensor, hx?: Tensor | null): Tensor {
    return this.step(input, hx === undefined || hx === null ? null : [hx])[0] as Tensor;
  }
}

/** One step of long short-term memory: returns [h', c']. */
export class LSTMCell extends RNNCellBase {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super('LSTM', inputSize, hiddenSize, readOptions(new.target.name, spec, options));
  }

  override forward(
    input: Tensor,
    hx?: readonly [h: Tensor, c: Tensor] | null,
  ): [h: Tensor, c: Tensor] {
    if (hx !== undefined && hx !== null && !(Array.isArray(hx) && hx.length === 2)) {
      throw badArgument(this.constructor.name, 'hx', 'a pair of Tensors [h, c]', hx);
    }
    return this.step(input, hx ?? null) as [Tensor, Tensor];
  }
}
