/** Modules and parameters by name: ModuleDict, ParameterDict. */
import { makeError } from '../errors';
import { Tensor } from '../tensor';
import { Module } from './module';
import { badArgument, show } from './options';
import { Parameter } from './parameter';

type Entries<T> = Readonly<Record<string, T>> | Iterable<readonly [string, T]>;

const dictItems = Symbol('ampgrad.dictItems');

/** Items in a map of their own, so that no name collides with a method. */
abstract class NamedDict<T> extends Module {
  /** @internal */
  [dictItems] = new Map<string, T>();

  protected abstract checkItem(item: unknown): T;

  protected override ownEntries(): [string, unknown][] {
    return [...super.ownEntries(), ...this[dictItems]];
  }

  /** @internal */
  override setMember(name: string, value: unknown): void {
    if (this[dictItems].has(name)) this[dictItems].set(name, value as T);
    else super.setMember(name, value);
  }

  /** Adds or replaces items. */
  update(items: Entries<T>): this {
    if (typeof items !== 'object' || items === null) {
      throw badArgument(this.constructor.name, 'items', 'an object or list of pairs', items);
    }
    const pairs =
      Symbol.iterator in items
        ? (items as Iterable<readonly [string, T]>)
        : Object.entries(items as Record<string, T>);
    for (const [key, item] of pairs) this.set(key, item);
    return this;
  }

  get size(): number {
    return this[dictItems].size;
  }

  has(key: string): boolean {
    return this[dictItems].has(key);
  }

  /** @throws RangeError if there is no such item. */
  get(key: string): T {
    const item = this[dictItems].get(key);
    if (item === undefined) {
      throw makeError('ERR_VALUE', `${this.constructor.name}: no item is named ${show(key)}`);
    }
    return item;
  }

  set(key: string, item: T): this {
    if (typeof key !== 'string' || key === '' || key.includes('.')) {
      const expected = "a non-empty string without '.'";
      throw badArgument(this.constructor.name, 'key', expected, key, 'ERR_VALUE');
    }
    this[dictItems].set(key, this.checkItem(item));
    return this;
  }

  /** Removes an item and returns it. */
  pop(key: string): T {
    const item = this.get(key);
    this[dictItems].delete(key);
    return item;
  }

  clear(): void {
    this[dictItems].clear();
  }

  keys(): IterableIterator<string> {
    return this[dictItems].keys();
  }

  values(): IterableIterator<T> {
    return this[dictItems].values();
  }

  entries(): IterableIterator<[string, T]> {
    return this[dictItems].entries();
  }

  [Symbol.iterator](): IterableIterator<[string, T]> {
    return this.entries();
  }
}

/** Modules by name, in order of insertion. It has no `forward`. */
export class ModuleDict<T extends Module = Module> extends NamedDict<T> {
  constructor(modules: Entries<T> = {}) {
    super();
    this.update(modules);
  }

  protected override checkItem(item: unknown): T {
    if (!(item instanceof Module)) {
      throw badArgument(this.constructor.name, 'module', 'a Module', item);
    }
    return item as T;
  }
}

/** Parameters by name. Tensors that are not parameters yet become ones. */
export class ParameterDict extends NamedDict<Parameter> {
  constructor(parameters: Entries<Parameter | Tensor> = {}) {
    super();
    this.update(parameters as Entries<Parameter>);
  }

  protected override checkItem(item: unknown): Parameter {
    if (item instanceof Parameter) return item;
    if (item instanceof Tensor) return new Parameter(item);
    throw badArgument(this.constructor.name, 'parameter', 'a Parameter or Tensor', item);
  }

  override extraRepr(): string {
    return [...this]
      .map(([k, p]) => `(${k}): Parameter containing: [${p.dtype} of size ${p.shape.join('x')}]`)
      .join('\n');
  }
}
