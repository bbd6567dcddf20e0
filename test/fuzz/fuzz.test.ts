/** A few thousand random calls in every run of the suite; `npm run fuzz` makes more. */
import { fuzz } from './run';

test('random calls end in a result or a typed error', () => {
  const { findings, results } = fuzz(4000, 1);
  expect(findings).toEqual([]);
  expect(results).toBeGreaterThan(500);
});
