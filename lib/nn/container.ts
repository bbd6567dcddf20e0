/** Modules and parameters in lists: Sequential, ModuleList, ParameterList. */
import { makeError } from '../errors';
import { Tensor } from '../tensor';
import { Module } from './module';
import { badArgument, show } from './options';
import { Parameter } from './parameter';
import { formatModule, listLines } from './repr';

/** A module that maps one tensor to another: what most layers are. */
export type TensorModule = Module & { forward(input: Tensor): Tensor };

/** For this package: position in a list of `length`; negative counts from the end. */
export function position(name: string, index: number, length: number, extra = 0): number {
  const limit = length + extra;
  if (!Number.isInteger(index) || index < -length || index >= limit) {
    const type = typeof index === 'number' ? 'ERR_RANGE' : 'ERR_TYPE';
    throw makeError(
      type,
      `${name}: index must be an integer in [${-length}, ${limit - 1}], got ${show(index)}`,
    );
  }
  return index < 0 ? index + length : index;
}

/**
 * Numbered fields '0', '1', ... of a module. Items are real fields, so `list[0]` works and the
 * walk over parameters finds them; the count is kept aside.
 */
abstract class NumberedList<T> extends Module {
  [index: number]: T;

  /** @internal */
  protected count = 0;

  protected abstract checkItem(item: unknown): T;

  protected fill(items: Iterable<T>): void {
    if (typeof (items as Partial<Iterable<T>> | null)?.[Symbol.iterator] !== 'function') {
      throw badArgument(this.constructor.name, 'items', 'iterable', items);
    }
    for (const item of items) this.append(item);
  }

  get length(): number {
    return this.count;
  }

  /** The item at a position; negative counts from the end. */
  at(index: number): T {
    return this[position(this.constructor.name, index, this.count)] as T;
  }

  /** Replaces the item at a position. */
  set(index: number, item: T): this {
    this[position(this.constructor.name, index, this.count)] = this.checkItem(item);
    return this;
  }

  append(item: T): this {
    this[this.count] = this.checkItem(item);
    this.count += 1;
    return this;
  }

  extend(items: Iterable<T>): this {
    this.fill([...items]);
    return this;
  }

  /** Puts an item before position `index`. */
  insert(index: number, item: T): this {
    this.checkItem(item);
    const at = position(this.constructor.name, index, this.count, 1);
    for (let i = this.count; i > at; --i) this[i] = this[i - 1] as T;
    this[at] = item;
    this.count += 1;
    return this;
  }

  /** Removes the item at a position (the last by default) and returns it. */
  pop(index = -1): T {
    const at = position(this.constructor.name, index, this.count);
    const item = this[at] as T;
    for (let i = at; i + 1 < this.count; ++i) this[i] = this[i + 1] as T;
    this.count -= 1;
    Reflect.deleteProperty(this, this.count);
    return item;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = 0; i < this.count; ++i) yield this[i] as T;
  }
}

function asModule<T extends Module>(name: string, item: unknown): T {
  if (!(item instanceof Module)) throw badArgument(name, 'module', 'a Module', item);
  return item as T;
}

/**
 * A list of modules whose parameters are found. It has no `forward`: loop over it.
 *
 * @example
 * layers = new nn.ModuleList([new nn.Linear(2, 3), new nn.Linear(3, 4)]);
 */
export class ModuleList<T extends Module = TensorModule> extends NumberedList<T> {
  constructor(modules: Iterable<T> = []) {
    super();
    this.fill(modules);
  }

  protected override checkItem(item: unknown): T {
    return asModule<T>(this.constructor.name, item);
  }

  /** Items `start` to `end` as a list of their own. */
  slice(start?: number, end?: number): ModuleList<T> {
    return new ModuleList([...this].slice(start, end));
  }

  override toString(): string {
    return formatModule(this, listLines([...this]));
  }
}

/**
 * A list of parameters. Tensors that are not parameters yet become ones.
 */
export class ParameterList extends NumberedList<Parameter> {
  constructor(parameters: Iterable<Parameter | Tensor> = []) {
    super();
    this.fill(parameters as Iterable<Parameter>);
  }

  protected override checkItem(item: unknown): Parameter {
    if (item instanceof Parameter) return item;
    if (item instanceof Tensor) return new Parameter(item);
    throw badArgument(this.constructor.name, 'parameter', 'a Parameter or Tensor', item);
  }

  override append(item: Parameter | Tensor): this {
    return super.append(this.checkItem(item));
  }

  override extraRepr(): string {
    return [...this]
      .map((p, i) => `(${i}): Parameter containing: [${p.dtype} of size ${p.shape.join('x')}]`)
      .join('\n');
  }
}
