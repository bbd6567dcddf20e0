/** Distances between vectors. */
import type { Tensor } from '../tensor';
import {
  cosineSimilarity,
  type CosineSimilarityOptions,
  pairwiseDistance,
  type PairwiseDistanceOptions,
} from './functional/distance';
import { Module } from './module';
import { bool, int, num, readOptions } from './options';

/** Cosine of the angle between vectors along `dim`. */
export class CosineSimilarity extends Module {
  readonly dim: number;
  readonly eps: number;

  constructor(options: CosineSimilarityOptions = {}) {
    super();
    const spec = { dim: int(1, -Infinity), eps: num(1e-8) };
    const { dim, eps } = readOptions(new.target.name, spec, options);
    this.dim = dim;
    this.eps = eps;
  }

  override forward(x1: Tensor, x2: Tensor): Tensor {
    return cosineSimilarity(x1, x2, { dim: this.dim, eps: this.eps });
  }
}

/** p-norm of the difference of vectors along the last dimension. */
export class PairwiseDistance extends Module {
  readonly norm: number;
  readonly eps: number;
  readonly keepdim: boolean;

  constructor(options: PairwiseDistanceOptions = {}) {
    super();
    const spec = { p: num(2), eps: num(1e-6), keepdim: bool(false) };
    const { p, eps, keepdim } = readOptions(new.target.name, spec, options);
    this.norm = p;
    this.eps = eps;
    this.keepdim = keepdim;
  }

  override forward(x1: Tensor, x2: Tensor): Tensor {
    return pairwiseDistance(x1, x2, { p: this.norm, eps: this.eps, keepdim: this.keepdim });
  }
}
