/**
 * What loads on first use. A program uses a few dozen of the two thousand functions and methods of
 * this package; compiling and making them all would take longer than everything else that happens
 * as it is loaded. In the built package (scripts/lazy-build.mjs) exports and methods therefore begin
 * as accessors that load the module which has them; the first use puts a plain property in an
 * accessor's place, so that calls cost what they always did. In the sources nothing is lazy.
 */

type Require = (path: string) => object;

/** Names by module, separated by spaces; `a=b` is the export `b` by the name `a`, `a=*` the module. */
export type Names = Readonly<Record<string, string>>;

const symbols: Readonly<Record<string, symbol>> = { '@@iterator': Symbol.iterator };

/** Accessors of prototypes that still wait for their module. */
const waiting = new WeakMap<object, Map<PropertyKey, () => unknown>>();

/** Replaces the accessor by a property, as an assignment to a property would: on a subclass too. */
function put(target: object, name: PropertyKey, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, name, { value, enumerable, writable: true, configurable: true });
}

/**
 * Makes V8 keep an object's properties in a hash table, as it does once one was deleted. It would
 * copy the list of all of them whenever an accessor becomes a property, a third of a millisecond.
 */
function keepAsTable(target: object): void {
  for (const name of ['#1', '#2']) put(target, name, undefined, false);
  Reflect.deleteProperty(target, '#1');
  Reflect.deleteProperty(target, '#2');
}

/** Gives the exports of a module names of other modules, which load when a name is first read. */
export function lazyExports(exports: object, load: Require, names: Names): void {
  keepAsTable(exports);
  for (const [path, list] of Object.entries(names)) {
    for (const item of list.split(' ')) {
      const [name, from = name] = item.split('=') as [string, string?];
      const get = function (this: object): unknown {
        const module = load(path);
        const value: unknown = from === '*' ? module : Reflect.get(module, from);
        put(this, name, value, true);
        return value;
      };
      const set = function (this: object, value: unknown): void {
        put(this, name, value, true);
      };
      Object.defineProperty(exports, name, { get, set, enumerable: true, configurable: true });
    }
  }
}

/** Gives a prototype members that modules add with {@link defineMember} when one is first used. */
export function lazyMembers(prototype: object, load: Require, names: Names): void {
  const accessors = new Map<PropertyKey, () => unknown>();
  waiting.set(prototype, accessors);
  keepAsTable(prototype);
  for (const [path, list] of Object.entries(names)) {
    for (const item of list.split(' ')) {
      const name = symbols[item] ?? item;
      const get = function (this: object): unknown {
        load(path);
        // Undefined while the module loads, as a method that is not there yet.
        if (accessors.get(name) === get) return undefined;
        return Reflect.get(prototype, name, this);
      };
      const set = function (this: object, value: unknown): void {
        put(this, name, value, this !== prototype);
      };
      accessors.set(name, get);
      Object.defineProperty(prototype, name, { get, set, configurable: true });
    }
  }
}

/**
 * Adds a method or getter to a prototype. One that a program put there in the meantime, before its
 * module was loaded, stays.
 */
export function defineMember(
  prototype: object,
  name: PropertyKey,
  member: { value: unknown } | { get: () => unknown },
): void {
  const accessors = waiting.get(prototype);
  const accessor = accessors?.get(name);
  if (accessor !== undefined) {
    accessors?.delete(name);
    if (Object.getOwnPropertyDescriptor(prototype, name)?.get !== accessor) return;
  }
  const writable = 'value' in member ? { writable: true } : {};
  Object.defineProperty(prototype, name, { ...member, ...writable, configurable: true });
}

const standIn = Symbol.for('ampgrad.standsFor');

/** The function that one of the ES module stands for before its first use (scripts/build-esm.mjs). */
export function standsFor<F extends object>(fn: F): F {
  const load = (fn as { [standIn]?: () => F })[standIn];
  return load === undefined ? fn : load();
}
