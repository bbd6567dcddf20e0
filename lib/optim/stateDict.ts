/** Optimizer state to and from PyTorch's layout. */
import type { DType } from '../dtype';
import { makeError } from '../errors';
import { keep } from '../memory';
import { native, type Handle } from '../native';
import { handleOf, Tensor, wrapTensor } from '../tensor';
import { checkOptions, type OptionSpecs, show } from './options';
import type { ParamGroup, ParamState } from './optimizer';

export interface ParamGroupState {
  readonly params: readonly number[];
  readonly [option: string]: unknown;
}

export interface OptimizerStateDict {
  /** State by index of the parameter. */
  readonly state: Readonly<Record<string, ParamState>>;
  readonly paramGroups: readonly ParamGroupState[];
}

/** `exp_avg_sq` becomes `expAvgSq`; camelCase stays. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}

export function groupToState(
  group: ParamGroup,
  index: ReadonlyMap<Tensor, number>,
): ParamGroupState {
  const { params, paramNames, ...options } = group;
  return {
    ...options,
    params: params.map((p) => index.get(p) as number),
    ...(paramNames === undefined ? {} : { paramNames: [...paramNames] }),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function renamed(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).map(([k, v]) => [camelCase(k), v]));
}

interface LoadedGroups {
  /** Parameters by the index that the saved state uses for them. */
  readonly order: ReadonlyMap<string, Tensor>;
  /** Writes the options into the groups. */
  apply(): void;
}

/** Checks saved groups against those of the optimizer. */
export function loadGroups(
  where: string,
  dict: unknown,
  groups: readonly ParamGroup[],
  specs: OptionSpecs,
): LoadedGroups {
  const name = `${where}: loadStateDict`;
  if (!isRecord(dict)) {
    throw makeError('ERR_TYPE', `${name}: expected a state dict, got ${show(dict)}`);
  }
  const saved = renamed(dict)['paramGroups'];
  if (!Array.isArray(saved) || !saved.every(isRecord)) {
    throw makeError('ERR_TYPE', `${name}: the state dict has no list 'paramGroups'`);
  }
  if (saved.length !== groups.length) {
    throw makeError(
      'ERR_VALUE',
      `${name}: loaded state dict has a different number of parameter groups ` +
        `(expected ${String(groups.length)}, got ${String(saved.length)})`,
    );
  }
  const order = new Map<string, Tensor>();
  const options = saved.map((record, g) => {
    const { params, ...rest } = renamed(record);
    const own = groups[g] as ParamGroup;
    if (!Array.isArray(params) || params.length !== own.params.length) {
      throw makeError(
        'ERR_VALUE',
        `${name}: loaded state dict contains a parameter group that doesn't match the size of ` +
          `the optimizer's group ${String(g)} (expected ${String(own.params.length)} parameters, ` +
          `got ${Array.isArray(params) ? String(params.length) : show(params)})`,
      );
    }
    params.forEach((id, i) => order.set(String(id), own.params[i] as Tensor));
    // What else is in a group (schedulers keep values there) is taken over as it is.
    checkOptions(
      name,
      rest,
      specs,
      Object.keys(rest).filter((key) => !Object.hasOwn(specs, key)),
    );
    return rest;
  });
  return {
    order,
    apply: () => {
      options.forEach((rest, g) => {
        const { paramNames: _, ...values } = rest;
        Object.assign(groups[g] as ParamGroup, values);
      });
    },
  };
}

function toDtype(t: Tensor, dtype: DType): Tensor {
  const copy = native.ops['toCopy'] as (...args: unknown[]) => Handle;
  return keep(wrapTensor(copy(handleOf(t), dtype)));
}

function opmath(dtype: DType): DType {
  return dtype === 'float64' ? 'float64' : 'float32';
}

/** A copy of a saved value that suits the parameter. */
function adapted(where: string, name: string, value: unknown, param: Tensor): unknown {
  if (Array.isArray(value)) return value.map((v) => adapted(where, name, v, param));
  if (!(value instanceof Tensor)) return value;
  const scalar = value.numel() === 1 && value.shape.length === 0 && value.dtype === 'float32';
  if (name === 'step' || (scalar && param.shape.length !== 0)) return toDtype(value, 'float32');
  return value.isFloatingPoint()
    ? toDtype(value, opmath(param.dtype))
    : toDtype(value, value.dtype);
}

/** Excludes the tensors of a state value from every enclosing `tidy`. */
export function keepTensors(value: unknown): void {
  if (value instanceof Tensor) keep(value);
  else if (Array.isArray(value)) value.forEach(keepTensors);
}

/** Reads saved state, copied. */
export function loadStates(
  where: string,
  dict: unknown,
  order: ReadonlyMap<string, Tensor>,
): Map<Tensor, ParamState> {
  const name = `${where}: loadStateDict`;
  const saved = (dict as Record<string, unknown>)['state'];
  const entries: [string, unknown][] =
    saved instanceof Map
      ? [...saved].map(([k, v]) => [String(k), v])
      : isRecord(saved)
        ? Object.entries(saved)
        : [];
  const out = new Map<Tensor, ParamState>();
  for (const [id, record] of entries) {
    const param = order.get(id);
    if (param === undefined || !isRecord(record)) {
      throw makeError('ERR_VALUE', `${name}: state for '${id}' belongs to no parameter`);
    }
    const state: ParamState = {};
    for (const [key, value] of Object.entries(renamed(record))) {
      state[key] = adapted(where, key, value, param);
    }
    // A step count saved as a number.
    if (typeof state['step'] === 'number') {
      const full = native.ops['full'] as (...args: unknown[]) => Handle;
      state['step'] = keep(wrapTensor(full([], state['step'], 'float32', param.device)));
    }
    out.set(param, state);
  }
  return out;
}
