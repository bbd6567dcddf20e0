/** The gradients of an optimizer as a {@link GradScaler} sees them. */
import { countNonFinite } from '../anomaly';
import { opFunction } from '../call';
import { makeError } from '../errors';
import { type DType } from '../dtype';
import { keep } from '../memory';
import { type Handle, native } from '../native';
import { full } from '../ops.gen';
import { handleOf, type Tensor } from '../tensor';
import { warnOnce } from '../warnings';

/** What a scaler needs of an optimizer. */
export interface ScalableOptimizer {
  readonly paramGroups: readonly {
    readonly params: readonly Tensor[];
    readonly paramNames?: readonly string[];
    /** The optimizer works on float32 copies of half parameters. */
    readonly masterWeights?: unknown;
  }[];
  step(...args: readonly never[]): unknown;
  /**
   * The optimizer honours `gradScale` (gradients are divided by it) and `foundInf` (a step with a
   * nonzero flag writes nothing) by itself.
   */
  readonly supportsGradScale?: boolean;
  gradScale?: Tensor | null;
  foundInf?: Tensor | null;
  /** Told of a skipped step; `called`: `step` ran and found out by itself. */
  noteSkippedStep?(called: boolean): void;
}

/** The parameters of an optimizer, and where their gradients are. */
export interface ScaledGradients {
  readonly params: readonly Handle[];
  readonly devices: readonly string[];
}

interface Place {
  readonly param: Tensor;
  readonly group: number;
  readonly index: number;
  readonly name: string | undefined;
  readonly masters: boolean;
}

function* places(optimizer: ScalableOptimizer): Generator<Place> {
  for (const [group, g] of optimizer.paramGroups.entries()) {
    for (const [index, param] of g.params.entries()) {
      yield { param, group, index, name: g.paramNames?.[index], masters: g.masterWeights === true };
    }
  }
}

function describePlace({ param, group, index, name }: Place): string {
  const what = `${param.dtype}[${param.shape.join(', ')}]`;
  const where = `parameter ${String(index)} of group ${String(group)}`;
  return name === undefined ? `${where} (${what})` : `'${name}' (${where}, ${what})`;
}

/** Where there are gradients. Raises where they cannot be unscaled without loss. */
export function checkGradients(optimizer: ScalableOptimizer, where: string): ScaledGradients {
  const params: Handle[] = [];
  const devices: string[] = [];
  for (const [
    group,
    { params: members, paramNames, masterWeights },
  ] of optimizer.paramGroups.entries()) {
    const handles = members.map(handleOf);
    params.push(...handles);
    const kinds = native.gradientKinds(handles);
    for (let k = 0; k < kinds.length; k += 3) {
      const [dtype, device, index] = kinds.slice(k, k + 3) as [DType, string, number];
      if (!devices.includes(device)) devices.push(device);
      const param = members[index] as Tensor;
      const masters = masterWeights === true;
      rejectHalves(dtype, { param, group, index, name: paramNames?.[index], masters }, where);
    }
  }
  return { params, devices };
}

function rejectHalves(dtype: DType, place: Place, where: string): void {
  // In the optimizer's kernel the division is done in float32, for masters.
  if (dtype === 'float16' && !(where === 'step' && place.masters)) {
    throw makeError(
      'ERR_DTYPE',
      `GradScaler: Attempting to unscale FP16 gradients, the first of ${describePlace(place)}. ` +
        'Either keep the parameters in float32 and run the model under autocast (do not call .half()), ' +
        'or use an optimizer with masterWeights: true and leave unscaling to step().',
    );
  }
  if (dtype === 'bfloat16') {
    warnOnce(
      'GradScalerWarning',
      'GradScaler: gradients are bfloat16, whose range is that of float32; loss scaling is not needed.',
    );
  }
}

/** Why an optimizer has no gradients, as far as its parameters tell. */
export function explainMissingGradients(optimizer: ScalableOptimizer): string {
  const all = [...places(optimizer)];
  const frozen = all.filter((p) => !p.param.requiresGrad).length;
  const first = all[0] === undefined ? '' : ` The first is ${describePlace(all[0])}.`;
  return (
    `None of its ${String(all.length)} parameters has a gradient (${String(frozen)} do not require one): ` +
    'was backward() called on the scaled loss, does the loss depend on these parameters, and are ' +
    `they those of the model that computed it?${first}`
  );
}

/** The first parameter whose gradient is not finite, in words. */
export function firstNonFinite(optimizer: ScalableOptimizer): string {
  for (const place of places(optimizer)) {
    const { grad } = place.param;
    if (grad !== null && countNonFinite(grad) > 0) return describePlace(place);
  }
  return 'a parameter whose gradient has changed since';
}

const update = opFunction('ampUpdateStep_');

/** A factor of one on each device. */
const ones = new Map<string, Tensor>();

function oneOn(device: string): Tensor {
  let one = ones.get(device);
  if (one === undefined) {
    one = keep(full([], 1, { device: device as 'cpu', dtype: 'float32' }));
    ones.set(device, one);
  }
  return one;
}

/**
 * Multiplies all gradients by `inverse` in one native call a device (only looks at them when there is
 * none) and returns a flag a device: 1 if any of them was not finite.
 */
export function unscaleStep(
  { params, devices }: ScaledGradients,
  inverse: Tensor | undefined,
): Map<string, Tensor> {
  const flags = new Map<string, Tensor>();
  for (const device of devices) {
    const on = { device: device as 'cpu', dtype: 'float32' } as const;
    // Filled on the device: a number that comes from the host would be waited for.
    const flag = keep(full([], 0, on)); // lives until update, beyond an enclosing tidy
    const factor = inverse === undefined ? oneOn(device) : inverse.to({ device: on.device });
    native.unscaleGradients(params, handleOf(flag), handleOf(factor));
    flags.set(device, flag);
  }
  return flags;
}

/** Moves scale and tracker on; nothing is read to the host. */
export function updateStep(
  scale: Tensor,
  tracker: Tensor,
  foundInf: Tensor,
  options: {
    readonly growthFactor: number;
    readonly backoffFactor: number;
    readonly growthInterval: number;
    readonly minScale: number;
  },
): void {
  update(
    handleOf(scale),
    handleOf(tracker),
    handleOf(foundInf),
    options.growthFactor,
    options.backoffFactor,
    options.growthInterval,
    options.minScale,
  );
}
