/** Modules that run one after the other. */
import { makeError } from '../errors';
import type { Tensor } from '../tensor';
import { position, type TensorModule } from './container';
import { Module } from './module';
import { badArgument, isOptions } from './options';

type Key = string | number;

const itemKeys = Symbol('ampgrad.sequentialKeys');

/**
 * Runs modules in order, each on the output of the one before. Takes modules, or an object that
 * names them; items are fields, so `model[0]` and `getSubmodule('0')` work.
 *
 * @example
 * const model = new nn.Sequential(new nn.Linear(784, 128), new nn.ReLU(), new nn.Linear(128, 10));
 * const named = new nn.Sequential({ fc: new nn.Linear(2, 3), act: new nn.ReLU() });
 */
export class Sequential<In = Tensor, Out = Tensor> extends Module {
  [index: number]: TensorModule;

  /** @internal */
  [itemKeys]: Key[] = [];

  constructor(modules: Readonly<Record<string, Module>> | ReadonlyMap<string, Module>);
  constructor(...modules: Module[]);
  constructor(...args: unknown[]) {
    super();
    const [first] = args;
    if (args.length === 1 && (isOptions(first) || first instanceof Map)) {
      const entries = first instanceof Map ? [...first] : Object.entries(first);
      for (const [key, module] of entries as [string, Module][]) {
        const name = /^(0|[1-9]\d*)$/.test(key) ? Number(key) : key;
        this.addModule(key, this.check(module));
        this[itemKeys].push(name);
      }
    } else {
      for (const module of args) this.append(module as Module);
    }
  }

  private check(module: unknown): Module {
    if (!(module instanceof Module)) {
      throw badArgument(this.constructor.name, 'module', 'a Module', module);
    }
    return module;
  }

  private get fields(): Record<Key, unknown> {
    return this as unknown as Record<Key, unknown>;
  }

  get length(): number {
    return this[itemKeys].length;
  }

  /** The module at a position; negative counts from the end. */
  at(index: number): TensorModule {
    const key = this[itemKeys][position(this.constructor.name, index, this.length)] as Key;
    return this.fields[key] as TensorModule;
  }

  /** Replaces the module at a position. */
  set(index: number, module: Module): this {
    const key = this[itemKeys][position(this.constructor.name, index, this.length)] as Key;
    this.fields[key] = this.check(module);
    return this;
  }

  append(module: Module): this {
    const key = this.length;
    if (Object.hasOwn(this, key)) {
      throw makeError('ERR_VALUE', `${this.constructor.name}: item '${key}' already exists`);
    }
    this.fields[key] = this.check(module);
    this[itemKeys].push(key);
    return this;
  }

  extend(modules: Iterable<Module>): this {
    for (const module of [...modules]) this.append(module);
    return this;
  }

  /** Puts a module before position `index`; items are numbered anew. */
  insert(index: number, module: Module): this {
    const at = position(this.constructor.name, index, this.length, 1);
    const items: Module[] = [...this];
    items.splice(at, 0, this.check(module));
    this.renumber(items);
    return this;
  }

  /** Removes the module at a position (the last by default) and returns it. */
  pop(index = -1): TensorModule {
    const at = position(this.constructor.name, index, this.length);
    const items = [...this];
    const [removed] = items.splice(at, 1) as [TensorModule];
    const key = this[itemKeys][at] as Key;
    if (at === items.length || typeof key === 'string') {
      Reflect.deleteProperty(this, key);
      this[itemKeys].splice(at, 1);
    } else {
      this.renumber(items);
    }
    return removed;
  }

  private renumber(items: readonly Module[]): void {
    for (const key of this[itemKeys]) Reflect.deleteProperty(this, key);
    this[itemKeys].length = 0;
    for (const item of items) this.append(item);
  }

  /** Modules `start` to `end` as a Sequential of their own. */
  slice(start?: number, end?: number): Sequential {
    return new Sequential(...[...this].slice(start, end));
  }

  *[Symbol.iterator](): IterableIterator<TensorModule> {
    for (const key of this[itemKeys]) yield this.fields[key] as TensorModule;
  }

  override forward(input: In): Out {
    const keys = this[itemKeys];
    const fields = this as unknown as Record<Key, { call(x: unknown): unknown }>;
    let x: unknown = input;
    for (let i = 0; i < keys.length; ++i) {
      x = fields[keys[i] as Key].call(x);
    }
    return x as Out;
  }
}
