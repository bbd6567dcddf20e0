/** The orthogonal parametrization. PyTorch: `torch.nn.utils.parametrizations.orthogonal`. */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { householderProduct, matrixExp, qr, solve } from '../../linalg.gen';
import { cat, eye, randn, zerosLike } from '../../ops.gen';
import { Tensor } from '../../tensor';
import { Module } from '../module';
import { badArgument, bool, readArguments } from '../options';
import { nameSpec } from './parametrizations';
import { registerParametrization } from './parametrize';

/** How a matrix without constraints becomes an orthogonal one. */
export type OrthogonalMap = 'matrixExp' | 'cayley' | 'householder';
const maps: readonly OrthogonalMap[] = ['matrixExp', 'cayley', 'householder'];

const machineEps: Readonly<Record<string, number>> = { float32: 2 ** -23, float64: 2 ** -52 };

function turned(x: Tensor): Tensor {
  return x.transpose(-2, -1);
}

function isOrthogonal(q: Tensor): boolean {
  const k = q.size(-1);
  const gram = turned(q)
    .matmul(q)
    .sub(eye(k, { dtype: q.dtype, device: q.device }));
  const eps = machineEps[q.dtype] ?? 2 ** -7;
  return gram.abs().amax().item() <= 10 * eps * k;
}

/** The orthogonal factor, with the signs that leave an orthogonal matrix as it is. */
function makeOrthogonal(a: Tensor): Tensor {
  const [q, r] = qr(a) as unknown as [Tensor, Tensor];
  return q.mul(r.diagonal(0, -2, -1).sign().unsqueeze(-2));
}

/**
 * Householder's vectors of one matrix [m, n], m >= n, below a diagonal that holds signs: what `forward` of
 * the map 'householder' makes the matrix's orthogonal factor of.
 */
function reflectorsOf(matrix: Tensor): Tensor {
  const a = matrix.clone();
  const [m, n] = [a.size(0), a.size(1)];
  for (let k = 0; k < n; ++k) {
    const head = a.get(k, k).item();
    const tail = a.narrow(0, k + 1, m - k - 1).narrow(1, k, 1);
    const rest = tail.numel() === 0 ? 0 : tail.mul(tail).sum().item();
    if (rest === 0) {
      // Nothing to reflect here, but the product has I - 2 e e^T: the sign takes it back.
      a.get(k, k).fill_(-Math.sign(head));
      continue;
    }
    const beta = (head < 0 ? 1 : -1) * Math.sqrt(head * head + rest);
    tail.div_(head - beta);
    const tau = (beta - head) / beta;
    const block = a.narrow(1, k + 1, n - k - 1);
    if (n > k + 1) {
      const top = block.narrow(0, k, 1);
      const below = block.narrow(0, k + 1, m - k - 1);
      const w = top.add(turned(tail).matmul(below)).mul(tau);
      top.sub_(w);
      below.sub_(tail.matmul(w));
    }
    a.get(k, k).fill_(Math.sign(beta));
  }
  return a;
}

/** Reflectors of a matrix or of each matrix of a batch. */
function allReflectors(a: Tensor): Tensor {
  if (a.ndim === 2) return reflectorsOf(a);
  const flat = a.reshape([-1, a.size(-2), a.size(-1)]);
  const each = Array.from({ length: flat.size(0) }, (_, i) => reflectorsOf(flat.select(0, i)));
  return cat(
    each.map((t) => t.unsqueeze(0)),
    0,
  ).reshape([...a.shape]);
}

/** Lezcano-Casado & Martinez-Rubio 2019; with a base, Lezcano-Casado 2019. */
export class Orthogonal extends Module {
  readonly orthogonalMap: OrthogonalMap;
  readonly useTrivialization: boolean;
  base: Tensor | null = null;
  readonly #shape: readonly number[];

  constructor(weight: Tensor, orthogonalMap: OrthogonalMap, useTrivialization: boolean) {
    super();
    this.orthogonalMap = orthogonalMap;
    this.useTrivialization = useTrivialization;
    this.#shape = [...weight.shape];
    if (useTrivialization) this.registerBuffer('base', null);
  }

  #mapped(x: Tensor): Tensor {
    const [n, k] = [x.size(-2), x.size(-1)];
    const { dtype, device } = x;
    if (this.orthogonalMap === 'householder') {
      const a = x.tril(-1);
      const tau = a.mul(a).sum(-2).add(1).reciprocal().mul(2);
      const signs = x.detach().diagonal(0, -2, -1).trunc().unsqueeze(-2);
      return householderProduct(a, tau).mul(signs);
    }
    let lower = x.tril();
    if (n !== k) {
      const missing = lower.newZeros([...x.shape.slice(0, -1), n - k]);
      lower = cat([lower, missing], -1);
    }
    const skew = lower.sub(turned(lower));
    const one = eye(n, { dtype, device });
    const q =
      this.orthogonalMap === 'matrixExp'
        ? matrixExp(skew)
        : solve(one.sub(skew, { alpha: 0.5 }), one.add(skew, { alpha: 0.5 }));
    return n === k ? q : q.narrow(-1, 0, k);
  }

  override forward(input: Tensor): Tensor {
    const transposed = input.size(-2) < input.size(-1);
    let q = this.#mapped(transposed ? turned(input) : input);
    if (this.base !== null) q = this.base.matmul(q);
    return transposed ? turned(q) : q;
  }

  rightInverse(value: Tensor): Tensor {
    if (value.shape.join() !== this.#shape.join()) {
      throw makeError(
        'ERR_SHAPE',
        `orthogonal: expected a tensor of shape [${this.#shape.join(', ')}], got [${value.shape.join(', ')}]`,
      );
    }
    return noGrad(() => (this.useTrivialization ? this.#rebase(value) : this.#invert(value)));
  }

  #invert(value: Tensor): Tensor {
    if (this.orthogonalMap !== 'householder') {
      throw makeError(
        'ERR_NOT_IMPLEMENTED',
        "orthogonal: values cannot be assigned with orthogonalMap 'matrixExp' or 'cayley' and " +
          'useTrivialization false',
      );
    }
    const transposed = value.size(-2) < value.size(-1);
    const a = allReflectors(transposed ? turned(value) : value);
    return transposed ? turned(a) : a;
  }

  /** Makes the value the base, and the parameter what the map takes to the identity. */
  #rebase(value: Tensor): Tensor {
    const q = value.size(-2) < value.size(-1) ? turned(value) : value;
    const [n, k] = [q.size(-2), q.size(-1)];
    if (n === k) {
      this.base = isOrthogonal(q) ? q.clone() : makeOrthogonal(q);
    } else {
      const { dtype, device } = q;
      const more = randn([...q.shape.slice(0, -1), n - k], { dtype, device });
      this.base = makeOrthogonal(cat([q, more], -1));
    }
    const start = zerosLike(value);
    start.diagonal(0, -2, -1).fill_(-1);
    return start;
  }
}

export interface OrthogonalOptions {
  /** Default: 'matrixExp' for square matrices, else 'householder'. */
  readonly orthogonalMap?: OrthogonalMap | null | undefined;
  /** Keep a base that values are multiplied with, which helps training. Default true. */
  readonly useTrivialization?: boolean | undefined;
}

function readMap(layer: string, name: string, value: unknown): OrthogonalMap | null {
  if (value === undefined || value === null) return null;
  if (maps.includes(value as OrthogonalMap)) return value as OrthogonalMap;
  throw badArgument(layer, name, `one of ${maps.join(', ')}`, value, 'ERR_VALUE');
}

const spec = { name: nameSpec, orthogonalMap: readMap, useTrivialization: bool(true) };

/**
 * Keeps a matrix, or each matrix of a batch, orthogonal: its columns (its rows, where there are more
 * columns) have length 1 and are at right angles.
 * @param args name of the field ('weight'); `orthogonalMap`; `useTrivialization`.
 */
export function orthogonal<M extends Module>(
  module: M,
  ...args:
    | [options?: OrthogonalOptions & { readonly name?: string }]
    | [name: string, options?: OrthogonalOptions]
): M {
  const read = readArguments('orthogonal', spec, args, ['name']);
  const weight = (module as unknown as Record<string, unknown>)[read.name];
  if (!(weight instanceof Tensor)) {
    throw makeError(
      'ERR_VALUE',
      `orthogonal: ${module.constructor.name} has no parameter or buffer '${read.name}'`,
    );
  }
  if (weight.ndim < 2) {
    throw badArgument('orthogonal', read.name, 'a matrix or a batch of matrices', weight);
  }
  const square = weight.size(-2) === weight.size(-1);
  const map = read.orthogonalMap ?? (square ? 'matrixExp' : 'householder');
  const made = new Orthogonal(weight, map, read.useTrivialization);
  return registerParametrization(module, read.name, made);
}
