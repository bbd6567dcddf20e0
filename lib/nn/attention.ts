/** Attention of several heads as a layer. */
import { makeError } from '../errors';
import { empty } from '../ops.gen';
import { Tensor } from '../tensor';
import { multiHeadAttentionForward } from './functional/attention';
import { constant_, xavierNormal_, xavierUniform_ } from './init';
import { Linear } from './linear';
import { type FieldNames, Module } from './module';
import {
  badArgument,
  bool,
  type FactoryOptions,
  factory,
  optionalInt,
  optionalTensor,
  probability,
  readOptions,
  requiredInt,
} from './options';
import { Parameter } from './parameter';

export interface MultiheadAttentionOptions extends FactoryOptions {
  /** Dropout on the attention weights. Default 0. */
  readonly dropout?: number | undefined;
  /** Default true. */
  readonly bias?: boolean | undefined;
  /** Append a learned key and value. Default false. */
  readonly addBiasKv?: boolean | undefined;
  /** Append a key and value of zeros. Default false. */
  readonly addZeroAttn?: boolean | undefined;
  /** Sizes of keys and values. Default embedDim. */
  readonly kdim?: number | null | undefined;
  readonly vdim?: number | null | undefined;
  /** Tensors are [N, L, E] instead of [L, N, E]. Default false. */
  readonly batchFirst?: boolean | undefined;
}

export interface AttentionCallOptions {
  /** [N, S]: true where a key is left out. */
  readonly keyPaddingMask?: Tensor | null | undefined;
  /** Return the weights too. Default true. */
  readonly needWeights?: boolean | undefined;
  /** [L, S] or [N * heads, L, S]: true where attention is not allowed, or numbers to add. */
  readonly attnMask?: Tensor | null | undefined;
  /** Mean of the weights over heads. Default true. */
  readonly averageAttnWeights?: boolean | undefined;
  /** A hint that attnMask is causal. Default false. */
  readonly isCausal?: boolean | undefined;
}

const spec = {
  dropout: probability(0),
  bias: bool(true),
  addBiasKv: bool(false),
  addZeroAttn: bool(false),
  kdim: optionalInt(null, 1),
  vdim: optionalInt(null, 1),
  batchFirst: bool(false),
  ...factory,
};

const callSpec = {
  keyPaddingMask: optionalTensor,
  needWeights: bool(true),
  attnMask: optionalTensor,
  averageAttnWeights: bool(true),
  isCausal: bool(false),
};

/** Attention of several heads over learned projections. Vaswani et al. 2017. */
export class MultiheadAttention extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  readonly embedDim: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly kdim: number;
  readonly vdim: number;
  readonly batchFirst: boolean;
  readonly addZeroAttn: boolean;
  dropout: number;
  inProjWeight: Parameter | null = null;
  qProjWeight: Parameter | null = null;
  kProjWeight: Parameter | null = null;
  vProjWeight: Parameter | null = null;
  inProjBias: Parameter | null = null;
  outProj: Linear;
  biasK: Parameter | null = null;
  biasV: Parameter | null = null;

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    const name = new.target.name;
    const read = readOptions(name, spec, options);
    this.embedDim = requiredInt(1)(name, 'embedDim', embedDim);
    this.numHeads = requiredInt(1)(name, 'numHeads', numHeads);
    if (embedDim % numHeads !== 0) {
      throw makeError(
        'ERR_VALUE',
        `${name}: argument 'embedDim' must be divisible by numHeads, got ${embedDim} and ${numHeads}`,
      );
    }
    this.headDim = embedDim / numHeads;
    this.kdim = read.kdim ?? embedDim;
    this.vdim = read.vdim ?? embedDim;
    this.dropout = read.dropout;
    this.batchFirst = read.batchFirst;
    this.addZeroAttn = read.addZeroAttn;
    const place = { dtype: read.dtype, device: read.device };
    const parameter = (...size: number[]): Parameter => new Parameter(empty(size, place));
    if (this.kdim === embedDim && this.vdim === embedDim) {
      this.inProjWeight = parameter(3 * embedDim, embedDim);
    } else {
      this.qProjWeight = parameter(embedDim, embedDim);
      this.kProjWeight = parameter(embedDim, this.kdim);
      this.vProjWeight = parameter(embedDim, this.vdim);
    }
    if (read.bias) this.inProjBias = parameter(3 * embedDim);
    this.outProj = new Linear(embedDim, embedDim, { bias: read.bias, ...place });
    if (read.addBiasKv) {
      this.biasK = parameter(1, 1, embedDim);
      this.biasV = parameter(1, 1, embedDim);
    }
    this.resetParameters();
  }

  resetParameters(): void {
    for (const w of [this.inProjWeight, this.qProjWeight, this.kProjWeight, this.vProjWeight]) {
      if (w !== null) xavierUniform_(w);
    }
    if (this.inProjBias !== null) constant_(this.inProjBias, 0);
    if (this.outProj.bias !== null) constant_(this.outProj.bias, 0);
    if (this.biasK !== null) xavierNormal_(this.biasK);
    if (this.biasV !== null) xavierNormal_(this.biasV);
  }

  private check(what: string, t: Tensor, dims: number, size: number): void {
    const name = this.constructor.name;
    if (!(t instanceof Tensor)) throw badArgument(name, what, 'a Tensor', t);
    if (t.ndim !== dims || (dims !== 2 && dims !== 3) || t.size(-1) !== size) {
      throw makeError(
        'ERR_SHAPE',
        `${name}: argument '${what}' must have 2 or 3 dimensions, as many as the query, and last ` +
          `size ${size}, got shape [${t.shape.join(', ')}]`,
      );
    }
  }

  /**
   * query [L, N, E], key [S, N, kdim], value [S, N, vdim]; without N for a single sample; N first
   * with batchFirst.
   * @returns the result, shaped as the query, and the weights (or null).
   */
  override forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: AttentionCallOptions = {},
  ): [Tensor, Tensor | null] {
    const read = readOptions(this.constructor.name, callSpec, options);
    this.check('query', query, query.ndim, this.embedDim);
    this.check('key', key, query.ndim, this.kdim);
    this.check('value', value, query.ndim, this.vdim);
    const batched = query.ndim === 3;
    // The same tensors stay the same: then one product projects all three.
    const seen = new Map<Tensor, Tensor>();
    const arrange = (t: Tensor): Tensor => {
      let out = seen.get(t);
      if (out === undefined) {
        out = batched && this.batchFirst ? t.transpose(0, 1) : t;
        seen.set(t, out);
      }
      return out;
    };
    const { inProjWeight, outProj } = this;
    const [output, weights] = multiHeadAttentionForward(
      arrange(query),
      arrange(key),
      arrange(value),
      this.embedDim,
      this.numHeads,
      inProjWeight,
      this.inProjBias,
      this.biasK,
      this.biasV,
      this.addZeroAttn,
      this.dropout,
      outProj.weight,
      outProj.bias,
      {
        ...read,
        training: this.training,
        useSeparateProjWeight: inProjWeight === null,
        qProjWeight: this.qProjWeight,
        kProjWeight: this.kProjWeight,
        vProjWeight: this.vProjWeight,
      },
    );
    return [batched && this.batchFirst ? output.transpose(0, 1) : output, weights];
  }
}
