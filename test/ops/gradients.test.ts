/** The gradient of every differentiable row against central differences, and in the other dtypes. */
import { type DType, grad, Tensor } from '../../lib';
import { castNd, describeSample, opCases, runsIn, type OpCase } from './support/cases';
import { expectClose, toleranceOf } from './support/compare';
import { checkFirstOrder, checkSecondOrder, cotangents, opFunction } from './support/gradient';
import { expectNoLeaks } from './support/leaks';
import { Nd } from './support/nd';
import {
  build,
  inputsOf,
  isFloat,
  make,
  mapArgs,
  mapOptions,
  run,
  runSample,
  toNd,
} from './support/run';
import type { Input, Sample } from './support/sample';

expectNoLeaks();

function differentiable(c: OpCase): boolean {
  return c.schema.differentiable !== 'no' && c.spec.skip?.gradient === undefined;
}

function gradientSamples(c: OpCase): Sample[] {
  return c.samples.filter(
    (s) =>
      s.smooth !== false &&
      runsIn(s, 'float64') &&
      inputsOf(s).some((i) => i.grad && i.dtype === undefined),
  );
}

function checkOrder(c: OpCase, check: typeof checkFirstOrder): void {
  for (const sample of gradientSamples(c)) {
    const { fn, inputs } = opFunction(c.name, sample);
    const points = inputs.map((i) => new Nd(i.shape, i.floats));
    check(fn, points, `${c.name}(${describeSample(sample)})`);
  }
}

/** Gradients of one sample in a dtype, from inputs rounded to it and cotangents of `weights`. */
function gradientsIn(c: OpCase, sample: Sample, dtype: DType, rounding: DType): (Tensor | null)[] {
  const leaves: Tensor[] = [];
  const to = (input: Input): Tensor => {
    const t = build(input, rounding, 'contiguous');
    const x = isFloat(t.dtype) ? t.to(dtype) : t;
    if (input.grad && input.dtype === undefined) leaves.push(x.detach().requiresGrad_());
    return input.grad && input.dtype === undefined ? (leaves[leaves.length - 1] as Tensor) : x;
  };
  const outputs = run(c.name, mapArgs(sample, to), mapOptions(sample, to)).filter(
    (t): t is Tensor => t instanceof Tensor && t.requiresGrad,
  );
  if (outputs.length === 0) return [];
  const weights = cotangents(
    outputs.map((t) => make(t.shape, toNd(t).data, rounding)),
    31,
  );
  return grad(outputs, leaves, {
    gradOutputs: weights.map((w, i) => w.to((outputs[i] as Tensor).dtype)),
    allowUnused: true,
  });
}

/** A gradient has the dtype of its tensor and the value that float64 gives. */
function checkDType(c: OpCase, dtype: DType): void {
  for (const sample of gradientSamples(c)) {
    if (!runsIn(sample, dtype)) continue;
    const actual = gradientsIn(c, sample, dtype, dtype);
    const expected = gradientsIn(c, sample, 'float64', dtype);
    actual.forEach((g, i) => {
      const want = expected[i] as Tensor | null;
      expect(g === null).toBe(want === null);
      if (g === null || want === null) return;
      expect(g.dtype).toBe(dtype);
      const [rtol, atol] = toleranceOf(dtype, c.spec.tolerance);
      const scale = Math.max(1, ...toNd(want).data.map(Math.abs));
      // Intermediate results of a formula are rounded too: a few units in the last place.
      expectClose(
        toNd(g),
        castNd(toNd(want), dtype),
        [4 * rtol, 2 * rtol * scale + atol],
        `${c.name}(${describeSample(sample)}) in ${dtype}`,
      );
    });
  }
}

describe.each(opCases().map((c) => [c.name, c] as const))('%s', (_, c) => {
  if (!c.schema.dtypes.includes('float64')) {
    // A composite has the derivatives of the ops that it is made of.
    test('has no floating dtype', () => expect(c.schema.differentiable).not.toBe('yes'));
    return;
  }
  if (c.schema.differentiable === 'no') {
    test('does not record', () => {
      for (const sample of gradientSamples(c)) {
        const to = (i: Input): Tensor => {
          const t = build(i, 'float64', 'contiguous');
          return isFloat(t.dtype) ? t.requiresGrad_() : t;
        };
        for (const out of run(c.name, mapArgs(sample, to), mapOptions(sample, to))) {
          expect(out instanceof Tensor && out.requiresGrad).toBe(false);
        }
      }
    });
    return;
  }
  if (!differentiable(c)) return;
  test('first order', () => checkOrder(c, checkFirstOrder));
  if (c.spec.skip?.second === undefined) {
    test('second order', () => checkOrder(c, checkSecondOrder));
  }
  if (c.spec.random !== true) {
    test.each(c.schema.dtypes.filter((d) => isFloat(d as DType) && d !== 'float64'))(
      'in %s',
      (dtype) => checkDType(c, dtype as DType),
    );
  }
  test('is not recorded for inputs that do not require it', () => {
    for (const out of runSample(c.name, c.samples[0] as Sample, 'float64')) {
      expect(out instanceof Tensor && out.requiresGrad).toBe(false);
    }
  });
});
