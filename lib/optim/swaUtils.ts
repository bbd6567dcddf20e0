/** Averages of a model's weights over training: stochastic weight averaging and moving averages. */
import { noGrad } from '../autograd';
import { makeError } from '../errors';
import type { Device } from '../dtype';
import { Module } from '../nn/module';
import { full } from '../ops.gen';
import { Tensor } from '../tensor';
import { show } from './options';

/** The new average from the old one, the model's value and how many models are in the average. */
export type AverageFn = (averaged: Tensor, current: Tensor, count: number) => Tensor;

export interface AveragedModelOptions {
  /** Where to keep the average. Default: where the model is. */
  readonly device?: Device | null;
  /** Default: {@link swaAverage}. */
  readonly avgFn?: AverageFn | null;
  /** Average buffers too; otherwise they are copied from the model. Default false. */
  readonly useBuffers?: boolean;
}

/** Equal weights: avg + (current - avg) / (count + 1). PyTorch: `get_swa_avg_fn`. */
export function getSwaAvgFn(): AverageFn {
  return (averaged, current, count) => averaged.lerp(current, 1 / (count + 1));
}

/** Exponential moving average: decay avg + (1 - decay) current. PyTorch: `get_ema_avg_fn`. */
export function getEmaAvgFn(decay = 0.999): AverageFn {
  if (typeof decay !== 'number' || !(decay >= 0 && decay <= 1)) {
    throw makeError(
      'ERR_VALUE',
      `getEmaAvgFn: argument 'decay' must be a number in [0, 1], got ${show(decay)}`,
    );
  }
  return (averaged, current) => averaged.lerp(current, 1 - decay);
}

const optionNames = ['device', 'avgFn', 'useBuffers'];

/**
 * A copy of a model whose weights are an average of those the model had at each
 * {@link updateParameters}. PyTorch: `torch.optim.swa_utils.AveragedModel`.
 *
 * @example
 * const ema = new AveragedModel(model, { avgFn: getEmaAvgFn(0.999) });
 * optimizer.step();
 * ema.updateParameters(model);
 */
export class AveragedModel<M extends Module = Module> extends Module {
  static override readonly fieldNames = 'snake';

  readonly module: M;
  /** Number of models in the average, an int64 buffer. */
  readonly nAveraged: Tensor;
  readonly #avgFn: AverageFn;
  readonly #useBuffers: boolean;

  constructor(model: M, options: AveragedModelOptions = {}) {
    super();
    if (!(model instanceof Module)) {
      throw makeError('ERR_TYPE', `AveragedModel: expected a Module, got ${show(model)}`);
    }
    for (const key of Object.keys(options)) {
      if (optionNames.includes(key)) continue;
      throw makeError(
        'ERR_TYPE',
        `AveragedModel: unknown option '${key}' (options are ${optionNames.join(', ')})`,
      );
    }
    this.module = model.deepCopy();
    if (options.device !== undefined && options.device !== null) this.module.to(options.device);
    this.nAveraged = full([], 0, { dtype: 'int64', device: options.device });
    this.registerBuffer('nAveraged', this.nAveraged);
    this.#avgFn = options.avgFn ?? getSwaAvgFn();
    this.#useBuffers = options.useBuffers ?? false;
  }

  override forward(...input: never[]): unknown {
    return (this.module as Module).call(...(input as unknown[]));
  }

  /** Takes the model's current weights into the average. */
  updateParameters(model: Module): void {
    noGrad(() => {
      const buffers = (m: Module): Tensor[] => (this.#useBuffers ? m.buffers() : []);
      const own = [...this.module.parameters(), ...buffers(this.module)];
      const current = [...model.parameters(), ...buffers(model)];
      if (own.length !== current.length) {
        throw makeError(
          'ERR_VALUE',
          `AveragedModel: updateParameters: the model has ${String(current.length)} tensors, ` +
            `the average ${String(own.length)}`,
        );
      }
      const count = this.nAveraged.item();
      own.forEach((t, i) => this.#take(t, (current[i] as Tensor).detach(), count));
      if (!this.#useBuffers) {
        const theirs = model.buffers();
        this.module.buffers().forEach((b, i) => b.copy_(theirs[i] as Tensor));
      }
      this.nAveraged.add_(1);
    });
  }

  #take(averaged: Tensor, current: Tensor, count: number): void {
    // Counters and the like have no average.
    if (count === 0 || !averaged.isFloatingPoint()) {
      averaged.copy_(current);
      return;
    }
    const value = current.to({ device: averaged.device, dtype: averaged.dtype });
    averaged.copy_(this.#avgFn(averaged.detach(), value, count));
  }
}

/** What batch normalisation layers have in common. */
interface RunningStats {
  momentum: number | null;
  resetRunningStats(): void;
}

function hasRunningStats(m: Module): m is Module & RunningStats {
  const stats = m as Partial<RunningStats>;
  return typeof stats.resetRunningStats === 'function' && m.constructor.name.includes('BatchNorm');
}

/**
 * Computes the running statistics of a model's batch normalisation layers anew, by a pass over
 * the data: those of an averaged model are not averages. Batches are inputs, or arrays whose first
 * element is the input. PyTorch: `torch.optim.swa_utils.update_bn`.
 */
export function updateBn(loader: Iterable<unknown>, model: Module, device?: Device | null): void {
  const layers = model.modules().filter(hasRunningStats);
  if (layers.length === 0) return;
  const momenta = layers.map((m) => m.momentum);
  const { training } = model;
  model.train();
  for (const layer of layers) {
    layer.resetRunningStats();
    // A cumulative average over all batches.
    layer.momentum = null;
  }
  try {
    noGrad(() => {
      for (const batch of loader) {
        let input = Array.isArray(batch) ? (batch as unknown[])[0] : batch;
        if (input instanceof Tensor && device !== undefined && device !== null) {
          input = input.to(device);
        }
        model.call(...([input] as never[]));
      }
    });
  } finally {
    layers.forEach((layer, i) => {
      layer.momentum = momenta[i] ?? null;
    });
    model.train(training);
  }
}

export { SWALR, type SWALROptions } from './lrScheduler/swa';
