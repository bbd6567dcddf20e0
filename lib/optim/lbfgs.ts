/** Limited-memory BFGS. */
import { enableGrad, noGrad } from '../autograd';
import { makeError } from '../errors';
import { cat, zeros } from '../ops.gen';
import type { Tensor } from '../tensor';
import { type Point, WolfeSearch } from './lineSearch';
import { type Closure, numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import { anyNumber, learningRate, number } from './options';
import { keepTensors } from './stateDict';

export interface LBFGSOptions {
  /** Step length; with a line search, its first trial. Default 1. */
  readonly lr?: number | Tensor;
  /** Iterations per step. Default 20. */
  readonly maxIter?: number;
  /** Evaluations of the closure per step. Default: 1.25 maxIter. */
  readonly maxEval?: number | null;
  /** Stop when no gradient is larger. Default 1e-7. */
  readonly toleranceGrad?: number;
  /** Stop when loss and parameters change less. Default 1e-9. */
  readonly toleranceChange?: number;
  /** Number of updates remembered. Default 100. */
  readonly historySize?: number;
  /** Default null: fixed step length. */
  readonly lineSearchFn?: 'strong_wolfe' | null;
}

const count = (fallback: number) =>
  number(fallback, 'an integer > 0', (v) => Number.isInteger(v) && v > 0);

const specs = {
  lr: learningRate(1),
  maxIter: count(20),
  maxEval: {
    default: null,
    check: (v: unknown) =>
      v === null || (typeof v === 'number' && Number.isInteger(v) && v > 0)
        ? undefined
        : 'an integer > 0 or null',
  },
  toleranceGrad: anyNumber(1e-7),
  toleranceChange: anyNumber(1e-9),
  historySize: count(100),
  lineSearchFn: {
    default: null,
    check: (v: unknown) =>
      v === null || v === 'strong_wolfe' ? undefined : "'strong_wolfe' or null",
  },
};

/** All of the state, kept under the first parameter as in PyTorch. */
interface State {
  funcEvals: number;
  nIter: number;
  /** Direction and length of the last move. */
  d?: Tensor;
  t?: number;
  /** Changes of the gradient and of the parameters, and 1 / their products. */
  oldDirs: Tensor[];
  oldStps: Tensor[];
  ro: number[];
  HDiag: number;
  prevFlatGrad?: Tensor;
  prevLoss?: number;
}

interface Evaluation {
  loss: number;
  grad: Tensor;
}

const dot = (a: Tensor, b: Tensor): number => a.matmul(b).item();
const largest = (a: Tensor): number => (a.numel() === 0 ? 0 : a.abs().amax().item());

/**
 * L-BFGS (Nocedal, 1980), as `torch.optim.LBFGS`. `step(closure)` calls the closure several times;
 * it must clear the gradients, compute the loss, call backward and return the loss. Only one
 * parameter group.
 */
export class LBFGS extends Optimizer {
  override readonly supportsGradScale = false;

  constructor(params: Params, options: LBFGSOptions = {}) {
    super('LBFGS', params, options, specs);
    const group = this.paramGroups[0] as ParamGroup;
    const maxIter = group['maxIter'] as number;
    group['maxEval'] ??= Math.floor((maxIter * 5) / 4);
    this.defaults['maxEval'] = group['maxEval'];
  }

  override addParamGroup(group: Parameters<Optimizer['addParamGroup']>[0]): void {
    if (this.paramGroups.length > 0) {
      throw makeError(
        'ERR_VALUE',
        "LBFGS: doesn't support per-parameter options (parameter groups)",
      );
    }
    super.addParamGroup(group);
  }

  protected override updateGroup(): void {
    throw makeError('ERR_INTERNAL', 'LBFGS: updates all parameters together');
  }

  get #params(): readonly Tensor[] {
    return (this.paramGroups[0] as ParamGroup).params;
  }

  #flatGrad(): Tensor {
    return cat(
      this.#params.map((p) => {
        const { grad } = p;
        return grad === null ? zeros([p.numel()], { dtype: p.dtype }) : grad.detach().reshape([-1]);
      }),
    );
  }

  #move(t: number, d: Tensor): void {
    let offset = 0;
    for (const p of this.#params) {
      const n = p.numel();
      p.add_(d.narrow(0, offset, n).reshape(p.shape), { alpha: t });
      offset += n;
    }
  }

  #evaluate(closure: Closure): Evaluation {
    const loss = numberOf(enableGrad(closure));
    return { loss, grad: this.#flatGrad() };
  }

  protected override performStep(closure: Closure | undefined): Tensor | number {
    if (closure === undefined) {
      throw makeError(
        'ERR_TYPE',
        'LBFGS: step: needs a closure that clears the gradients, computes the loss, calls ' +
          'backward and returns the loss',
      );
    }
    return noGrad(() => {
      const first = enableGrad(closure);
      const current = { loss: numberOf(first), grad: this.#flatGrad() };
      const state = this.#state();
      ++state.funcEvals;
      this.#optimize(closure, state, current);
      Object.values(state).forEach(keepTensors);
      return first;
    });
  }

  #state(): State {
    const state = this.stateOf(this.#params[0] as Tensor) as unknown as Partial<State>;
    state.funcEvals ??= 0;
    state.nIter ??= 0;
    state.oldDirs ??= [];
    state.oldStps ??= [];
    state.ro ??= [];
    state.HDiag ??= 1;
    return state as State;
  }

  #optimize(closure: Closure, state: State, current: Evaluation): void {
    const group = this.paramGroups[0] as ParamGroup;
    const maxIter = group['maxIter'] as number;
    const maxEval = group['maxEval'] as number;
    const toleranceGrad = group['toleranceGrad'] as number;
    const toleranceChange = group['toleranceChange'] as number;
    const lr = numberOf(group.lr);
    if (largest(current.grad) <= toleranceGrad) return;
    let evaluations = 1;
    for (let n = 1; n <= maxIter; ++n) {
      ++state.nIter;
      const d = this.#direction(state, current.grad, group['historySize'] as number);
      state.d = d;
      state.prevFlatGrad = current.grad;
      state.prevLoss = current.loss;
      state.t = state.nIter === 1 ? Math.min(1, 1 / current.grad.abs().sum().item()) * lr : lr;
      const slope = dot(current.grad, d);
      if (slope > -toleranceChange) break;
      let used = 0;
      if (group['lineSearchFn'] === 'strong_wolfe') {
        used = this.#search(closure, state, current, slope, maxEval - evaluations);
      } else {
        this.#move(state.t, d);
        // The loss after the last move is the business of the next step.
        if (n !== maxIter) {
          Object.assign(current, this.#evaluate(closure));
          used = 1;
        }
      }
      evaluations += used;
      state.funcEvals += used;
      if (evaluations >= maxEval || largest(current.grad) <= toleranceGrad) break;
      if (largest(d) * Math.abs(state.t) <= toleranceChange) break;
      if (Math.abs(current.loss - state.prevLoss) < toleranceChange) break;
    }
  }

  /** Minus the gradient times the approximate inverse Hessian (two loops). */
  #direction(state: State, grad: Tensor, historySize: number): Tensor {
    if (state.nIter === 1 || state.prevFlatGrad === undefined || state.d === undefined) {
      state.oldDirs = [];
      state.oldStps = [];
      state.ro = [];
      state.HDiag = 1;
      return grad.neg();
    }
    const y = grad.sub(state.prevFlatGrad);
    const s = state.d.mul(state.t as number);
    const ys = dot(y, s);
    const { oldDirs, oldStps, ro } = state;
    if (ys > 1e-10) {
      if (oldDirs.length === historySize) {
        oldDirs.shift();
        oldStps.shift();
        ro.shift();
      }
      oldDirs.push(y);
      oldStps.push(s);
      ro.push(1 / ys);
      state.HDiag = ys / dot(y, y);
    }
    const q = grad.neg();
    const al: number[] = [];
    for (let i = oldDirs.length - 1; i >= 0; --i) {
      al[i] = dot(oldStps[i] as Tensor, q) * (ro[i] as number);
      q.add_(oldDirs[i] as Tensor, { alpha: -al[i] });
    }
    const r = q.mul(state.HDiag);
    for (let i = 0; i < oldDirs.length; ++i) {
      const be = dot(oldDirs[i] as Tensor, r) * (ro[i] as number);
      r.add_(oldStps[i] as Tensor, { alpha: (al[i] as number) - be });
    }
    return r;
  }

  /** Moves to the point that a line search finds; returns the evaluations it took. */
  #search(
    closure: Closure,
    state: State,
    current: Evaluation,
    slope: number,
    maxIterations: number,
  ): number {
    const d = state.d as Tensor;
    const initial = this.#params.map((p) => p.detach().clone());
    const evaluate = (t: number): Point => {
      this.#move(t, d);
      const { loss, grad } = this.#evaluate(closure);
      this.#params.forEach((p, i) => p.copy_(initial[i] as Tensor));
      return { t, loss, grad, slope: dot(grad, d) };
    };
    const { toleranceChange } = this.paramGroups[0] as unknown as { toleranceChange: number };
    const search = new WolfeSearch(
      evaluate,
      { t: 0, loss: current.loss, grad: current.grad, slope },
      { directionSize: largest(d), toleranceChange, maxIterations },
    );
    const { point, evaluations } = search.run(state.t as number);
    current.loss = point.loss;
    current.grad = point.grad;
    state.t = point.t;
    this.#move(point.t, d);
    return evaluations;
  }
}
