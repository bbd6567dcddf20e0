import { data, tensor, type Tensor } from '../../lib';
import { codeOf } from './helpers';

const { defaultCollate } = data;

describe('defaultCollate', () => {
  test('numbers, bigints, booleans', () => {
    const whole = defaultCollate([1, 2]);
    expect([whole.dtype, whole.toArray()]).toEqual(['int64', [1, 2]]);
    const fractions = defaultCollate([1, 2.5]);
    expect([fractions.dtype, fractions.toArray()]).toEqual(['float64', [1, 2.5]]);
    expect(defaultCollate([1n, 2n]).dtype).toBe('int64');
    expect(defaultCollate([true, false]).dtype).toBe('bool');
  });

  test('strings and buffers stay lists', () => {
    expect(defaultCollate(['a', 'b'])).toEqual(['a', 'b']);
    expect(defaultCollate([Buffer.from('a')])).toEqual([Buffer.from('a')]);
  });

  test('tensors and typed arrays are stacked', () => {
    const batch = defaultCollate([tensor([1, 2]), tensor([3, 4])]);
    expect(batch.toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(defaultCollate([Float32Array.of(1), Float32Array.of(2)]).dtype).toBe('float32');
  });

  test('nesting', () => {
    const sample = (
      i: number,
    ): { x: [Tensor, number]; name: string; map: Map<string, number> } => ({
      x: [tensor([i]), i],
      name: `n${i}`,
      map: new Map([['k', i]]),
    });
    const batch = defaultCollate([sample(0), sample(1)]);
    expect(batch.x[0].toArray()).toEqual([[0], [1]]);
    expect(batch.x[1].toArray()).toEqual([0, 1]);
    expect(batch.name).toEqual(['n0', 'n1']);
    expect(batch.map.get('k')?.toArray()).toEqual([0, 1]);
  });

  test('a key named __proto__ is only a key', () => {
    const sample = JSON.parse('{"__proto__": 1}') as Record<string, number>;
    const batch = defaultCollate([sample]);
    expect(Object.keys(batch)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(batch)).toBe(Object.prototype);
  });

  test('bad input names where', () => {
    const cases: [unknown[], string, string][] = [
      [[], 'ERR_VALUE', 'empty'],
      [[1, 'a'], 'ERR_TYPE', "'a'"],
      [[tensor([1]), tensor([1, 2])], 'ERR_SHAPE', '[1] and [2]'],
      [[[1], [1, 2]], 'ERR_SHAPE', 'length'],
      [[{ a: 1 }, { b: 1 }], 'ERR_VALUE', "'a'"],
      [[{ a: [1, null] }, { a: [1, 2] }], 'ERR_TYPE', "at key 'a' at [1]"],
      [[null], 'ERR_TYPE', 'null'],
      [[new Date()], 'ERR_TYPE', 'a Date'],
      [[() => 1], 'ERR_TYPE', 'a function'],
      [[new Map([[1, 2]]), new Map()], 'ERR_VALUE', '1'],
    ];
    for (const [batch, code, text] of cases) {
      expect(codeOf(() => defaultCollate(batch))).toBe(code);
      expect(() => defaultCollate(batch)).toThrow(text);
    }
    expect(codeOf(() => defaultCollate(1 as never))).toBe('ERR_TYPE');
  });

  test('defaultConvert', () => {
    const out = data.defaultConvert({ a: [Float32Array.of(1)], b: 'x', c: new Map([[1, 2]]) });
    expect((out as { a: Tensor[] }).a[0]?.dtype).toBe('float32');
  });
});
