/** Attention of several heads. PyTorch: `torch.nn.functional.multi_head_attention_forward`. */
import { makeError } from '../../errors';
import { cat, scaledDotProductAttention, where, zeros } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { bool, optionalTensor, type Read, readOptions } from '../options';
import { dropout } from './dropout';
import { linear } from './linear';

export { scaledDotProductAttention } from '../../ops.gen';

const name = 'multiHeadAttentionForward';

export interface MultiHeadAttentionOptions {
  /** Dropout applies. Default true. */
  readonly training?: boolean | undefined;
  /** [N, S]: true (or -inf) where a key is left out. */
  readonly keyPaddingMask?: Tensor | null | undefined;
  /** Return the weights too. Default true. */
  readonly needWeights?: boolean | undefined;
  /** [L, S] or [N * heads, L, S]: true where attention is not allowed, or numbers to add. */
  readonly attnMask?: Tensor | null | undefined;
  /** One matrix for each projection instead of `inProjWeight`. Default false. */
  readonly useSeparateProjWeight?: boolean | undefined;
  readonly qProjWeight?: Tensor | null | undefined;
  readonly kProjWeight?: Tensor | null | undefined;
  readonly vProjWeight?: Tensor | null | undefined;
  /** Keys [N * heads, S, E / heads] to use instead of projected ones. */
  readonly staticK?: Tensor | null | undefined;
  /** Values [N * heads, S, E / heads] to use instead of projected ones. */
  readonly staticV?: Tensor | null | undefined;
  /** Mean of the weights over heads. Default true. */
  readonly averageAttnWeights?: boolean | undefined;
  /** A hint that attnMask is causal. Default false. */
  readonly isCausal?: boolean | undefined;
}

const spec = {
  training: bool(true),
  keyPaddingMask: optionalTensor,
  needWeights: bool(true),
  attnMask: optionalTensor,
  useSeparateProjWeight: bool(false),
  qProjWeight: optionalTensor,
  kProjWeight: optionalTensor,
  vProjWeight: optionalTensor,
  staticK: optionalTensor,
  staticV: optionalTensor,
  averageAttnWeights: bool(true),
  isCausal: bool(false),
};

type HeadOptions = Read<typeof spec>;

function shapeError(what: string, t: Tensor, want: string): Error {
  return makeError(
    'ERR_SHAPE',
    `${name}: argument '${what}' must have shape ${want}, got [${t.shape.join(', ')}]`,
  );
}

function checkShape(what: string, t: Tensor, want: readonly number[]): void {
  if (String(t.shape) !== String(want)) throw shapeError(what, t, `[${want.join(', ')}]`);
}

/** Masks as numbers to add: -inf where a boolean mask says true. */
function additive(what: string, mask: Tensor | null, like: Tensor): Tensor | null {
  if (mask === null) return null;
  if (mask.dtype === 'bool') {
    return where(mask, -Infinity, zeros([], { dtype: like.dtype, device: like.device }));
  }
  if (!mask.isFloatingPoint()) {
    throw makeError(
      'ERR_DTYPE',
      `${name}: argument '${what}' must be bool or floating point, got ${mask.dtype}`,
    );
  }
  return mask.to(like.dtype);
}

type Three = [q: Tensor, k: Tensor, v: Tensor];

/** Queries, keys, values after their projections. */
function project(
  [q, k, v]: Three,
  inProj: Tensor | null,
  bias: Tensor | null,
  options: HeadOptions,
): Three {
  const biases = bias?.chunk(3, 0) ?? [null, null, null];
  const each = (weights: readonly Tensor[]): Three =>
    [q, k, v].map((x, i) => linear(x, weights[i] as Tensor, biases[i])) as Three;
  if (options.useSeparateProjWeight) {
    const weights = [options.qProjWeight, options.kProjWeight, options.vProjWeight];
    if (weights.includes(null)) {
      throw makeError(
        'ERR_VALUE',
        `${name}: useSeparateProjWeight needs qProjWeight, kProjWeight and vProjWeight`,
      );
    }
    return each(weights as Tensor[]);
  }
  if (inProj === null) {
    throw makeError('ERR_VALUE', `${name}: argument 'inProjWeight' must be given`);
  }
  if (q === k && k === v) return linear(q, inProj, bias).chunk(3, -1) as Three;
  return each(inProj.chunk(3, 0));
}

interface Heads {
  readonly n: number;
  readonly heads: number;
  readonly headDim: number;
}

/** [len, N, E] -> [N, heads, len, headDim] */
function splitHeads(x: Tensor, { n, heads, headDim }: Heads): Tensor {
  return x
    .reshape([x.size(0), n * heads, headDim])
    .transpose(0, 1)
    .unflatten(0, [n, heads]);
}

/** Given keys or values [N * heads, S, headDim] in the place of projected ones. */
function fixed(what: string, x: Tensor, { n, heads, headDim }: Heads): Tensor {
  if (x.ndim !== 3 || x.size(0) !== n * heads || x.size(2) !== headDim) {
    throw shapeError(what, x, `[${n * heads}, S, ${headDim}]`);
  }
  return x.unflatten(0, [n, heads]);
}

/** One more key: a column of zeros at the end of a mask. */
function widen(mask: Tensor | null): Tensor | null {
  if (mask === null) return null;
  const { dtype, device } = mask;
  return cat([mask, zeros([...mask.shape.slice(0, -1), 1], { dtype, device })], -1);
}

/** The sum of both masks in a shape that broadcasts to [N, heads, L, S]. */
function joinMasks(
  attn: Tensor | null,
  padding: Tensor | null,
  { n, heads }: Heads,
): Tensor | null {
  const wide = attn === null || attn.ndim === 2 ? attn : attn.unflatten(0, [n, heads]);
  if (padding === null) return wide;
  const rows = padding.unsqueeze(1).unsqueeze(1);
  return wide === null ? rows : wide.add(rows);
}

function checkArguments(
  [query, key, value]: Three,
  embedDim: number,
  heads: number,
  options: HeadOptions,
): void {
  const [length = 0, n = 0, embed = 0] = query.shape;
  if (embed !== embedDim) {
    throw shapeError('query', query, `[..., ${embedDim}] (the expected embedding dimension)`);
  }
  if (embedDim % heads !== 0) {
    throw makeError(
      'ERR_VALUE',
      `${name}: argument 'embedDimToCheck' must be divisible by numHeads, got ${embedDim} and ` +
        `${heads}`,
    );
  }
  const sources = key.size(0);
  if (options.useSeparateProjWeight) checkShape('value', value, [sources, n, value.size(-1)]);
  else checkShape('value', value, key.shape);
  const { keyPaddingMask: padding, attnMask: attn } = options;
  if (padding !== null) checkShape('keyPaddingMask', padding, [n, sources]);
  if (attn !== null) {
    const lead = attn.ndim === 3 ? [n * heads] : [];
    checkShape('attnMask', attn, [...lead, length, sources]);
  }
  if (options.isCausal && attn === null) {
    throw makeError('ERR_VALUE', `${name}: isCausal needs an attnMask`);
  }
}

interface Extra {
  readonly biasK: Tensor | null;
  readonly biasV: Tensor | null;
  readonly addZeroAttn: boolean;
}

/** Projected queries, keys and values in heads, and the mask of them. */
function prepare(
  [q, k, v]: Three,
  sizes: Heads,
  { biasK, biasV, addZeroAttn }: Extra,
  options: HeadOptions,
): { split: Three; mask: Tensor | null } {
  const { staticK, staticV } = options;
  let masks = [
    additive('attnMask', options.attnMask, q),
    additive('keyPaddingMask', options.keyPaddingMask, q),
  ];
  const embed = sizes.heads * sizes.headDim;
  if (biasK !== null && biasV !== null) {
    if (staticK !== null || staticV !== null) {
      throw makeError('ERR_VALUE', `${name}: biasK and biasV exclude staticK and staticV`);
    }
    k = cat([k, biasK.expand([1, sizes.n, embed])], 0);
    v = cat([v, biasV.expand([1, sizes.n, embed])], 0);
    masks = masks.map(widen);
  }
  let keys = staticK === null ? splitHeads(k, sizes) : fixed('staticK', staticK, sizes);
  let values = staticV === null ? splitHeads(v, sizes) : fixed('staticV', staticV, sizes);
  if (addZeroAttn) {
    const { dtype, device } = keys;
    const empty = zeros([sizes.n, sizes.heads, 1, sizes.headDim], { dtype, device });
    keys = cat([keys, empty], 2);
    values = cat([values, empty], 2);
    masks = masks.map(widen);
  }
  const mask = joinMasks(masks[0] as Tensor | null, masks[1] as Tensor | null, sizes);
  return { split: [splitHeads(q, sizes), keys, values], mask };
}

function attend(
  [q, k, v]: Three,
  mask: Tensor | null,
  dropoutP: number,
  options: HeadOptions,
): { output: Tensor; weights: Tensor | null } {
  if (!options.needWeights) {
    // The hint replaces the mask only where no other mask was added to it.
    const isCausal = options.isCausal && options.keyPaddingMask === null;
    const attnMask = isCausal ? null : mask;
    const output = scaledDotProductAttention(q, k, v, { attnMask, dropoutP, isCausal });
    return { output, weights: null };
  }
  const scores = q.mul(Math.sqrt(1 / q.size(-1))).matmul(k.transpose(-2, -1));
  let weights = (mask === null ? scores : scores.add(mask)).softmax(-1);
  if (dropoutP > 0) weights = dropout(weights, dropoutP);
  return {
    output: weights.matmul(v),
    weights: options.averageAttnWeights ? weights.mean(1) : weights,
  };
}

/**
 * Attention of `numHeads` heads between queries [L, N, E] and keys and values [S, N, E] (without N
 * for a single sample). Vaswani et al. 2017.
 * @returns the result, shaped as the query, and the weights [N, L, S] (or [N, heads, L, S]).
 */
export function multiHeadAttentionForward(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  embedDimToCheck: number,
  numHeads: number,
  inProjWeight: Tensor | null,
  inProjBias: Tensor | null,
  biasK: Tensor | null,
  biasV: Tensor | null,
  addZeroAttn: boolean,
  dropoutP: number,
  outProjWeight: Tensor,
  outProjBias: Tensor | null,
  options: MultiHeadAttentionOptions = {},
): [Tensor, Tensor | null] {
  const given = readOptions(name, spec, options);
  const single = query.ndim === 2;
  if ((query.ndim !== 2 && query.ndim !== 3) || [key, value].some((t) => t.ndim !== query.ndim)) {
    throw shapeError('query', query, '[L, N, E] or [L, E], with key and value alike');
  }
  // The same tensors stay the same: then one product projects all three.
  const batched = new Map([query, key, value].map((t) => [t, single ? t.unsqueeze(1) : t]));
  const inputs = [query, key, value].map((t) => batched.get(t)) as Three;
  const padding = given.keyPaddingMask;
  const read = {
    ...given,
    keyPaddingMask: single && padding?.ndim === 1 ? padding.unsqueeze(0) : padding,
  };
  checkArguments(inputs, embedDimToCheck, numHeads, read);
  const [length, n, embed] = inputs[0].shape as [number, number, number];
  const sizes: Heads = { n, heads: numHeads, headDim: embed / numHeads };
  const projected = project(inputs, inProjWeight, inProjBias, read);
  const { split, mask } = prepare(projected, sizes, { biasK, biasV, addZeroAttn }, read);
  const { output, weights } = attend(split, mask, read.training ? dropoutP : 0, read);
  const joined = output.permute(2, 0, 1, 3).reshape([length, n, embed]);
  const result = linear(joined, outProjWeight, outProjBias);
  return single ? [result.squeeze(1), weights?.squeeze(0) ?? null] : [result, weights];
}
