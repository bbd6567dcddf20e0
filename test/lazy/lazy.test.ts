/** What loads on first use: the accessors themselves, and the built package. */
import { join } from 'node:path';

import { defineMember, lazyExports, lazyMembers } from '../../lib/lazy';
import { runProgram, runtimes } from '../support/runtimes';

const modules: Record<string, object> = { './a': { one: () => 1, two: 2 }, './b': { three: 3 } };

function exportsOf(): { exports: Record<string, unknown>; loaded: string[] } {
  const loaded: string[] = [];
  const exports: Record<string, unknown> = {};
  const load = (path: string): object => {
    loaded.push(path);
    return modules[path] as object;
  };
  lazyExports(exports, load, { './a': 'one deux=two', './b': 'b=* three' });
  return { exports, loaded };
}

test('an export loads its module when it is read, once, and is a plain property then', () => {
  const { exports, loaded } = exportsOf();
  expect(Object.keys(exports)).toEqual(['one', 'deux', 'b', 'three']);
  expect('one' in exports).toBe(true);
  expect(loaded).toEqual([]);
  expect(exports['deux']).toBe(2);
  expect(exports['deux']).toBe(2);
  expect(loaded).toEqual(['./a']);
  const plain = { value: 2, enumerable: true, writable: true, configurable: true };
  expect(Object.getOwnPropertyDescriptor(exports, 'deux')).toEqual(plain);
  expect(exports['b']).toBe(modules['./b']);
});

test('an export may be replaced and spied on before it is loaded', () => {
  const { exports, loaded } = exportsOf();
  exports['three'] = 'mine';
  expect(exports['three']).toBe('mine');
  expect(loaded).toEqual([]);
  const spy = jest.spyOn(exports as { one: () => number }, 'one').mockReturnValue(5);
  expect((exports['one'] as () => number)()).toBe(5);
  spy.mockRestore();
  expect((exports['one'] as () => number)()).toBe(1);
});

interface Shape {
  area(): string;
  sides(): string;
  readonly name: string;
}

function shapes(): { Shape: new () => Shape; loaded: string[] } {
  class Base {}
  const loaded: string[] = [];
  const load = (path: string): object => {
    loaded.push(path);
    defineMember(Base.prototype, 'area', { value: () => 'area' });
    defineMember(Base.prototype, 'sides', { value: () => 'sides' });
    defineMember(Base.prototype, 'name', {
      get(this: object) {
        return this instanceof Base ? 'shape' : 'nothing';
      },
    });
    return {};
  };
  lazyMembers(Base.prototype, load, { './shape': 'area sides name missing' });
  return { Shape: Base as new () => Shape, loaded };
}

test('a member loads its module when it is used', () => {
  const { Shape, loaded } = shapes();
  expect(Object.getOwnPropertyNames(Shape.prototype)).toContain('sides');
  expect(loaded).toEqual([]);
  expect(new Shape().name).toBe('shape');
  expect(new Shape().area()).toBe('area');
  expect(loaded).toEqual(['./shape']);
  expect(typeof Object.getOwnPropertyDescriptor(Shape.prototype, 'sides')?.value).toBe('function');
  expect((new Shape() as { missing?: unknown }).missing).toBeUndefined();
});

test('a member that was replaced before its module was loaded stays', () => {
  const { Shape } = shapes();
  Shape.prototype.area = () => 'mine';
  Object.defineProperty(Shape.prototype, 'sides', { value: () => 'mine', configurable: true });
  expect(new Shape().name).toBe('shape');
  expect(new Shape().area()).toBe('mine');
  expect(new Shape().sides()).toBe('mine');
});

test('a subclass or an object that replaces a member leaves its prototype alone', () => {
  const { Shape } = shapes();
  class Square extends Shape {}
  Square.prototype.area = () => 'square';
  const one = new Shape();
  one.area = () => 'one';
  expect([new Square().area(), one.area(), new Shape().area()]).toEqual(['square', 'one', 'area']);
});

describe.each(runtimes)('$name', (runtime) => {
  test('the built package loads what is used, and all of it works', () => {
    const result = runProgram<{ names: number; problems: string[] }>(
      runtime,
      join(__dirname, 'programs/names.cjs'),
    );
    expect(result.problems).toEqual([]);
    expect(result.names).toBeGreaterThan(500);
  });

  test('so does the ES module, whose functions become those of the package', () => {
    const result = runProgram<{ names: number; problems: string[] }>(
      runtime,
      join(__dirname, 'programs/esm.mjs'),
    );
    expect(result.problems).toEqual([]);
    expect(result.names).toBeGreaterThan(500);
  });
});
