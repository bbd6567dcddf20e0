/** Parametrizations that split a weight or divide it by a norm. */
import { noGrad } from '../../autograd';
import { normalize, randn, vectorNorm } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { Module } from '../module';
import { int, num, optionalInt, readArguments } from '../options';
import { registerParametrization } from './parametrize';

/** For this package: norms over all dimensions but `dim`, kept for broadcasting; null: over all. */
export function normExcept(v: Tensor, dim: number | null): Tensor {
  if (dim === null) return vectorNorm(v);
  const at = dim < 0 ? dim + v.ndim : dim;
  const rows = v.transpose(0, at).reshape([v.size(at), -1]);
  return vectorNorm(rows, { dim: 1 }).reshape(v.shape.map((n, i) => (i === at ? n : 1)));
}

/** w = g v / |v|. Salimans & Kingma 2016. */
export class WeightNorm extends Module {
  readonly dim: number | null;

  constructor(dim: number | null = 0) {
    super();
    this.dim = dim;
  }

  override forward(g: Tensor, v: Tensor): Tensor {
    return v.mul(g.div(normExcept(v, this.dim)));
  }

  rightInverse(weight: Tensor): readonly Tensor[] {
    return [normExcept(weight, this.dim), weight.clone()];
  }
}

/** For this package: a weight as a matrix, `dim` its rows. */
export function asMatrix(weight: Tensor, dim: number): Tensor {
  if (dim === 0) return weight.reshape([weight.size(0), -1]);
  const order = [dim, ...weight.shape.keys()].filter((d, i) => i === 0 || d !== dim);
  return weight.permute(order).reshape([weight.size(dim), -1]);
}

/** For this package: moves u and v towards the singular vectors of the largest singular value. */
export function powerIteration(
  matrix: Tensor,
  u: Tensor,
  v: Tensor,
  count: number,
  eps: number,
  order: 'uv' | 'vu' = 'vu',
): void {
  const options = { dim: 0, eps };
  const stepU = (): void => {
    u.copy_(normalize(matrix.matmul(v.unsqueeze(1)).squeeze(1), options));
  };
  for (let i = 0; i < count; ++i) {
    if (order === 'uv') stepU();
    v.copy_(normalize(matrix.t().matmul(u.unsqueeze(1)).squeeze(1), options));
    if (order === 'vu') stepU();
  }
}

/** w / sigma(w), sigma the largest singular value by power iteration. Miyato et al. 2018. */
export class SpectralNorm extends Module {
  readonly dim: number;
  readonly eps: number;
  readonly nPowerIterations: number;
  _u: Tensor | null = null;
  _v: Tensor | null = null;

  constructor(weight: Tensor, nPowerIterations: number, dim: number, eps: number) {
    super();
    this.dim = dim < 0 ? dim + weight.ndim : dim;
    this.eps = eps;
    this.nPowerIterations = nPowerIterations;
    if (weight.ndim <= 1) return;
    const matrix = asMatrix(weight, this.dim);
    const { dtype, device } = weight;
    const unit = (n: number): Tensor => normalize(randn([n], { dtype, device }), { dim: 0, eps });
    this.registerBuffer('_u', unit(matrix.size(0)));
    this.registerBuffer('_v', unit(matrix.size(1)));
    noGrad(() => this.iterate(matrix, 15));
  }

  private iterate(matrix: Tensor, count: number): void {
    powerIteration(matrix, this._u as Tensor, this._v as Tensor, count, this.eps, 'uv');
  }

  override forward(weight: Tensor): Tensor {
    if (this._u === null) return normalize(weight, { dim: 0, eps: this.eps });
    const matrix = asMatrix(weight, this.dim);
    if (this.training) noGrad(() => this.iterate(matrix, this.nPowerIterations));
    // Copies: the next iteration overwrites the vectors that the gradient of this one needs.
    const [u, v] = [this._u.clone(), (this._v as Tensor).clone()];
    const sigma = u.mul(matrix.matmul(v.unsqueeze(1)).squeeze(1)).sum();
    return weight.div(sigma);
  }

  rightInverse(value: Tensor): Tensor {
    return value;
  }
}

type NameArguments<O> = [options?: O & { readonly name?: string }] | [name: string, options?: O];

/** For this package: the name of the parameter to norm. */
export const nameSpec = (layer: string, name: string, value: unknown): string =>
  value === undefined ? 'weight' : String(value);

/**
 * Trains direction and length of a weight apart: parameters
 * `parametrizations.weight.original0` (length) and `original1` (direction).
 * @param args name of the field ('weight'); `dim` (default 0): a length for each index along it,
 * null for a single one.
 */
export function weightNorm<M extends Module>(
  module: M,
  ...args: NameArguments<{ readonly dim?: number | null | undefined }>
): M {
  const spec = { name: nameSpec, dim: optionalInt(0, -Infinity) };
  const { name, dim } = readArguments('weightNorm', spec, args, ['name']);
  return registerParametrization(module, name, new WeightNorm(dim === -1 ? null : dim));
}

export interface SpectralNormOptions {
  /** Default 1. */
  readonly nPowerIterations?: number | undefined;
  /** Default 1e-12. */
  readonly eps?: number | undefined;
  /** Dimension of the outputs. Default 0, or 1 for transposed convolutions. */
  readonly dim?: number | null | undefined;
}

/** For this package: the arguments of both forms of spectral norm. */
export const spectralNormSpec = {
  name: nameSpec,
  nPowerIterations: int(1, 1),
  eps: num(1e-12),
  dim: optionalInt(null, -Infinity),
};

/** Divides a weight by its largest singular value. */
export function spectralNorm<M extends Module>(
  module: M,
  ...args: NameArguments<SpectralNormOptions>
): M {
  const read = readArguments('spectralNorm', spectralNormSpec, args, ['name']);
  const weight = (module as unknown as Record<string, Tensor>)[read.name] as Tensor;
  const dim = read.dim ?? (module.constructor.name.startsWith('ConvTranspose') ? 1 : 0);
  const norm = new SpectralNorm(weight, read.nPowerIterations, dim, read.eps);
  return registerParametrization(module, read.name, norm);
}
