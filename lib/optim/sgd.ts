/** Stochastic gradient descent. */
import { makeError } from '../errors';
import { opFunction } from '../call';
import { keep } from '../memory';
import { native, type Handle } from '../native';
import { Tensor, wrapTensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params, type ParamState } from './optimizer';
import {
  anyNumber,
  flag,
  type FusedOptions,
  fusedSpecs,
  learningRate,
  nonNegative,
} from './options';

export interface SGDOptions extends FusedOptions {
  /** Learning rate. Default 1e-3. */
  readonly lr?: number | Tensor;
  /** Default 0. */
  readonly momentum?: number;
  /** How much of the new gradient the momentum buffer leaves out. Default 0. */
  readonly dampening?: number;
  /** L2 penalty. Default 0. */
  readonly weightDecay?: number;
  /** Needs momentum and no dampening. Default false. */
  readonly nesterov?: boolean;
}

const specs = {
  lr: learningRate(1e-3),
  momentum: nonNegative(0),
  dampening: anyNumber(0),
  weightDecay: nonNegative(0),
  nesterov: flag(false),
  ...fusedSpecs,
};

/**
 * SGD with momentum, dampening, Nesterov's variant and L2 penalty, as `torch.optim.SGD`:
 * g += weightDecay p; b = momentum b + (1 - dampening) g; p -= lr b.
 */
export class SGD extends Optimizer {
  constructor(params: Params, options: SGDOptions = {}) {
    super('SGD', params, options, specs);
  }

  protected override validate(o: Readonly<Record<string, unknown>>): void {
    if (o['nesterov'] === true && (!((o['momentum'] as number) > 0) || o['dampening'] !== 0)) {
      throw makeError('ERR_VALUE', 'SGD: Nesterov momentum requires a momentum and zero dampening');
    }
  }

  protected override updateGroup(group: ParamGroup): void {
    const { momentum, dampening } = group as unknown as { momentum: number; dampening: number };
    this.runStep(group, {
      op: step,
      scalars: momentum !== 0 && dampening !== 0 ? ['step'] : [],
      states: momentum !== 0 ? ['momentumBuffer'] : [],
      options: [
        numberOf(group.lr),
        momentum,
        dampening,
        group['weightDecay'],
        group['nesterov'],
        group['maximize'],
      ],
    });
  }

  /** PyTorch saves the momentum buffer only; the count just tells the first step from others. */
  protected override get transientState(): readonly string[] {
    return ['step'];
  }

  protected override restoreState(param: Tensor, state: ParamState): void {
    if (state['momentumBuffer'] === null) delete state['momentumBuffer'];
    if (state['momentumBuffer'] instanceof Tensor && state['step'] === undefined) {
      const full = native.ops['full'] as (...args: unknown[]) => Handle;
      state['step'] = keep(wrapTensor(full([], 1, 'float32', param.device)));
    }
  }
}

const step = opFunction('sgdStep_');
