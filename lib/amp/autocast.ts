/** Autocast: regions in which ops choose their dtype, by PyTorch's lists for CPU and CUDA. */
import {
  type AutocastDType,
  type AutocastDevice,
  type AutocastDeviceType,
  type AutocastFlags,
  autocastFlags,
  changeAutocast,
  OpenRegion,
  runRegion,
} from '../autocastState';
import { suggest } from '../call';
import { type DType, isDType } from '../dtype';
import { makeError } from '../errors';
import { native } from '../native';
import { describeArgument } from './describe';
import { warnOnce } from '../warnings';

export interface AutocastOptions {
  /**
   * dtype of the products inside the region: float16 or bfloat16. Default: that of
   * {@link getAutocastDtype}, which is bfloat16 on the CPU and float16 on CUDA.
   */
  readonly dtype?: DType | null | undefined;
  /** False: ops run in the dtypes of their inputs, inside an enabled region too. Default true. */
  readonly enabled?: boolean | undefined;
  /** Cast each float32 weight once for the whole outermost region. Default: as outside (true). */
  readonly cacheEnabled?: boolean | null | undefined;
  /**
   * Whose op list holds. Default: that of `deviceType`. `'cuda'` on the CPU rehearses what a
   * region would do on CUDA.
   */
  readonly opList?: AutocastDeviceType | undefined;
}

const optionNames = ['dtype', 'enabled', 'cacheEnabled', 'opList'];
const deviceNames = { cpu: 'CPU', cuda: 'CUDA' } as const;

type Callback<T> = () => T;
type AnyMethod = (this: never, ...args: never[]) => unknown;

/** What {@link autocast} returns without a callback. Entering it several times is fine. */
export interface AutocastRegion {
  /** `using _ = autocast('cpu')`: taking this property opens the region. */
  readonly [Symbol.dispose]: () => void;
  /** Opens the region by hand; `end()` it in a `finally`. */
  enter(): { end(): void };
  /** Runs `fn` in the region. */
  run<T>(fn: Callback<T>): T;
  /** Wraps a function, or decorates a method: every call runs in the region. */
  <F extends AnyMethod>(fn: F, context?: unknown): F;
  /** As a decorator of the older kind (`experimentalDecorators`). */
  (target: object, key: string | symbol, descriptor: PropertyDescriptor): PropertyDescriptor;
}

export function checkDeviceType(where: string, deviceType: unknown): AutocastDeviceType {
  if (typeof deviceType !== 'string') {
    throw makeError(
      'ERR_TYPE',
      `${where}: argument 'deviceType' must be a string, got ${describeArgument(deviceType)}`,
    );
  }
  if (deviceType === 'cpu' || deviceType === 'cuda') return deviceType;
  const hint = deviceType.startsWith('cuda:') ? "; did you mean 'cuda'?" : '';
  throw makeError(
    'ERR_VALUE',
    `${where}: unsupported autocast deviceType '${deviceType}', expected 'cpu' or 'cuda'${hint}`,
  );
}

function checkDType(where: string, dtype: unknown): DType {
  if (isDType(dtype)) return dtype;
  throw makeError(
    typeof dtype === 'string' ? 'ERR_DTYPE' : 'ERR_TYPE',
    `${where}: 'dtype' must be a dtype name such as 'float16', got ${describeArgument(dtype)}`,
  );
}

function checkBoolean(where: string, name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw makeError(
    'ERR_TYPE',
    `${where}: '${name}' must be a boolean, got ${describeArgument(value)}`,
  );
}

function checkOptions(options: unknown): AutocastOptions {
  if (options === undefined || options === null) return {};
  if (typeof options !== 'object' || Array.isArray(options)) {
    throw makeError(
      'ERR_TYPE',
      `autocast: options must be an object such as { dtype: 'float16' }, ` +
        `got ${describeArgument(options)}`,
    );
  }
  for (const key of Object.keys(options)) {
    if (optionNames.includes(key)) continue;
    throw makeError(
      'ERR_TYPE',
      `autocast: unknown option '${key}'${suggest(key, optionNames)} ` +
        `(options are ${optionNames.join(', ')})`,
    );
  }
  return options;
}

function canCastTo(dtype: DType): dtype is AutocastDType {
  return dtype === 'float16' || dtype === 'bfloat16';
}

/** The device's new state: warnings and a disabled region where the request cannot be met. */
function deviceState(
  deviceType: AutocastDeviceType,
  options: AutocastOptions,
  before: AutocastDevice,
): AutocastDevice {
  const list =
    options.opList === undefined ? deviceType : checkDeviceType('autocast', options.opList);
  const dtype =
    options.dtype === undefined || options.dtype === null
      ? before.dtype
      : checkDType('autocast', options.dtype);
  let enabled = checkBoolean('autocast', 'enabled', options.enabled ?? true);
  if (enabled && !native.deviceAvailable(deviceType)) {
    warnOnce(
      'AutocastWarning',
      'User provided deviceType of cuda, but CUDA is not available. Disabling autocast.',
    );
    enabled = false;
  }
  if (canCastTo(dtype)) return { enabled, dtype, list };
  if (enabled) {
    const name = deviceNames[deviceType];
    warnOnce(
      'AutocastWarning',
      `In ${name} autocast, but the target dtype ${dtype} is not supported. Disabling autocast. ` +
        `${name} autocast only supports dtypes of bfloat16, float16 currently.`,
    );
  }
  return { enabled: false, dtype: before.dtype, list };
}

function regionChange(
  deviceType: AutocastDeviceType,
  options: AutocastOptions,
): Partial<AutocastFlags> {
  const before = autocastFlags();
  const cacheEnabled = options.cacheEnabled ?? before.cacheEnabled;
  return {
    [deviceType]: deviceState(deviceType, options, before[deviceType]),
    cacheEnabled: checkBoolean('autocast', 'cacheEnabled', cacheEnabled),
  };
}

function wrapMethod(run: <T>(fn: Callback<T>) => T, fn: AnyMethod): AnyMethod {
  const wrapped = function (this: never, ...args: never[]): unknown {
    return run(() => fn.apply(this, args));
  };
  Object.defineProperty(wrapped, 'name', { value: fn.name, configurable: true });
  return wrapped;
}

function makeRegion(deviceType: AutocastDeviceType, options: AutocastOptions): AutocastRegion {
  const run = <T>(fn: Callback<T>): T => runRegion(regionChange(deviceType, options), fn);
  const enter = (): OpenRegion => new OpenRegion(regionChange(deviceType, options));
  const region = (
    target: unknown,
    _context?: unknown,
    descriptor?: PropertyDescriptor,
  ): unknown => {
    if (typeof descriptor?.value === 'function') {
      return { ...descriptor, value: wrapMethod(run, descriptor.value as AnyMethod) };
    }
    if (typeof target !== 'function') {
      throw makeError(
        'ERR_TYPE',
        'autocast: a region can wrap a function or decorate a method; to run a block in it use ' +
          'autocast(deviceType, options, () => ...) or `using _ = autocast(deviceType, options)`',
      );
    }
    return wrapMethod(run, target as AnyMethod);
  };
  Object.assign(region, { enter, run });
  if (typeof Symbol.dispose === 'symbol') {
    // A `using` declaration takes the method when it starts and calls it when it ends.
    Object.defineProperty(region, Symbol.dispose, {
      get: () => {
        const open = enter();
        return () => {
          open.end();
        };
      },
    });
  }
  return region as unknown as AutocastRegion;
}

/**
 * Mixed precision for a region: products and convolutions run in `dtype`, ops that need range run
 * in float32, everything else in the dtypes of its inputs. PyTorch: `torch.autocast`.
 *
 * @example
 * const loss = autocast('cpu', { dtype: 'bfloat16' }, () => criterion(model.forward(x), y));
 * const text = await autocast('cpu', async () => generate(model));
 * { using _ = autocast('cpu'); y = model.forward(x); }
 * class Net { @autocast('cpu') forward(x) { ... } }
 *
 * Call `backward()` outside; inside it runs outside autocast anyway. A region opened by `using` is for
 * synchronous code; asynchronous code takes the callback form, in which regions that run at
 * the same time do not see each other.
 *
 * @throws TypeError for a `deviceType` that is not a string or an unknown option, RangeError for an
 *   unsupported device. An unsupported dtype, and CUDA where there is none, warn and disable.
 */
export function autocast<T>(deviceType: AutocastDeviceType, fn: () => T): T;
export function autocast<T>(
  deviceType: AutocastDeviceType,
  options: AutocastOptions | null | undefined,
  fn: () => T,
): T;
export function autocast(
  deviceType: AutocastDeviceType,
  options?: AutocastOptions | null,
): AutocastRegion;
export function autocast<T>(
  deviceType: AutocastDeviceType,
  a?: AutocastOptions | null | (() => T),
  b?: () => T,
): T | AutocastRegion {
  const type = checkDeviceType('autocast', deviceType);
  const fn = typeof a === 'function' ? a : b;
  const options = checkOptions(typeof a === 'function' ? undefined : a);
  if (fn === undefined) {
    regionChange(type, options); // complains now, not when it is entered
    return makeRegion(type, options);
  }
  if (typeof fn !== 'function') {
    throw makeError(
      'ERR_TYPE',
      `autocast: the callback must be a function, got ${describeArgument(fn)}`,
    );
  }
  return runRegion(regionChange(type, options), fn);
}

/** Whether autocast is on for a kind of device. PyTorch: `torch.is_autocast_enabled`. */
export function isAutocastEnabled(deviceType: AutocastDeviceType = 'cuda'): boolean {
  return autocastFlags()[checkDeviceType('isAutocastEnabled', deviceType)].enabled;
}

/** Turns autocast on or off until the enclosing region ends. */
export function setAutocastEnabled(deviceType: AutocastDeviceType, enabled: boolean): void {
  const type = checkDeviceType('setAutocastEnabled', deviceType);
  const on = checkBoolean('setAutocastEnabled', 'enabled', enabled);
  changeAutocast({ [type]: { ...autocastFlags()[type], enabled: on } });
}

/** The dtype autocast casts to: inside a region the region's, otherwise the default of new ones. */
export function getAutocastDtype(deviceType: AutocastDeviceType): AutocastDType {
  return autocastFlags()[checkDeviceType('getAutocastDtype', deviceType)].dtype;
}

/** Sets {@link getAutocastDtype} until the enclosing region ends. */
export function setAutocastDtype(deviceType: AutocastDeviceType, dtype: AutocastDType): void {
  const type = checkDeviceType('setAutocastDtype', deviceType);
  const checked = checkDType('setAutocastDtype', dtype);
  if (!canCastTo(checked)) {
    throw makeError(
      'ERR_DTYPE',
      `setAutocastDtype: 'dtype' must be 'float16' or 'bfloat16', got '${checked}'`,
    );
  }
  changeAutocast({ [type]: { ...autocastFlags()[type], dtype: checked } });
}

/** Whether casts of weights are kept for the rest of the outermost region. */
export function isAutocastCacheEnabled(): boolean {
  return autocastFlags().cacheEnabled;
}

export function setAutocastCacheEnabled(enabled: boolean): void {
  changeAutocast({ cacheEnabled: checkBoolean('setAutocastCacheEnabled', 'enabled', enabled) });
}

/** Drops the casts of weights that open regions keep. */
export function clearAutocastCache(): void {
  native.clearAutocastCache();
}

/** The kept casts of weights, and the number of open regions. */
export function autocastCacheStats(): { depth: number; entries: number; bytes: number } {
  return native.autocastCacheStats();
}

/** Whether regions for this kind of device can be enabled here. */
export function isAutocastAvailable(deviceType: string): boolean {
  return (deviceType === 'cpu' || deviceType === 'cuda') && native.deviceAvailable(deviceType);
}
