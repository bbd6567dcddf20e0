/** Gradient scaling: keeps small float16 gradients from vanishing. PyTorch: `torch.amp.GradScaler`. */
import { type AutocastDeviceType } from '../autocastState';
import { noGrad } from '../autograd';
import { suggest } from '../call';
import { type ErrorCode, makeError, rememberCaller } from '../errors';
import { keep } from '../memory';
import { native } from '../native';
import { full, stack } from '../ops.gen';
import { Tensor } from '../tensor';
import { warnOnce } from '../warnings';
import { checkDeviceType } from './autocast';
import { describeArgument } from './describe';
import {
  checkGradients,
  explainMissingGradients,
  firstNonFinite,
  type ScalableOptimizer,
  unscaleStep,
  updateStep,
} from './scalerGradients';

export interface GradScalerOptions {
  /** Default 65536. */
  readonly initScale?: number | undefined;
  /** The scale grows by this factor after `growthInterval` steps without overflow. Default 2. */
  readonly growthFactor?: number | undefined;
  /** The scale shrinks by this factor after an overflow. Default 0.5. */
  readonly backoffFactor?: number | undefined;
  /** Default 2000. */
  readonly growthInterval?: number | undefined;
  /** The scale does not shrink below this. Default 0: no bound, as in PyTorch. */
  readonly minScale?: number | undefined;
  /** False: every method passes through. Default true. */
  readonly enabled?: boolean | undefined;
}

/** PyTorch's layout, so that checkpoints can be exchanged. */
export interface GradScalerState {
  readonly scale: number;
  readonly growth_factor: number;
  readonly backoff_factor: number;
  readonly growth_interval: number;
  readonly _growth_tracker: number;
}

type Stage = 'ready' | 'unscaled' | 'stepped';

interface OptimizerRecord {
  stage: Stage;
  /** float32 flags, one a device. */
  foundInf: Map<string, Tensor>;
  /** Where `unscale_` was called, for the message about the second call. */
  unscaledAt: () => string;
}

/** What `scale` takes: a tensor, or containers of tensors. */
export type Scalable = Tensor | Iterable<Scalable>;

const defaults = {
  initScale: 65536,
  growthFactor: 2,
  backoffFactor: 0.5,
  growthInterval: 2000,
  minScale: 0,
  enabled: true,
};

/** So many skipped steps in a row are no longer the search for the right scale. */
const skipsBeforeWarning = 20;

const stateKeys = [
  'scale',
  'growth_factor',
  'backoff_factor',
  'growth_interval',
  '_growth_tracker',
];

function stateError(message: string): Error {
  return makeError('ERR_AUTOGRAD', `GradScaler: ${message}`);
}

function checkNumber(name: string, value: unknown, code: ErrorCode = 'ERR_TYPE'): number {
  if (typeof value === 'number' && !Number.isNaN(value)) return value;
  throw makeError(code, `GradScaler: '${name}' must be a number, got ${describeArgument(value)}`);
}

function checkInterval(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw makeError(
    'ERR_VALUE',
    `GradScaler: 'growthInterval' must be a positive integer, got ${describeArgument(value)}`,
  );
}

function checkGrowth(value: unknown): number {
  const factor = checkNumber('growthFactor', value);
  if (factor > 1) return factor;
  throw makeError(
    'ERR_VALUE',
    `GradScaler: The growth factor must be > 1.0, got ${String(factor)}`,
  );
}

function checkBackoff(value: unknown): number {
  const factor = checkNumber('backoffFactor', value);
  if (factor < 1 && factor > 0) return factor;
  throw makeError(
    'ERR_VALUE',
    `GradScaler: The backoff factor must be < 1.0 and positive, got ${String(factor)}`,
  );
}

function checkOptions(options: unknown): typeof defaults {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw makeError(
      'ERR_TYPE',
      `GradScaler: options must be an object, got ${describeArgument(options)}`,
    );
  }
  const names = Object.keys(defaults);
  for (const key of Object.keys(options)) {
    if (names.includes(key)) continue;
    throw makeError(
      'ERR_TYPE',
      `GradScaler: unknown option '${key}'${suggest(key, names)} (options are ${names.join(', ')})`,
    );
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const all = { ...defaults, ...(Object.fromEntries(given) as GradScalerOptions) };
  checkGrowth(all.growthFactor);
  checkBackoff(all.backoffFactor);
  checkInterval(all.growthInterval);
  if (checkNumber('minScale', all.minScale) < 0) {
    throw makeError('ERR_VALUE', `GradScaler: 'minScale' must not be negative`);
  }
  if (!(checkNumber('initScale', all.initScale) > 0)) {
    throw makeError('ERR_VALUE', `GradScaler: 'initScale' must be positive`);
  }
  if (typeof all.enabled !== 'boolean') {
    throw makeError('ERR_TYPE', `GradScaler: 'enabled' must be a boolean`);
  }
  return all;
}

/**
 * Multiplies the loss before `backward()` so that small gradients survive in float16, divides them
 * again before the optimizer's step, skips steps whose gradients overflowed, and looks for the
 * largest scale that does not overflow.
 *
 * @example
 * const scaler = new GradScaler('cpu');
 * for (const [x, y] of loader) {
 *   optimizer.zeroGrad();
 *   const loss = autocast('cpu', { dtype: 'float16' }, () => criterion(model.forward(x), y));
 *   scaler.scale(loss).backward();
 *   scaler.unscale_(optimizer);       // only to look at, or clip, the gradients
 *   clipGradNorm_(model.parameters(), 1);
 *   scaler.step(optimizer);
 *   scaler.update();
 * }
 */
export class GradScaler {
  readonly #device: AutocastDeviceType;
  readonly #enabled: boolean;
  readonly #minScale: number;
  #initScale: number;
  #initTracker = 0;
  #growthFactor: number;
  #backoffFactor: number;
  #growthInterval: number;
  #scale: Tensor | undefined;
  #tracker: Tensor | undefined;
  readonly #scaleOn = new Map<string, Tensor>();
  #records = new Map<ScalableOptimizer, OptimizerRecord>();
  readonly #skipped = new WeakMap<ScalableOptimizer, boolean | Tensor>();
  #skipsInARow = 0;
  #skippedNow = false;
  #scaleAtSkip = Infinity;

  constructor(device?: AutocastDeviceType, options?: GradScalerOptions);
  constructor(options: GradScalerOptions);
  constructor(a: AutocastDeviceType | GradScalerOptions = 'cuda', b: GradScalerOptions = {}) {
    const [device, options] = typeof a === 'object' && a !== null ? ['cuda', a] : [a, b];
    this.#device = checkDeviceType('GradScaler', device);
    const all = checkOptions(options);
    this.#initScale = all.initScale;
    this.#growthFactor = all.growthFactor;
    this.#backoffFactor = all.backoffFactor;
    this.#growthInterval = all.growthInterval;
    this.#minScale = all.minScale;
    this.#enabled = all.enabled && native.deviceAvailable(this.#device);
    if (all.enabled && !this.#enabled) {
      warnOnce(
        'GradScalerWarning',
        `GradScaler is enabled for ${this.#device}, but it is not available. Disabling.`,
      );
    }
  }

  /** Whether this scaler does anything. */
  isEnabled(): boolean {
    return this.#enabled;
  }

  #initialised(): { scale: Tensor; tracker: Tensor } | undefined {
    const scale = this.#scale;
    const tracker = this.#tracker;
    return scale === undefined || tracker === undefined ? undefined : { scale, tracker };
  }

  #require(where: string): { scale: Tensor; tracker: Tensor } {
    const state = this.#initialised();
    if (state !== undefined) return state;
    throw stateError(
      `Attempted ${where} but _scale is None. This may indicate your script did not use ` +
        'scaler.scale(loss or outputs) earlier in the iteration.',
    );
  }

  #record(optimizer: ScalableOptimizer): OptimizerRecord {
    let record = this.#records.get(optimizer);
    if (record === undefined) {
      record = { stage: 'ready', foundInf: new Map(), unscaledAt: () => '' };
      this.#records.set(optimizer, record);
    }
    return record;
  }

  /** A copy of the scale on another device, made once an iteration. */
  #scaleFor(device: string): Tensor {
    const { scale } = this.#require('scale');
    if (scale.device === device) return scale;
    let copy = this.#scaleOn.get(device);
    if (copy === undefined) {
      copy = keep(scale.to({ device: device as AutocastDeviceType }));
      this.#scaleOn.set(device, copy);
    }
    return copy;
  }

  /**
   * Multiplies a tensor, or every tensor in nested arrays or iterables, by the scale. By type promotion a
   * 0-d float16 loss becomes float32; a float16 tensor with dimensions stays float16 and may overflow.
   * @throws TypeError for anything else, strings included.
   */
  scale(outputs: Tensor): Tensor;
  scale<T extends Scalable>(outputs: readonly T[]): T[];
  scale(outputs: Iterable<Scalable>): Scalable[];
  scale(outputs: Scalable | readonly Scalable[]): Scalable {
    if (!this.#enabled) return outputs;
    if (outputs instanceof Tensor) {
      if (this.#scale === undefined) this.#initialise(outputs);
      return outputs.mul(this.#scaleFor(outputs.device));
    }
    const iterable =
      typeof outputs === 'object' &&
      outputs !== null &&
      typeof outputs[Symbol.iterator] === 'function';
    if (!iterable || ArrayBuffer.isView(outputs)) {
      throw makeError(
        'ERR_TYPE',
        'GradScaler: outputs must be a Tensor or an iterable of Tensors, ' +
          `got ${describeArgument(outputs)}`,
      );
    }
    return Array.from(outputs as Iterable<Tensor>, (item) => this.scale(item));
  }

  #initialise(like: Tensor): void {
    const { device } = like;
    this.#scale = keep(full([], this.#initScale, { dtype: 'float32', device }));
    this.#tracker = keep(full([], this.#initTracker, { dtype: 'int32', device }));
  }

  /**
   * Divides the gradients of the optimizer's parameters by the scale, to look at or clip them before
   * {@link step}, which does it otherwise. At most once between two updates.
   * @throws TensorError for float16 gradients, for a second call, and after `step`.
   */
  unscale_(optimizer: ScalableOptimizer): void {
    if (!this.#enabled) return;
    const { scale } = this.#require('unscale_');
    const record = this.#record(optimizer);
    if (record.stage === 'unscaled') {
      throw stateError(
        'unscale_() has already been called on this optimizer since the last update(). With gradient ' +
          'accumulation call it once, after the last backward(). The first call was' +
          record.unscaledAt(),
      );
    }
    if (record.stage === 'stepped') throw stateError('unscale_() is being called after step().');
    const gradients = checkGradients(optimizer, 'unscale_');
    const inverse = noGrad(() => scale.double().reciprocal().float());
    record.foundInf = unscaleStep(gradients, inverse);
    record.stage = 'unscaled';
    record.unscaledAt = rememberCaller();
  }

  #foundInf(record: OptimizerRecord, optimizer: ScalableOptimizer): Tensor {
    const { scale } = this.#require('step');
    const flags = [...record.foundInf.values()];
    const [first, ...rest] = flags;
    if (first === undefined) {
      throw stateError(
        `No inf checks were recorded for this optimizer. ${explainMissingGradients(optimizer)}`,
      );
    }
    if (rest.length === 0) return first;
    return noGrad(() =>
      rest.reduce(
        (sum, f) => sum.add(f.to({ device: scale.device })),
        first.to({ device: scale.device }),
      ),
    );
  }

  /**
   * Unscales the gradients unless {@link unscale_} did, and calls `optimizer.step()` if all of them
   * are finite. An optimizer with `supportsGradScale` gets the scale and the flag instead and decides on the
   * device; its gradients stay scaled.
   * @returns what `optimizer.step()` returned, or undefined for a skipped step; see {@link lastStepSkipped}.
   * @throws TypeError for a closure: it would have to scale its losses itself.
   */
  step(optimizer: ScalableOptimizer, ...rest: readonly unknown[]): unknown {
    if (!this.#enabled) return optimizer.step(...(rest as never[]));
    this.#rejectArguments(rest);
    const { scale } = this.#require('step');
    const record = this.#record(optimizer);
    if (record.stage === 'stepped') {
      throw stateError('step() has already been called since the last update().');
    }
    if (optimizer.supportsGradScale === true) return this.#fusedStep(optimizer, record);
    if (record.stage === 'ready') this.unscale_(optimizer);
    // One look at the device for both.
    const found = this.#foundInf(record, optimizer).to({ device: scale.device });
    const [flag, seen] = noGrad(() => stack([found, scale])).toArray() as [number, number];
    record.stage = 'stepped';
    this.#skipped.set(optimizer, flag !== 0);
    if (flag === 0) return optimizer.step();
    this.#noteSkip(optimizer, seen);
    optimizer.noteSkippedStep?.(false);
    return undefined;
  }

  #rejectArguments(rest: readonly unknown[]): void {
    if (rest.length === 0) return;
    const closure = rest.some(
      (a) => typeof a === 'function' || (typeof a === 'object' && a !== null && 'closure' in a),
    );
    throw makeError(
      'ERR_TYPE',
      closure
        ? 'GradScaler: Closure use is not currently supported if GradScaler is enabled.'
        : `GradScaler: step takes an optimizer only, got also ${describeArgument(rest[0])}`,
    );
  }

  #fusedStep(optimizer: ScalableOptimizer, record: OptimizerRecord): unknown {
    const before = { gradScale: optimizer.gradScale, foundInf: optimizer.foundInf };
    let gradScale = before.gradScale ?? null;
    if (record.stage === 'ready') {
      const gradients = checkGradients(optimizer, 'step');
      record.foundInf = unscaleStep(gradients, undefined);
      const device = gradients.devices[0] ?? 'cpu';
      const scale = record.foundInf.size === 0 ? null : this.#scaleFor(device);
      gradScale =
        gradScale === null || scale === null ? scale : noGrad(() => scale.mul(gradScale as Tensor));
    }
    const foundInf = this.#foundInf(record, optimizer);
    record.stage = 'stepped';
    // Known at once where reading costs nothing; elsewhere when somebody asks.
    const skipped = foundInf.device === 'cpu' ? foundInf.item() !== 0 : foundInf;
    this.#skipped.set(optimizer, skipped);
    if (skipped === true) this.#noteSkip(optimizer, this.getScale());
    optimizer.gradScale = gradScale;
    optimizer.foundInf = foundInf;
    try {
      const result = optimizer.step();
      if (skipped === true) optimizer.noteSkippedStep?.(true);
      return skipped === true ? undefined : result;
    } finally {
      optimizer.gradScale = before.gradScale ?? null;
      optimizer.foundInf = before.foundInf ?? null;
    }
  }

  /**
   * Whether the last {@link step} of this optimizer was skipped because gradients were not finite.
   * A scheduler that counts steps need not move then.
   */
  lastStepSkipped(optimizer: ScalableOptimizer): boolean {
    const skipped = this.#skipped.get(optimizer) ?? false;
    return typeof skipped === 'boolean' ? skipped : skipped.item() !== 0;
  }

  /** `scale`: what it is before the update. */
  #noteSkip(optimizer: ScalableOptimizer, scale: number): void {
    this.#skippedNow = true;
    this.#scaleAtSkip = scale;
    if ((this.#skipsInARow + 1) % skipsBeforeWarning !== 0) return;
    warnOnce(
      'GradScalerWarning',
      `GradScaler: ${String(this.#skipsInARow + 1)} steps in a row were skipped because gradients were ` +
        `not finite; the scale has come down to ${String(scale)}. The first such gradient is ` +
        `that of ${firstNonFinite(optimizer)}. A few skipped steps at the start are normal, as the initial ` +
        'scale often overflows; so many mean NaN or infinity in the model itself: detectAnomaly() names ' +
        'the op.',
    );
  }

  /**
   * Moves the scale on, once an iteration, after all optimizers have stepped.
   * @param newScale sets the scale instead: a positive number, or a tensor with one element.
   */
  update(newScale?: number | Tensor): void {
    if (!this.#enabled) return;
    const { scale, tracker } = this.#require('update');
    if (newScale !== undefined && newScale !== null) {
      this.#setScale(scale, newScale);
    } else {
      const flags = [...this.#records.values()].flatMap((r) => [...r.foundInf.values()]);
      const [first, ...rest] = flags;
      if (first === undefined) throw stateError('No inf checks were recorded prior to update.');
      const here = first.to({ device: scale.device });
      const sum = noGrad(() => rest.reduce((s, f) => s.add(f.to({ device: scale.device })), here));
      updateStep(scale, tracker, sum, {
        growthFactor: this.#growthFactor,
        backoffFactor: this.#backoffFactor,
        growthInterval: this.#growthInterval,
        minScale: this.#minScale,
      });
    }
    this.#finishIteration();
  }

  #setScale(scale: Tensor, value: number | Tensor): void {
    this.#scaleAtSkip = Infinity; // the new scale is the caller's choice
    if (value instanceof Tensor) {
      if (value.numel() !== 1 || value.requiresGrad) {
        throw makeError(
          'ERR_VALUE',
          'GradScaler: new scale must be a tensor with one element that does not require grad',
        );
      }
      noGrad(() => scale.copy_(value.reshape([])));
      return;
    }
    if (!(checkNumber('newScale', value) > 0)) {
      throw makeError('ERR_VALUE', `GradScaler: new scale must be positive, got ${String(value)}`);
    }
    noGrad(() => scale.fill_(value));
  }

  #finishIteration(): void {
    const now = Math.max(this.#scaleAtSkip * this.#backoffFactor, this.#minScale);
    if (now < 1) {
      warnOnce(
        'GradScalerWarning',
        'GradScaler: the scale fell below 1, where it shrinks gradients instead of saving them; the ' +
          'model produces values that are not finite. The option minScale sets a bound.',
      );
    }
    this.#scaleAtSkip = Infinity;
    this.#skipsInARow = this.#skippedNow ? this.#skipsInARow + 1 : 0;
    this.#skippedNow = false;
    this.#records = new Map();
    this.#scaleOn.clear();
  }

  /** The scale, read to the host; 1 when disabled. */
  getScale(): number {
    if (!this.#enabled) return 1;
    return this.#scale === undefined ? this.#initScale : this.#scale.item();
  }

  getGrowthFactor(): number {
    return this.#growthFactor;
  }

  setGrowthFactor(factor: number): void {
    this.#growthFactor = checkGrowth(factor);
  }

  getBackoffFactor(): number {
    return this.#backoffFactor;
  }

  setBackoffFactor(factor: number): void {
    this.#backoffFactor = checkBackoff(factor);
  }

  getGrowthInterval(): number {
    return this.#growthInterval;
  }

  setGrowthInterval(interval: number): void {
    this.#growthInterval = checkInterval(interval);
  }

  #growthTracker(): number {
    return this.#tracker === undefined ? this.#initTracker : this.#tracker.item();
  }

  /** The state to save, between two iterations; empty when disabled. */
  stateDict(): GradScalerState | Record<string, never> {
    if (!this.#enabled) return {};
    return {
      scale: this.getScale(),
      growth_factor: this.#growthFactor,
      backoff_factor: this.#backoffFactor,
      growth_interval: this.#growthInterval,
      _growth_tracker: this.#growthTracker(),
    };
  }

  /** Takes over a saved state; before the first {@link scale} it waits for that. */
  loadStateDict(state: Readonly<Record<string, unknown>> | GradScalerState): void {
    if (!this.#enabled) return;
    if (typeof state !== 'object' || state === null) {
      throw makeError(
        'ERR_TYPE',
        `GradScaler: a state dict must be an object, got ${describeArgument(state)}`,
      );
    }
    const given = state as Readonly<Record<string, unknown>>;
    if (Object.keys(given).length === 0) {
      throw stateError(
        'The source state dict is empty, possibly because it was saved from a disabled instance ' +
          'of GradScaler.',
      );
    }
    for (const key of stateKeys) checkNumber(key, given[key], 'ERR_VALUE');
    const loaded = given as unknown as GradScalerState;
    this.#initScale = loaded.scale;
    this.#initTracker = loaded._growth_tracker;
    this.#growthFactor = loaded.growth_factor;
    this.#backoffFactor = loaded.backoff_factor;
    this.#growthInterval = loaded.growth_interval;
    const live = this.#initialised();
    if (live === undefined) return;
    noGrad(() => {
      live.scale.fill_(loaded.scale);
      live.tracker.fill_(loaded._growth_tracker);
    });
    this.#scaleOn.clear();
  }

  /** {@link stateDict} for JSON. Throws in the middle of an iteration, whose state would be lost. */
  toJSON(): GradScalerState | Record<string, never> {
    if (this.#records.size > 0) {
      throw stateError(
        'A GradScaler instance may only be serialised at the beginning of an iteration, or at the end ' +
          'after scaler.update().',
      );
    }
    return this.stateDict();
  }
}
