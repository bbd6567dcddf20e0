/** Autocast for custom functions: what `forward` runs in, and the same again for `backward`. */
import {
  type AutocastDType,
  type AutocastDeviceType,
  autocastFlags,
  runRegion,
} from '../autocastState';
import { type FunctionContext } from '../autograd';
import { type DType, isFloatingDType } from '../dtype';
import { makeError } from '../errors';
import { Tensor } from '../tensor';
import { checkDeviceType } from './autocast';
import { describeArgument } from './describe';

export interface CustomFwdOptions {
  /** The kind of device the function is for. */
  readonly deviceType: AutocastDeviceType;
  /**
   * Cast floating-point tensors among the arguments (float64 excepted) to this dtype and run with
   * autocast off. Default: run in the autocast state that is in force.
   */
  readonly castInputs?: DType | null | undefined;
}

interface Recorded {
  readonly enabled: boolean;
  readonly dtype: AutocastDType;
}

/** How the forward of a context ran. */
const recorded = new WeakMap<FunctionContext, Recorded>();

type Forward = (this: never, ctx: FunctionContext, ...args: never[]) => unknown;
type Backward = (this: never, ctx: FunctionContext, ...grads: never[]) => unknown;

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The argument with its eligible tensors cast, inside arrays, maps and plain objects too. */
function castArgument(value: unknown, deviceType: AutocastDeviceType, dtype: DType): unknown {
  if (value instanceof Tensor) {
    const eligible =
      isFloatingDType(value.dtype) &&
      value.dtype !== 'float64' &&
      value.device.startsWith(deviceType);
    return eligible ? value.to(dtype) : value;
  }
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  const cast = (v: unknown): unknown => castArgument(v, deviceType, dtype);
  if (Array.isArray(value)) return value.map(cast);
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [k, cast(v)]));
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, cast(v)]));
}

function checkFunction(where: string, fn: unknown): void {
  if (typeof fn !== 'function') {
    throw makeError('ERR_TYPE', `${where}: can only wrap a function, got ${describeArgument(fn)}`);
  }
}

/**
 * For the `forward` of a custom {@link Function}: `static forward = customFwd({ deviceType: 'cpu',
 * castInputs: 'float32' })((ctx, x) => ...)`, or as a method decorator. Notes on `ctx` the
 * autocast state for {@link customBwd}. PyTorch: `torch.amp.custom_fwd`.
 */
export function customFwd(
  options: CustomFwdOptions,
): <F extends Forward>(fn: F, context?: unknown) => F {
  const deviceType = checkDeviceType('customFwd', options.deviceType);
  const castInputs = options.castInputs ?? undefined;
  return <F extends Forward>(fn: F): F => {
    checkFunction('customFwd', fn);
    const wrapped = function (this: never, ctx: FunctionContext, ...args: never[]): unknown {
      const state = autocastFlags()[deviceType];
      const casts = castInputs !== undefined && state.enabled;
      recorded.set(ctx, { enabled: state.enabled && !casts, dtype: state.dtype });
      if (!casts) return fn.call(this, ctx, ...args);
      const cast = args.map((a) => castArgument(a, deviceType, castInputs)) as never[];
      const off = { [deviceType]: { ...state, enabled: false } };
      return runRegion(off, () => fn.call(this, ctx, ...cast));
    };
    return wrapped as unknown as F;
  };
}

/**
 * For the `backward` of a custom {@link Function} whose forward is wrapped by {@link customFwd}: runs
 * it in the autocast state of the forward, dtype included. PyTorch: `torch.amp.custom_bwd`.
 */
export function customBwd(options: {
  readonly deviceType: AutocastDeviceType;
}): <F extends Backward>(fn: F, context?: unknown) => F {
  const deviceType = checkDeviceType('customBwd', options.deviceType);
  return <F extends Backward>(fn: F): F => {
    checkFunction('customBwd', fn);
    const wrapped = function (this: never, ctx: FunctionContext, ...grads: never[]): unknown {
      const forward = recorded.get(ctx);
      if (forward === undefined) {
        throw makeError(
          'ERR_AUTOGRAD',
          'customBwd: the forward of this function is not wrapped by customFwd',
        );
      }
      const state = { [deviceType]: { ...autocastFlags()[deviceType], ...forward } };
      return runRegion(state, () => fn.call(this, ctx, ...grads));
    };
    return wrapped as unknown as F;
  };
}
