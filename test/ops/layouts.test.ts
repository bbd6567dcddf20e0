/** Memory that is transposed, strided or expanded gives the values and gradients of dense memory. */
import { type DType, grad, Tensor } from '../../lib';
import { describeSample, opCases, runsIn, type OpCase } from './support/cases';
import { expectClose, toleranceOf } from './support/compare';
import { cotangents } from './support/gradient';
import { expectNoLeaks } from './support/leaks';
import {
  build,
  inputsOf,
  isFloat,
  layouts,
  layoutValues,
  make,
  mapArgs,
  mapOptions,
  run,
  toNd,
  type Layout,
  type Output,
} from './support/run';
import type { Input, Sample } from './support/sample';

expectNoLeaks();

interface Result {
  readonly outputs: Output[];
  readonly gradients: (Tensor | null)[];
}

/** Runs a sample on tensors made by `to`; gradients with respect to those tensors. */
function runWith(c: OpCase, sample: Sample, to: (input: Input) => Tensor): Result {
  const leaves: Tensor[] = [];
  const make1 = (input: Input): Tensor => {
    const t = to(input);
    if (isFloat(t.dtype) && input.grad && c.schema.differentiable !== 'no')
      leaves.push(t.requiresGrad_());
    return t;
  };
  const outputs = run(c.name, mapArgs(sample, make1), mapOptions(sample, make1));
  const live = outputs.filter((t): t is Tensor => t instanceof Tensor && t.requiresGrad);
  const gradients =
    live.length === 0
      ? []
      : grad(live, leaves, { gradOutputs: cotangents(live, 37), allowUnused: true });
  return { outputs, gradients };
}

function check(c: OpCase, layout: Layout, dtype: DType): void {
  for (const sample of c.samples) {
    if (!runsIn(sample, dtype) || inputsOf(sample).length === 0) continue;
    const laidOut = runWith(c, sample, (i) => build(i, dtype, layout).detach());
    const dense = runWith(c, sample, (i) => {
      const actual = i.dtype ?? dtype;
      const values = layoutValues(i, actual, layout);
      return make(values.shape, values.data, actual);
    });
    const what = `${c.name}(${describeSample(sample)}), ${layout}, ${dtype}`;
    laidOut.outputs.forEach((out, k) => {
      const want = dense.outputs[k] as Output;
      if (!(out instanceof Tensor)) return void expect(out).toEqual(want);
      if (c.spec.random === true || c.spec.uninitialised === true) return;
      expectClose(toNd(out), toNd(want as Tensor), toleranceOf(out.dtype), what);
    });
    laidOut.gradients.forEach((g, k) => {
      const want = dense.gradients[k];
      if (g === null || want === null || want === undefined) return void expect(g).toBe(want);
      expectClose(toNd(g), toNd(want), toleranceOf(g.dtype), `gradient of ${what}`);
    });
  }
}

describe.each(opCases().map((c) => [c.name, c] as const))('%s', (_, c) => {
  const takesTensors = c.samples.some((s) => inputsOf(s).length > 0);
  if (!takesTensors || c.spec.skip?.layouts !== undefined) {
    test('has no layout to vary', () => expect(c.samples.length).toBeGreaterThan(0));
    return;
  }
  for (const layout of layouts) {
    if (layout === 'expanded' && c.spec.skip?.expanded !== undefined) continue;
    test(layout, () => {
      for (const dtype of ['float64', 'float32', 'float16', 'int32', 'bool'] as const) {
        if (c.schema.dtypes.includes(dtype)) check(c, layout, dtype);
      }
    });
  }
});
