/** Every row of the op table has dtypes, a state of differentiability, and samples. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { opSchemas } from '../../lib';
import { native } from '../../lib/native';
import { samplesOf, specs } from './samples';
import { inputsOf } from './support/run';
import type { Sample } from './support/sample';

const names = opSchemas().map((s) => s.name);

function isZeroDim(sample: Sample): boolean {
  const inputs = inputsOf(sample);
  if (inputs.length > 0) return inputs[0]?.shape.length === 0;
  return sample.args.some((a) => Array.isArray(a) && a.length === 0);
}

function isEmpty(sample: Sample): boolean {
  const inputs = inputsOf(sample);
  if (inputs.length > 0) return inputs.some((i) => i.shape.includes(0));
  return sample.args.some((a) => a === 0 || (Array.isArray(a) && a.includes(0)));
}

test('no derivative is missing or superfluous', () => {
  expect(native.inconsistentDerivatives()).toEqual([]);
});

test('no sample is for an op that does not exist', () => {
  expect([...specs.keys()].filter((name) => !names.includes(name))).toEqual([]);
});

test('every row declares dtypes', () => {
  expect(
    opSchemas()
      .filter((s) => s.dtypes.length === 0)
      .map((s) => s.name),
  ).toEqual([]);
});

describe.each(names)('%s', (name) => {
  const spec = specs.get(name);

  test('has samples', () => {
    if (spec === undefined) throw new Error(`add samples of '${name}' to test/ops/samples`);
    if (spec.coveredBy !== undefined) {
      const other = specs.get(spec.coveredBy);
      const exists = other?.coveredBy === undefined && other !== undefined;
      expect(exists || existsSync(join(__dirname, '../..', spec.coveredBy))).toBe(true);
      return;
    }
    expect(samplesOf(name).length).toBeGreaterThan(0);
  });

  if (spec !== undefined && spec.coveredBy === undefined) {
    test('has a zero-dimensional and an empty sample, or a reason why not', () => {
      const samples = samplesOf(name);
      expect(samples.some(isZeroDim) || spec.skip?.zeroDim).toBeTruthy();
      expect(samples.some(isEmpty) || spec.skip?.empty).toBeTruthy();
    });
  }
});
