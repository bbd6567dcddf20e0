/** Attention of several heads. PyTorch: `torch.nn.functional.multi_head_attention_forward`. */
import { makeError } from '../../errors';
import { cat, scaledDotProductAttention, where, zeros } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { dropout } from './dropout';
import { linear } from './linear';

export {
  scaledDotProductAttention,
  type ScaledDotProductAttentionOptions as AttentionOptions,
} from '../../ops.gen';

/** Weights of the projections of queries, keys and values: one matrix, or one for each. */
export interface ProjectionWeights {
  readonly inProj: Tensor | null;
  readonly qkv: readonly [q: Tensor, k: Tensor, v: Tensor] | null;
  readonly inBias: Tensor | null;
  readonly outWeight: Tensor;
  readonly outBias: Tensor | null;
  readonly biasK: Tensor | null;
  readonly biasV: Tensor | null;
}

export interface HeadOptions {
  readonly numHeads: number;
  readonly addZeroAttn: boolean;
  readonly dropoutP: number;
  readonly training: boolean;
  /** [N, S]: true (or -inf) where a key is left out. */
  readonly keyPaddingMask: Tensor | null;
  /** [L, S] or [N * heads, L, S]: true (or -inf) where attention is not allowed. */
  readonly attnMask: Tensor | null;
  readonly needWeights: boolean;
  readonly averageWeights: boolean;
  readonly isCausal: boolean;
}

function shapeError(what: string, t: Tensor, want: readonly number[]): Error {
  return makeError(
    'ERR_SHAPE',
    `multiheadAttention: ${what} must have shape [${want.join(', ')}], got ` +
      `[${t.shape.join(', ')}]`,
  );
}

function checkShape(what: string, t: Tensor, want: readonly number[]): void {
  if (String(t.shape) !== String(want)) throw shapeError(what, t, want);
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
      `multiheadAttention: ${what} must be bool or floating point, got ${mask.dtype}`,
    );
  }
  return mask.to(like.dtype);
}

/** Queries, keys, values after their projections. */
function project(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  w: ProjectionWeights,
): [q: Tensor, k: Tensor, v: Tensor] {
  const biases = w.inBias?.chunk(3, 0) ?? [null, null, null];
  if (w.qkv !== null) {
    return [q, k, v].map((x, i) => linear(x, w.qkv?.[i] as Tensor, biases[i])) as [
      Tensor,
      Tensor,
      Tensor,
    ];
  }
  const weight = w.inProj as Tensor;
  if (q === k && k === v) {
    return linear(q, weight, w.inBias).chunk(3, -1) as [Tensor, Tensor, Tensor];
  }
  const [wq, wk, wv] = weight.chunk(3, 0) as [Tensor, Tensor, Tensor];
  return [linear(q, wq, biases[0]), linear(k, wk, biases[1]), linear(v, wv, biases[2])];
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

/**
 * Attention of `numHeads` heads between [L, N, E] queries and [S, N, E] keys and values.
 * Vaswani et al. 2017.
 * @returns the result [L, N, E] and, if wanted, the weights [N, L, S] (or [N, heads, L, S]).
 */
export function multiHeadAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  w: ProjectionWeights,
  options: HeadOptions,
): [Tensor, Tensor | null] {
  const [length = 0, n = 0, embed = 0] = query.shape;
  const sources = key.size(0);
  checkShape('value', value, [sources, n, value.size(-1)]);
  const heads: Heads = { n, heads: options.numHeads, headDim: embed / options.numHeads };
  const { keyPaddingMask: padding, attnMask: attn } = options;
  if (padding !== null) checkShape('keyPaddingMask', padding, [n, sources]);
  if (attn !== null) {
    const lead = attn.ndim === 3 ? [n * options.numHeads] : [];
    checkShape('attnMask', attn, [...lead, length, sources]);
  }
  if (options.isCausal && attn === null) {
    throw makeError('ERR_VALUE', 'multiheadAttention: isCausal needs an attnMask');
  }
  const projected = project(query, key, value, w);
  const [q] = projected;
  let [, k, v] = projected;
  let masks = [additive('attnMask', attn, q), additive('keyPaddingMask', padding, q)];
  if (w.biasK !== null && w.biasV !== null) {
    k = cat([k, w.biasK.expand([1, n, embed])], 0);
    v = cat([v, w.biasV.expand([1, n, embed])], 0);
    masks = masks.map(widen);
  }
  if (options.addZeroAttn) {
    const empty = zeros([1, n, embed], { dtype: k.dtype, device: k.device });
    k = cat([k, empty], 0);
    v = cat([v, empty], 0);
    masks = masks.map(widen);
  }
  const mask = joinMasks(masks[0] as Tensor | null, masks[1] as Tensor | null, heads);
  const split = [q, k, v].map((x) => splitHeads(x, heads)) as [Tensor, Tensor, Tensor];
  const { output, weights } = attend(split, mask, heads, options);
  const joined = output.permute(2, 0, 1, 3).reshape([length, n, embed]);
  return [linear(joined, w.outWeight, w.outBias), weights];
}

function attend(
  [q, k, v]: readonly [Tensor, Tensor, Tensor],
  mask: Tensor | null,
  { headDim }: Heads,
  options: HeadOptions,
): { output: Tensor; weights: Tensor | null } {
  const dropoutP = options.training ? options.dropoutP : 0;
  if (!options.needWeights) {
    const attnMask = mask ?? undefined;
    return {
      output: scaledDotProductAttention(q, k, v, { attnMask, dropoutP }),
      weights: null,
    };
  }
  const scores = q.mul(Math.sqrt(1 / headDim)).matmul(k.transpose(-2, -1));
  let weights = (mask === null ? scores : scores.add(mask)).softmax(-1);
  if (dropoutP > 0) weights = dropout(weights, dropoutP);
  return {
    output: weights.matmul(v),
    weights: options.averageWeights ? weights.mean(1) : weights,
  };
}
