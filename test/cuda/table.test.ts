/**
 * The samples of every row of the op table on device 'cuda' against the CPU: values in every dtype
 * and in strided layouts, and gradients. A row without a kernel there, in any of its dtypes, fails.
 */
import { appendFileSync } from 'node:fs';

import { type DType, dtypes, grad, manualSeed, Tensor, TensorError, zeros } from '../../lib';
import { describeSample, opCases, runsIn, type OpCase } from '../ops/support/cases';
import { expectClose, type Tolerance, toleranceOf } from '../ops/support/compare';
import { cotangents } from '../ops/support/gradient';
import {
  build,
  isFloat,
  mapArgs,
  mapOptions,
  run,
  sliceDim,
  toNd,
  type Layout,
  type Output,
} from '../ops/support/run';
import type { Input, Sample } from '../ops/support/sample';
import { suite } from './suite';

/** A file that gets the name of each row before it runs: the emulator ends the process on a fault. */
const trace = process.env['AMPGRAD_CUDA_TRACE'];

/** Sums in another order: amp-cuda.md bounds the difference by the length; samples are short. */
const looser: Partial<Record<DType, Tolerance>> = {
  float16: [4e-3, 1e-3],
  bfloat16: [3e-2, 8e-3],
  float32: [1e-5, 2e-5],
  float64: [1e-7, 1e-7],
};

type Device = 'cpu' | 'cuda';

/** A tensor on a device, strided there as the layout says. */
function place(input: Input, dtype: DType, layout: Layout, device: Device): Tensor {
  const there = build(input, dtype, 'contiguous').to(device);
  const rank = there.shape.length;
  if (layout === 'transposed' && rank >= 2) {
    return there.transpose(0, -1).contiguous().transpose(0, -1);
  }
  if (layout === 'sliced' && rank >= 1) {
    const wide = there.shape.map((n, d) => (d === rank - 1 ? 2 * n + 1 : n));
    const view = sliceDim(zeros(wide, { dtype: there.dtype, device }), rank - 1, 1, 2);
    return view.copy_(there);
  }
  return there;
}

/** U diag(S) V^T of factors whose columns are determined up to a sign, and S. */
function product(u: Tensor, s: Tensor, vh: Tensor): Output[] {
  const k = s.size(-1);
  return [
    u
      .narrow(-1, 0, k)
      .mul(s.unsqueeze(-2))
      .matmul(vh.narrow(-2, 0, k)),
    s,
  ];
}

/** What of a result is unique, for rows whose whole result is not. */
const unique: Readonly<Record<string, (out: Output[]) => Output[]>> = {
  linalgSvd: ([u, s, vh]) => product(u as Tensor, s as Tensor, vh as Tensor),
  svd: ([u, s, v]) => product(u as Tensor, s as Tensor, (v as Tensor).mT),
};

function call(c: OpCase, sample: Sample, to: (i: Input) => Tensor, device: Device): Output[] {
  manualSeed(7);
  const options = mapOptions(sample, to);
  const makes = c.schema.args.some((a) => a.name === 'device');
  const takes = sample.args.some((a) => a instanceof Object && 'floats' in a);
  if (makes && !takes && device === 'cuda') options['device'] = 'cuda';
  const out = run(c.name, mapArgs(sample, to), options);
  return unique[c.name]?.(out) ?? out;
}

function compare(c: OpCase, got: readonly Output[], want: readonly Output[], what: string): void {
  expect(got.length).toBe(want.length);
  got.forEach((out, i) => {
    const other = want[i];
    if (!(out instanceof Tensor) || !(other instanceof Tensor)) {
      expect(out).toEqual(other);
      return;
    }
    expect(`${what}: ${out.dtype}`).toBe(`${what}: ${other.dtype}`);
    if (c.spec.uninitialised === true) {
      expect(out.shape).toEqual(other.shape);
      return;
    }
    const own = c.spec.tolerance?.[out.dtype];
    const bound = looser[out.dtype];
    const tolerance =
      bound === undefined ? toleranceOf(out.dtype) : pickLooser(own ?? bound, bound);
    expectClose(toNd(out.cpu()), toNd(other), tolerance, what);
  });
}

/** What a call gives, or the code of its error. A missing kernel is no such outcome. */
function outcome(fn: () => Output[]): Output[] | string {
  try {
    return fn();
  } catch (error) {
    if (error instanceof TensorError && error.code !== 'ERR_NOT_IMPLEMENTED') return error.code;
    throw error;
  }
}

function pickLooser(a: Tolerance, b: Tolerance): Tolerance {
  return [Math.max(a[0], b[0]), Math.max(a[1], b[1])];
}

/** Strides do not depend on the dtype: one of each compute type, to save time. */
const strided: readonly DType[] = ['float32', 'bfloat16', 'int64'];

function checkValues(c: OpCase, dtype: DType, layout: Layout): void {
  for (const sample of c.samples) {
    if (!runsIn(sample, dtype)) continue;
    const what = `${c.name}(${describeSample(sample)}) in ${dtype}, ${layout}`;
    const on = (device: Device): Output[] =>
      call(c, sample, (i) => place(i, dtype, layout, device), device);
    const want = outcome(() => on('cpu'));
    const got = outcome(() => on('cuda'));
    // A view that strides do not allow is refused on both.
    if (typeof want === 'string' || typeof got === 'string') expect(got).toBe(want);
    else compare(c, got, want, what);
  }
}

function gradientsOn(c: OpCase, sample: Sample, dtype: DType, device: Device): Tensor[] {
  const leaves: Tensor[] = [];
  const to = (input: Input): Tensor => {
    const t = place(input, dtype, 'contiguous', device);
    if (!input.grad || input.dtype !== undefined) return t;
    leaves.push(t.detach().requiresGrad_());
    return leaves[leaves.length - 1] as Tensor;
  };
  const outputs = call(c, sample, to, device).filter(
    (t): t is Tensor => t instanceof Tensor && t.requiresGrad && isFloat(t.dtype),
  );
  if (outputs.length === 0) return [];
  const weights = cotangents(
    outputs.map((t) => t.detach().cpu()),
    31,
  ).map((w) => w.to(device));
  return grad(outputs, leaves, { gradOutputs: weights, allowUnused: true }).map(
    (g) => g ?? zeros([0]),
  );
}

function checkGradients(c: OpCase, dtype: DType): void {
  if (c.schema.differentiable === 'no' || c.spec.skip?.gradient !== undefined) return;
  for (const sample of c.samples) {
    if (sample.smooth === false || !runsIn(sample, dtype)) continue;
    const what = `gradient of ${c.name}(${describeSample(sample)}) in ${dtype}`;
    compare(c, gradientsOn(c, sample, dtype, 'cuda'), gradientsOn(c, sample, dtype, 'cpu'), what);
  }
}

function check(c: OpCase, dtype: DType): void {
  checkValues(c, dtype, 'contiguous');
  if (strided.includes(dtype)) {
    checkValues(c, dtype, 'transposed');
    checkValues(c, dtype, 'sliced');
  }
  if (dtype === 'float32' || dtype === 'bfloat16') checkGradients(c, dtype);
}

suite('device cuda, op table', () => {
  test.each(opCases().map((c) => [c.name, c] as const))('%s', (_, c) => {
    for (const dtype of dtypes) {
      if (!c.schema.dtypes.includes(dtype)) continue;
      if (trace !== undefined) appendFileSync(trace, `${c.name} ${dtype}\n`);
      check(c, dtype);
    }
  });
});
