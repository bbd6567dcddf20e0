/** Recurrent networks of several layers and directions: RNN, LSTM, GRU. */
import { makeError } from '../errors';
import { cat, empty, stack, zeros } from '../ops.gen';
import { Tensor } from '../tensor';
import { dropout } from './functional/dropout';
import { uniform_ } from './init';
import { type FieldNames, Module } from './module';
import {
  badArgument,
  bool,
  choice,
  type FactoryOptions,
  factory,
  int,
  probability,
  readOptions,
  requiredInt,
} from './options';
import { Parameter } from './parameter';
import {
  type CellWeights,
  gateCounts,
  type RnnMode,
  type Rows,
  runDirection,
  type State,
  steps,
} from './rnnLoop';
import { PackedSequence } from './utils/rnn';

export interface RNNBaseOptions extends FactoryOptions {
  /** Default 1. */
  readonly numLayers?: number | undefined;
  /** Default true. */
  readonly bias?: boolean | undefined;
  /** Input and output are [N, T, ...] instead of [T, N, ...]. Default false. */
  readonly batchFirst?: boolean | undefined;
  /** Dropout on the outputs of all layers but the last. Default 0. */
  readonly dropout?: number | undefined;
  /** Default false. */
  readonly bidirectional?: boolean | undefined;
}

export interface RNNOptions extends RNNBaseOptions {
  /** Default 'tanh'. */
  readonly nonlinearity?: 'tanh' | 'relu' | undefined;
}

export interface LSTMOptions extends RNNBaseOptions {
  /** Size of a projection of the hidden state; 0 for none. */
  readonly projSize?: number | undefined;
}

const baseSpec = {
  numLayers: int(1, 1),
  bias: bool(true),
  batchFirst: bool(false),
  dropout: probability(0),
  bidirectional: bool(false),
  ...factory,
};

const fullSpec = {
  ...baseSpec,
  nonlinearity: choice(['tanh', 'relu'], 'tanh'),
  projSize: int(0),
};

type Read = { [K in keyof typeof fullSpec]: ReturnType<(typeof fullSpec)[K]> };

/** What the recurrent networks share: weights by layer and direction, and the run over them. */
export abstract class RNNBase extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly bias: boolean;
  readonly batchFirst: boolean;
  dropout: number;
  readonly bidirectional: boolean;
  readonly projSize: number;

  constructor(
    readonly mode: RnnMode,
    inputSize: number,
    hiddenSize: number,
    options: Read,
  ) {
    super();
    const name = new.target.name;
    this.inputSize = requiredInt(1)(name, 'inputSize', inputSize);
    this.hiddenSize = requiredInt(1)(name, 'hiddenSize', hiddenSize);
    this.numLayers = options.numLayers;
    this.bias = options.bias;
    this.batchFirst = options.batchFirst;
    this.dropout = options.dropout;
    this.bidirectional = options.bidirectional;
    this.projSize = options.projSize;
    if (this.projSize >= hiddenSize) {
      throw badArgument(name, 'projSize', 'smaller than hiddenSize', this.projSize, 'ERR_VALUE');
    }
    for (const [layer, suffix] of this.directions()) this.addWeights(layer, suffix, options);
    this.resetParameters();
  }

  /** Layer and suffix of each direction, in the order of weights and states. */
  private directions(): [number, string][] {
    const out: [number, string][] = [];
    for (let layer = 0; layer < this.numLayers; ++layer) {
      out.push([layer, `L${layer}`]);
      if (this.bidirectional) out.push([layer, `L${layer}Reverse`]);
    }
    return out;
  }

  private addWeights(layer: number, suffix: string, { dtype, device }: Read): void {
    const { hiddenSize, projSize } = this;
    const rows = gateCounts[this.mode] * hiddenSize;
    const output = projSize > 0 ? projSize : hiddenSize;
    const input = layer === 0 ? this.inputSize : output * (this.bidirectional ? 2 : 1);
    const add = (field: string, size: number[]): void => {
      this.registerParameter(field + suffix, new Parameter(empty(size, { dtype, device })));
    };
    add('weightIh', [rows, input]);
    add('weightHh', [rows, output]);
    if (this.bias) {
      add('biasIh', [rows]);
      add('biasHh', [rows]);
    }
    if (projSize > 0) add('weightHr', [projSize, hiddenSize]);
  }

  private weights(suffix: string): CellWeights {
    const fields = this as unknown as Record<string, Parameter | undefined>;
    return {
      ih: fields[`weightIh${suffix}`] as Parameter,
      hh: fields[`weightHh${suffix}`] as Parameter,
      bih: fields[`biasIh${suffix}`] ?? null,
      bhh: fields[`biasHh${suffix}`] ?? null,
      hr: fields[`weightHr${suffix}`] ?? null,
    };
  }

  /** Weights of each layer and direction, by name: `allWeights()[1]` belongs to `..._l0_reverse`. */
  allWeights(): CellWeights[] {
    return this.directions().map(([, suffix]) => this.weights(suffix));
  }

  /** Draws new initial values: U(-1/sqrt(hiddenSize), 1/sqrt(hiddenSize)). */
  resetParameters(): void {
    const bound = 1 / Math.sqrt(this.hiddenSize);
    for (const p of this.parameters()) uniform_(p, -bound, bound);
  }

  /** Exists for PyTorch's sake: weights need no flattening here. */
  flattenParameters(): void {}

  private checkInput(input: Tensor, packed: boolean): void {
    const dims = packed ? [2] : [2, 3];
    if (!dims.includes(input.ndim) || input.size(-1) !== this.inputSize) {
      throw makeError(
        'ERR_SHAPE',
        `${this.constructor.name}: expected input of ${dims.join(' or ')} dimensions whose last ` +
          `size is ${this.inputSize}, got shape [${input.shape.join(', ')}]`,
      );
    }
  }

  /** States [layers * directions, N, size] as a list by direction; zeros where none were given. */
  private initial(hx: readonly Tensor[] | null, n: number, like: Tensor): State[] {
    const { hiddenSize, projSize } = this;
    const sizes = [projSize > 0 ? projSize : hiddenSize];
    if (this.mode === 'LSTM') sizes.push(hiddenSize);
    const count = this.numLayers * (this.bidirectional ? 2 : 1);
    const { dtype, device } = like;
    const given = hx ?? sizes.map((size) => zeros([count, n, size], { dtype, device }));
    given.forEach((state, i) => {
      const want = [count, n, sizes[i] as number];
      if (!(state instanceof Tensor) || String(state.shape) !== String(want)) {
        throw makeError(
          'ERR_SHAPE',
          `${this.constructor.name}: expected hidden state of shape [${want.join(', ')}], got ` +
            (state instanceof Tensor ? `[${state.shape.join(', ')}]` : String(state)),
        );
      }
    });
    const lists = given.map((state) => state.unbind(0));
    return Array.from({ length: count }, (_, k) => lists.map((list) => list[k] as Tensor));
  }

  private runLayers(rows: Rows, initial: readonly State[]): { output: Tensor; states: State[] } {
    const step = steps[this.mode];
    const perLayer = this.bidirectional ? 2 : 1;
    const directions = this.directions();
    const states: State[] = [];
    let { data } = rows;
    for (let layer = 0; layer < this.numLayers; ++layer) {
      const outputs: Tensor[] = [];
      for (let d = 0; d < perLayer; ++d) {
        const k = layer * perLayer + d;
        const [, suffix] = directions[k] as [number, string];
        const weights = this.weights(suffix);
        const start = initial[k] as State;
        const run = runDirection(step, { data, sizes: rows.sizes }, start, weights, d === 1);
        outputs.push(run.output);
        states.push(run.state);
      }
      data = outputs.length === 1 ? (outputs[0] as Tensor) : cat(outputs, -1);
      if (this.dropout > 0 && this.training && layer + 1 < this.numLayers) {
        data = dropout(data, this.dropout);
      }
    }
    return { output: data, states };
  }

  private joinStates(states: readonly State[]): Tensor[] {
    return (states[0] as State).map((_, i) => stack(states.map((s) => s[i] as Tensor)));
  }

  /** For subclasses: outputs and the last states, [layers * directions, N, size] each. */
  protected run(
    input: Tensor | PackedSequence,
    hx: readonly Tensor[] | null,
  ): { output: Tensor | PackedSequence; states: Tensor[] } {
    if (input instanceof PackedSequence) return this.runPacked(input, hx);
    if (!(input instanceof Tensor)) {
      throw badArgument(this.constructor.name, 'input', 'a Tensor or PackedSequence', input);
    }
    this.checkInput(input, false);
    const batched = input.ndim === 3;
    let x = batched ? input : input.unsqueeze(batched || !this.batchFirst ? 1 : 0);
    if (this.batchFirst) x = x.transpose(0, 1);
    const [length = 0, n = 0] = x.shape;
    if (length === 0) {
      throw makeError('ERR_SHAPE', `${this.constructor.name}: expected at least one time step`);
    }
    const states = batched ? hx : (hx?.map((s) => s.unsqueeze(1)) ?? null);
    const rows = {
      data: x.reshape([length * n, this.inputSize]),
      sizes: new Array<number>(length).fill(n),
    };
    const result = this.runLayers(rows, this.initial(states, n, input));
    let output = result.output.view([length, n, -1]);
    if (this.batchFirst) output = output.transpose(0, 1);
    const last = this.joinStates(result.states);
    if (batched) return { output, states: last };
    return {
      output: output.squeeze(this.batchFirst ? 0 : 1),
      states: last.map((s) => s.squeeze(1)),
    };
  }

  private runPacked(
    input: PackedSequence,
    hx: readonly Tensor[] | null,
  ): { output: PackedSequence; states: Tensor[] } {
    this.checkInput(input.data, true);
    const { batchSizes, sortedIndices, unsortedIndices } = input;
    const permute = (list: readonly Tensor[], index: Tensor | null): Tensor[] =>
      list.map((s) => (index === null ? s : s.indexSelect(1, index)));
    const states = hx === null ? null : permute(hx, sortedIndices);
    const initial = this.initial(states, batchSizes[0] ?? 0, input.data);
    const result = this.runLayers({ data: input.data, sizes: batchSizes }, initial);
    return {
      output: input.with(result.output),
      states: permute(this.joinStates(result.states), unsortedIndices),
    };
  }

  override extraRepr(): string {
    let text = `${this.inputSize}, ${this.hiddenSize}`;
    if (this.projSize !== 0) text += `, projSize=${this.projSize}`;
    if (this.numLayers !== 1) text += `, numLayers=${this.numLayers}`;
    if (!this.bias) text += ', bias=false';
    if (this.batchFirst) text += ', batchFirst=true';
    if (this.dropout !== 0) text += `, dropout=${this.dropout}`;
    if (this.bidirectional) text += ', bidirectional=true';
    return text;
  }
}

/**
 * Elman network: h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh). Input [T, N, inputSize],
 * output [T, N, directions * hiddenSize], state [layers * directions, N, hiddenSize].
 */
export class RNN extends RNNBase {
  readonly nonlinearity: 'tanh' | 'relu';

  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    const { projSize: _, ...spec } = fullSpec;
    const read = readOptions(new.target.name, spec, options);
    const mode = read.nonlinearity === 'relu' ? 'RNN_RELU' : 'RNN_TANH';
    super(mode, inputSize, hiddenSize, { ...read, projSize: 0 });
    this.nonlinearity = read.nonlinearity;
  }

  override forward(input: PackedSequence, hx?: Tensor | null): [PackedSequence, Tensor];
  override forward(input: Tensor, hx?: Tensor | null): [Tensor, Tensor];
  override forward(
    input: Tensor | PackedSequence,
    hx?: Tensor | null,
  ): [Tensor | PackedSequence, Tensor] {
    const { output, states } = this.run(input, hx === undefined || hx === null ? null : [hx]);
    return [output, states[0] as Tensor];
  }
}

/** Gated recurrent units; shapes as for {@link RNN}. */
export class GRU extends RNNBase {
  constructor(inputSize: number, hiddenSize: number, options: RNNBaseOptions = {}) {
    const read = readOptions(new.target.name, baseSpec, options);
    super('GRU', inputSize, hiddenSize, { ...read, projSize: 0, nonlinearity: 'tanh' });
  }

  override forward(input: PackedSequence, hx?: Tensor | null): [PackedSequence, Tensor];
  override forward(input: Tensor, hx?: Tensor | null): [Tensor, Tensor];
  override forward(
    input: Tensor | PackedSequence,
    hx?: Tensor | null,
  ): [Tensor | PackedSequence, Tensor] {
    const { output, states } = this.run(input, hx === undefined || hx === null ? null : [hx]);
    return [output, states[0] as Tensor];
  }
}

export type LSTMState = readonly [h: Tensor, c: Tensor];

/** Long short-term memory; the state is [h, c]. Shapes as for {@link RNN}. */
export class LSTM extends RNNBase {
  constructor(inputSize: number, hiddenSize: number, options: LSTMOptions = {}) {
    const { nonlinearity: _, ...spec } = fullSpec;
    const read = readOptions(new.target.name, spec, options);
    super('LSTM', inputSize, hiddenSize, { ...read, nonlinearity: 'tanh' });
  }

  override forward(
    input: PackedSequence,
    hx?: LSTMState | null,
  ): [PackedSequence, [Tensor, Tensor]];
  override forward(input: Tensor, hx?: LSTMState | null): [Tensor, [Tensor, Tensor]];
  override forward(
    input: Tensor | PackedSequence,
    hx?: LSTMState | null,
  ): [Tensor | PackedSequence, [Tensor, Tensor]] {
    if (hx !== undefined && hx !== null && !(Array.isArray(hx) && hx.length === 2)) {
      throw badArgument(this.constructor.name, 'hx', 'a pair of Tensors [h, c]', hx);
    }
    const { output, states } = this.run(input, hx ?? null);
    return [output, states as [Tensor, Tensor]];
  }
}
