/** Ops by name: rows, in-place forms, aliases, and names that are none. */
import { callOp, opSchemas, tensor, type Tensor } from '../../lib';
import { opEntry } from '../../lib/call';
import { thrownBy } from '../support/codes';

test('an alias calls the row it stands for, in place too', () => {
  const x = tensor([-1.5]);
  expect((callOp('absolute', [x]) as Tensor).item()).toBe(1.5);
  expect(callOp('absolute_', [x])).toBe(x);
  expect(x.item()).toBe(1.5);
  expect(opEntry('absolute_').schema.name).toBe('abs');
});

test('a row and its entry agree', () => {
  for (const schema of opSchemas()) expect(opEntry(schema.name).schema).toEqual(schema);
  expect(opEntry('add_').inPlace).toBe(true);
  expect(opEntry('add').inPlace).toBe(false);
  expect(opEntry('zeros').factory).toBe(true);
  expect(opEntry('view').spreads).toBe(true);
});

test.each(['ad', 'addd_', 'absolut', 'constructor', 'toString', ''])('%s is no op', (name) => {
  const error = thrownBy(() => callOp(name, []));
  expect(error).toMatchObject({ code: 'ERR_VALUE' });
  if (name === 'absolut') expect(error.message).toMatch(/did you mean 'absolute'/);
});
