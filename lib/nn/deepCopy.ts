/** Copies of modules: everything reachable through fields, each shared part once. */
import { Tensor } from '../tensor';
import { installHooks, newHooks, type Hooks } from './hooks';
import { Module, moduleState } from './module';
import { Parameter } from './parameter';
import { isOptions } from './options';
import { restoreComputed } from './parametrized';

type Memo = Map<object, unknown>;

function copyTensor(t: Tensor): Tensor {
  if (t instanceof Parameter) {
    const copy = new Parameter(t.detach().clone(), { requiresGrad: t.requiresGrad });
    const { grad } = t;
    if (grad !== null) copy.grad = grad.detach().clone();
    return copy;
  }
  return t.detach().clone().requiresGrad_(t.requiresGrad);
}

function copyLists<T extends object>(from: T, to: T): T {
  for (const kind of Object.keys(to) as (keyof T)[]) {
    const list: unknown = from[kind];
    if (Array.isArray(list)) (to[kind] as unknown[]).push(...(list as unknown[]));
  }
  return to;
}

function copyHooks(hooks: Hooks): Hooks {
  const out = copyLists(hooks, newHooks());
  copyLists(hooks.state, out.state);
  return out;
}

function copyModule(module: Module, memo: Memo): Module {
  // The base class alone sets the copy up: constructors of subclasses may want arguments.
  const copy = Reflect.construct(Module, [], module.constructor) as Module;
  memo.set(module, copy);
  const state = module[moduleState];
  copy[moduleState] =
    state === undefined
      ? undefined
      : {
          buffers: state.buffers && new Map(state.buffers),
          hooks: state.hooks && copyHooks(state.hooks),
        };
  const fields = module as unknown as Record<string | symbol, unknown>;
  for (const key of Reflect.ownKeys(module)) {
    if (key === moduleState || !Object.prototype.propertyIsEnumerable.call(module, key)) continue;
    Object.defineProperty(copy, key, {
      value: copyValue(fields[key], memo),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  restoreComputed(copy);
  const hooks = copy[moduleState]?.hooks;
  if (hooks !== undefined) installHooks(copy, hooks);
  return copy;
}

function copyValue(value: unknown, memo: Memo): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const known = memo.get(value);
  if (known !== undefined) return known;
  if (value instanceof Module) return copyModule(value, memo);
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    memo.set(value, copy);
    for (const v of value) copy.push(copyValue(v, memo));
    return copy;
  }
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    memo.set(value, copy);
    for (const [k, v] of value) copy.set(k, copyValue(v, memo));
    return copy;
  }
  if (isOptions(value)) {
    const copy: Record<string, unknown> = {};
    memo.set(value, copy);
    for (const [k, v] of Object.entries(value)) copy[k] = copyValue(v, memo);
    return copy;
  }
  const copy: unknown = value instanceof Tensor ? copyTensor(value) : value;
  memo.set(value, copy);
  return copy;
}

export function deepCopy<M extends Module>(module: M): M {
  return copyValue(module, new Map()) as M;
}
