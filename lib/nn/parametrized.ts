/**
 * Fields whose value is computed from parameters elsewhere: an accessor in place of the field.
 * Kept apart so that copies of modules can put the accessors back.
 */
import type { Tensor } from '../tensor';
import type { Module } from './module';

/** Names of the fields of a module that are computed. For this package only. */
export const computedFields = Symbol('ampgrad.computedFields');

/** What computes a field. */
export interface Source extends Module {
  compute(): Tensor;
  assign(value: Tensor): void;
}

interface Owner {
  [computedFields]?: Record<string, string>;
  parametrizations?: { get(key: string): Source };
}

/** Puts an accessor in the place of `field`; its source is `parametrizations[key]`. */
export function installComputed(module: Module, field: string, key: string): void {
  const owner = module as Module & Owner;
  const source = (): Source => (owner.parametrizations as { get(key: string): Source }).get(key);
  (owner[computedFields] ??= {})[field] = key;
  Object.defineProperty(module, field, {
    get: () => source().compute(),
    set: (value: Tensor) => source().assign(value),
    enumerable: false,
    configurable: true,
  });
}

/** Makes the accessors of a copy. */
export function restoreComputed(copy: Module): void {
  const fields = (copy as Module & Owner)[computedFields];
  for (const [field, key] of Object.entries(fields ?? {})) installComputed(copy, field, key);
}

/** Takes the accessor away, leaving a plain field. */
export function removeComputed(module: Module, field: string, value: unknown): void {
  const fields = (module as Module & Owner)[computedFields];
  if (fields !== undefined) Reflect.deleteProperty(fields, field);
  Object.defineProperty(module, field, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}
