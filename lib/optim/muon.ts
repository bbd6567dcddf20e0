/** Muon. */
import { noGrad } from '../autograd';
import { makeError } from '../errors';
import { keep } from '../memory';
import { lerp, zerosLike } from '../ops.gen';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import { flag, learningRate, nonNegative, number } from './options';

export interface MuonOptions {
  /** Learning rate. Default 1e-3. */
  readonly lr?: number | Tensor;
  /** Decoupled weight decay. Default 0.1. */
  readonly weightDecay?: number;
  /** Default 0.95. */
  readonly momentum?: number;
  /** Default true. */
  readonly nesterov?: boolean;
  /** Coefficients of the quintic Newton-Schulz iteration. */
  readonly nsCoefficients?: readonly [number, number, number];
  /** Floor of the norm that the update is divided by. Default 1e-7. */
  readonly eps?: number;
  /** Default 5. */
  readonly nsSteps?: number;
  /** How the rate follows the shape of the parameter. Default null, which is 'original'. */
  readonly adjustLrFn?: 'original' | 'match_rms_adamw' | null;
}

const specs = {
  lr: learningRate(1e-3),
  weightDecay: nonNegative(0.1),
  momentum: nonNegative(0.95),
  nesterov: flag(true),
  nsCoefficients: {
    default: [3.4445, -4.775, 2.0315],
    check: (v: unknown) =>
      Array.isArray(v) && v.length === 3 && v.every((x) => typeof x === 'number')
        ? undefined
        : 'three numbers',
  },
  eps: nonNegative(1e-7),
  nsSteps: number(5, 'an integer in [1, 99]', (v) => Number.isInteger(v) && v > 0 && v < 100),
  adjustLrFn: {
    default: null,
    check: (v: unknown) =>
      v === null || v === 'original' || v === 'match_rms_adamw'
        ? undefined
        : "'original', 'match_rms_adamw' or null",
  },
};

type Coefficients = readonly [number, number, number];

const rounded = (t: Tensor): Tensor => t.to('bfloat16').float();

/**
 * Nearly the closest orthogonal matrix. The values are those of bfloat16, as every step of the
 * iteration is rounded to it once; products accumulate in float32.
 */
function orthogonalized(update: Tensor, group: ParamGroup): Tensor {
  const [a, b, c] = group['nsCoefficients'] as Coefficients;
  const tall = (update.shape[0] as number) > (update.shape[1] as number);
  let x = rounded(update);
  if (tall) x = x.t();
  const norm = rounded(x.mul(x).sum().sqrt());
  x = rounded(x.div(norm.clamp({ min: group['eps'] as number })));
  for (let i = 0; i < (group['nsSteps'] as number); ++i) {
    const gram = rounded(x.matmul(x.t()));
    const polynomial = rounded(gram.mul(b).add(gram.matmul(gram), { alpha: c }));
    x = rounded(x.mul(a).add(polynomial.matmul(x)));
  }
  return tall ? x.t() : x;
}

function adjusted(lr: number, rule: unknown, [rows, cols]: readonly number[]): number {
  const [m, n] = [rows as number, cols as number];
  if (rule === 'match_rms_adamw') return lr * 0.2 * Math.sqrt(Math.max(m, n));
  return lr * Math.sqrt(Math.max(1, m / n));
}

/**
 * Momentum orthogonalised by Newton-Schulz iteration (Jordan et al., 2024), as `torch.optim.Muon`. For
 * the matrices of hidden layers only; leave biases, embeddings and the like to AdamW.
 */
export class Muon extends Optimizer {
  override readonly supportsGradScale = false;

  constructor(params: Params, options: MuonOptions = {}) {
    super('Muon', params, options, specs);
  }

  override addParamGroup(group: Parameters<Optimizer['addParamGroup']>[0]): void {
    super.addParamGroup(group);
    const added = this.paramGroups[this.paramGroups.length - 1] as ParamGroup;
    for (const p of added.params) {
      if (p.ndim === 2) continue;
      this.paramGroups.pop();
      throw makeError(
        'ERR_VALUE',
        `Muon: only supports 2-d parameters, got one of shape [${p.shape.join(', ')}]`,
      );
    }
  }

  protected override updateGroup(group: ParamGroup): void {
    noGrad(() => {
      for (const p of group.params) {
        const { grad } = p;
        if (grad !== null) this.#update(p, grad.detach(), group);
      }
    });
  }

  #update(p: Tensor, grad: Tensor, group: ParamGroup): void {
    const momentum = group['momentum'] as number;
    const lr = numberOf(group.lr);
    const state = this.stateOf(p);
    const buffer = (state['momentumBuffer'] ??= keep(zerosLike(p))) as Tensor;
    buffer.copy_(lerp(buffer, grad, 1 - momentum));
    const update = group['nesterov'] === true ? lerp(grad, buffer, momentum) : buffer;
    const direction = orthogonalized(update, group);
    p.mul_(1 - lr * (group['weightDecay'] as number));
    p.add_(direction, { alpha: -adjusted(lr, group['adjustLrFn'], p.shape) });
  }
}
