/** Ops by name: rows, in-place forms, aliases, and names that are none. */
import { callOp, opSchemas, tensor, type Tensor, zeros } from '../../lib';
import { opEntry } from '../../lib/call';
import { thrownBy } from '../support/codes';

test('an alias calls the row it stands for, in place too', () => {
  const x = tensor([-1.5]);
  expect((callOp('absolute', [x]) as Tensor).item()).toBe(1.5);
  expect(callOp('absolute_', [x])).toBe(x);
  expect(x.item()).toBe(1.5);
  expect(opEntry('absolute_').form.schema.name).toBe('abs');
});

test('a row and its entry agree', () => {
  for (const schema of opSchemas()) expect(opEntry(schema.name).form.schema).toEqual(schema);
  expect(opEntry('add_').form.inPlace).toBe(true);
  expect(opEntry('add').form.inPlace).toBe(false);
  expect(opEntry('zeros').form.schema.factory).toBe(true);
  expect(opEntry('view').form.spreads).toBe(true);
});

test.each(['ad', 'addd_', 'absolut', 'constructor', 'toString', ''])('%s is no op', (name) => {
  const error = thrownBy(() => callOp(name, []));
  expect(error).toMatchObject({ code: 'ERR_VALUE' });
  if (name === 'absolut') expect(error.message).toMatch(/did you mean 'absolute'/);
});

test('sizes are given as a list, spread, or with options', () => {
  const shapes = [zeros(3), zeros([3]), zeros(2, 3), zeros([2, 3]), zeros(2, 3, { dtype: 'int8' })];
  expect(shapes.map((t) => t.shape)).toEqual([[3], [3], [2, 3], [2, 3], [2, 3]]);
  const x = zeros(6);
  expect([x.view(6), x.view(2, 3), x.view([3, -1])].map((t) => t.shape)).toEqual([
    [6],
    [2, 3],
    [3, 2],
  ]);
  const wrong: unknown[][] = [[2.5], [2, '3'], [[2, '3']], ['2'], [2, null], []];
  for (const args of wrong) {
    const error = thrownBy(() => (zeros as (...sizes: unknown[]) => Tensor)(...args));
    expect(error).toMatchObject({ code: 'ERR_TYPE' });
  }
});

test('an index that is no row is refused as before', () => {
  const x = tensor([[1, 2]]);
  expect(x.get(-1).toArray()).toEqual([1, 2]);
  expect(x.get(0).sharesStorage(x)).toBe(true);
  expect(thrownBy(() => x.get(1))).toMatchObject({ code: 'ERR_RANGE' });
  expect(thrownBy(() => x.get(0.5))).toMatchObject({ code: 'ERR_TYPE' });
  expect(thrownBy(() => tensor(1).get(0)).message).toMatch(/too many indices/);
});
