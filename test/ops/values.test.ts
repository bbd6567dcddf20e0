/** Values of every op in every dtype it declares, against references in plain JavaScript. */
import { type DType, dtypes, manualSeed, Tensor } from '../../lib';
import {
  answerOf,
  castNd,
  describeSample,
  expectedOf,
  opCases,
  runsIn,
  type OpCase,
} from './support/cases';
import { expectClose, toleranceOf } from './support/compare';
import { expectNoLeaks } from './support/leaks';
import { Nd } from './support/nd';
import {
  bits,
  build,
  inputsOf,
  isFloat,
  make,
  mapArgs,
  mapOptions,
  run,
  runSample,
  toNd,
  type Output,
} from './support/run';
import type { Input, Sample } from './support/sample';

expectNoLeaks();

function compare(
  c: OpCase,
  sample: Sample,
  dtype: DType,
  actual: readonly Output[],
  expected: readonly unknown[],
): void {
  const what = `${c.name}(${describeSample(sample)}) in ${dtype}`;
  expect(actual.length).toBe(expected.length);
  actual.forEach((out, i) => {
    const want = expected[i];
    if (!(out instanceof Tensor)) {
      expect(out).toEqual(want);
      return;
    }
    if (c.spec.uninitialised === true || c.spec.random === true) {
      expect(out.shape).toEqual((want as Nd).shape);
      return;
    }
    const tolerance = toleranceOf(out.dtype, c.spec.tolerance);
    expectClose(toNd(out), castNd(want as Nd, out.dtype), tolerance, what);
  });
}

/** The same op in float64, for ops without a reference. */
function inDouble(c: OpCase, sample: Sample, dtype: DType): (Nd | number | boolean)[] {
  const to = (input: Input): Tensor => {
    const t = build(input, dtype, 'contiguous');
    return isFloat(t.dtype) || input.dtype === undefined ? t.to('float64') : t;
  };
  manualSeed(3);
  return run(c.name, mapArgs(sample, to), mapOptions(sample, to)).map((t) =>
    t instanceof Tensor ? toNd(t) : (t as number),
  );
}

function checkDType(c: OpCase, dtype: DType): void {
  for (const sample of c.samples) {
    if (!runsIn(sample, dtype)) continue;
    manualSeed(3);
    const actual = runSample(c.name, sample, dtype);
    const factory = inputsOf(sample).length === 0;
    if (c.spec.reference === undefined && factory) continue;
    const expected =
      c.spec.reference === undefined ? inDouble(c, sample, dtype) : expectedOf(c, sample, dtype);
    compare(c, sample, dtype, actual, expected);
  }
}

const specials = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, 1e30, -1e30];

/** The first input with special values put in, in both orders for the second operand. */
function withSpecials(sample: Sample, shift: number): Sample | undefined {
  const inputs = inputsOf(sample);
  const varied = inputs.filter((i) => i.dtype === undefined);
  if (varied.length === 0 || inputs.some((i) => i.shape.includes(0))) return undefined;
  const replaced = new Map<Input, Input>();
  varied.forEach((input, k) => {
    const floats = input.floats.map((v, i) =>
      k === 0 || shift > 0 ? (specials[(i + k * shift) % specials.length] as number) : v,
    );
    replaced.set(
      input,
      Object.assign(Object.create(Object.getPrototypeOf(input) as object), input, {
        floats,
      }) as Input,
    );
  });
  const to = (input: Input): Input => replaced.get(input) ?? input;
  return { ...sample, args: mapArgs(sample, to), options: mapOptions(sample, to) };
}

function checkSpecials(c: OpCase): void {
  const sizes = c.samples.map((s) => inputsOf(s)[0]?.floats.length ?? 0);
  const largest = c.samples[sizes.indexOf(Math.max(...sizes))] as Sample;
  for (const sample of [largest, c.samples[0] as Sample]) {
    for (const shift of [0, 1, 3]) {
      const special = withSpecials(sample, shift);
      if (special === undefined) continue;
      compare(
        c,
        special,
        'float64',
        runSample(c.name, special, 'float64'),
        expectedOf(c, special, 'float64'),
      );
    }
  }
}

/** How messages name an op: linalgSolve is linalg.solve. */
function nameIn(c: OpCase): RegExp {
  const rest = c.name.replace(/^linalg(?=[A-Z])/, '');
  if (rest === c.name) return new RegExp(c.name);
  return new RegExp(`linalg\\.(${rest}|${rest.charAt(0).toLowerCase()}${rest.slice(1)})`);
}

function hasNan(list: readonly Output[]): boolean {
  return list.some(
    (t) => t instanceof Tensor && isFloat(t.dtype) && toNd(t).data.some(Number.isNaN),
  );
}

function checkNan(c: OpCase): void {
  const sample = c.samples.find((s) => {
    const first = inputsOf(s)[0];
    return first !== undefined && first.dtype === undefined && first.floats.length > 0;
  });
  if (sample === undefined) return;
  const first = inputsOf(sample)[0];
  const to = (input: Input): Tensor =>
    input === first
      ? make(
          input.shape,
          input.floats.map(() => NaN),
          'float64',
        )
      : build(input, 'float64', 'contiguous');
  const once = (): Output[] => run(c.name, mapArgs(sample, to), mapOptions(sample, to));
  // Composites leave the refusal to the decomposition that they are made of.
  const refusal = new RegExp(`${nameIn(c).source}|linalg\\.(svd|eigh)`);
  if (c.spec.nan === 'refused') return void expect(once).toThrow(refusal);
  expect(hasNan(once())).toBe(c.spec.nan !== 'none');
}

function checkRepeats(c: OpCase): void {
  const dtype = (c.schema.dtypes.includes('float32') ? 'float32' : c.schema.dtypes[0]) as DType;
  for (const sample of c.samples) {
    if (!runsIn(sample, dtype)) continue;
    const once = (): unknown[] => {
      manualSeed(11);
      return runSample(c.name, sample, dtype).map((t) => (t instanceof Tensor ? bits(t) : t));
    };
    expect(once()).toEqual(once());
  }
}

/** dtypes outside the declared set: either they promote, or the error says so. */
function checkUndeclared(c: OpCase): void {
  const sample = c.samples[0] as Sample;
  if (inputsOf(sample).every((i) => i.dtype !== undefined)) return;
  for (const dtype of dtypes) {
    if (c.schema.dtypes.includes(dtype) || (sample.dtypes?.includes(dtype) ?? true) === false)
      continue;
    if (c.spec.promotes?.includes(dtype) === true) {
      runSample(c.name, sample, dtype);
      continue;
    }
    if (c.spec.promotesIntegers === true && !isFloat(dtype)) {
      const out = runSample(c.name, sample, dtype)[0] as Tensor;
      if (c.schema.dtypes.includes('float32') && !c.schema.dtypes.includes('int32')) {
        expect([dtype, isFloat(out.dtype) || 'roundingMode' in (sample.options ?? {})]).toEqual([
          dtype,
          true,
        ]);
      }
      continue;
    }
    let error: unknown;
    try {
      runSample(c.name, sample, dtype);
    } catch (e) {
      error = e;
    }
    const code = String((error as { code?: string } | undefined)?.code);
    expect(`${dtype}: ${code}`).toMatch(/: (ERR_DTYPE|ERR_NOT_IMPLEMENTED)$/);
    // A composite may leave the check to the op it is made of.
    if (c.schema.differentiable !== 'composite')
      expect((error as Error).message).toMatch(nameIn(c));
  }
}

describe.each(opCases().map((c) => [c.name, c] as const))('%s', (_, c) => {
  test.each(c.schema.dtypes)('in %s', (dtype) => checkDType(c, dtype as DType));
  if (c.spec.reference !== undefined && c.spec.special === true) {
    test('of NaN, infinities and signed zeros', () => checkSpecials(c));
  } else if (
    c.spec.random !== true &&
    c.spec.uninitialised !== true &&
    c.schema.dtypes.includes('float64')
  ) {
    test('of NaN', () => checkNan(c));
  }
  if (c.spec.uninitialised !== true) {
    test('gives the same bits for the same seed', () => checkRepeats(c));
  }
  test('refuses or promotes other dtypes', () => checkUndeclared(c));
});

test('the reference answers are used', () => {
  expect(answerOf({ samples: () => [], reference: (x: Nd) => x }, [Nd.scalar(1)])).toHaveLength(1);
});
