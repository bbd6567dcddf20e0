/** In-place forms: the same result, written into the first argument, with every guard in place. */
import { callOp, type DType, grad, manualSeed, memory, stack, type Tensor } from '../../lib';
import { describeSample, opCases, runsIn, type OpCase } from './support/cases';
import { cotangents } from './support/gradient';
import { expectClose, toleranceOf } from './support/compare';
import { expectNoLeaks, liveTensors } from './support/leaks';
import { build, inputsOf, isFloat, mapArgs, mapOptions, run, sliceDim, toNd } from './support/run';
import { Input, type Sample } from './support/sample';

expectNoLeaks();

const errorCodes = /^ERR_(DTYPE|SHAPE)$/;

function codeOf(fn: () => unknown): string {
  try {
    fn();
  } catch (e) {
    return (e as { code?: string }).code ?? String(e);
  }
  return 'no error';
}

/** Arguments made afresh, so that nothing is shared between calls. */
function fresh(sample: Sample, dtype: DType): [unknown[], Record<string, unknown>] {
  const to = (i: Input): Tensor => build(i, dtype, 'contiguous');
  return [mapArgs(sample, to), mapOptions(sample, to)];
}

/** Whether the result fits the first argument: same shape, and a dtype it can hold. */
function fits(result: Tensor, self: Tensor): boolean {
  const rank = (t: Tensor): number => (isFloat(t.dtype) ? 2 : t.dtype === 'bool' ? 0 : 1);
  return result.shape.join() === self.shape.join() && rank(result) <= rank(self);
}

function call(c: OpCase, args: unknown[], options: object): unknown {
  const name = c.schema.inplace === 'only' ? c.name : `${c.name}_`;
  manualSeed(7);
  return callOp(name, args, options as Record<string, unknown>);
}

function checkSample(c: OpCase, sample: Sample, dtype: DType): void {
  const [args, options] = fresh(sample, dtype);
  manualSeed(7);
  const expected = run(c.name, ...fresh(sample, dtype))[0] as Tensor;
  const self = args[0] as Tensor;
  const what = `${c.name}_(${describeSample(sample)}) in ${dtype}`;
  if (!fits(expected, self)) {
    expect(codeOf(() => call(c, args, options))).toMatch(errorCodes);
    return;
  }
  const version = self.version;
  const result = call(c, args, options);
  expect(result).toBe(self);
  expect(self.version).toBeGreaterThan(version);
  expect(self.dtype).toBe(dtype);
  expectClose(toNd(self), toNd(expected.to(dtype)), toleranceOf(dtype), what);
}

/** Writing through a strided window changes the window and nothing else. */
function checkWindow(c: OpCase, sample: Sample): void {
  const [args, options] = fresh(sample, 'float32');
  const self = args[0] as Tensor;
  if (self.ndim === 0) return;
  manualSeed(7);
  const expected = run(c.name, ...fresh(sample, 'float32'))[0] as Tensor;
  if (!fits(expected, self)) return;
  const last = self.ndim - 1;
  const wide = stack([self, self], -1).flatten(-2);
  const window = sliceDim(wide, last, 0, 2);
  args[0] = window;
  call(c, args, options);
  expectClose(toNd(window), toNd(expected.to('float32')), toleranceOf('float32'), c.name);
  const rest = sliceDim(wide, last, 1, 2);
  expectClose(toNd(rest), toNd(self), [0, 0], `${c.name}_ outside its window`);
}

function checkGuards(c: OpCase, sample: Sample): void {
  const [args, options] = fresh(sample, 'float64');
  const leaf = (args[0] as Tensor).requiresGrad_();
  expect(codeOf(() => call(c, args, options))).toBe('ERR_AUTOGRAD');
  expect(leaf.version).toBe(0);
}

/** The gradient through an in-place form equals that of the op itself. */
function checkGradient(c: OpCase, sample: Sample): void {
  const both = [true, false].map((inPlace) => {
    const leaves: Tensor[] = [];
    const to = (i: Input): Tensor => {
      const t = build(i, 'float64', 'contiguous');
      if (i.grad && isFloat(t.dtype)) leaves.push(t.requiresGrad_());
      return t;
    };
    const args = mapArgs(sample, to);
    const options = mapOptions(sample, to);
    args[0] = (args[0] as Tensor).clone();
    manualSeed(7);
    const out = (inPlace ? call(c, args, options) : run(c.name, args, options)[0]) as Tensor;
    if (!out.requiresGrad) return [];
    return grad(out, leaves, { gradOutputs: cotangents([out], 41), allowUnused: true });
  });
  (both[0] as (Tensor | null)[]).forEach((g, i) => {
    const want = both[1]?.[i];
    if (g === null || want === null || want === undefined) return void expect(g).toBe(want);
    expectClose(toNd(g), toNd(want), toleranceOf('float64'), `gradient through ${c.name}_`);
  });
}

const cases = opCases().filter((c) => ['yes', 'only'].includes(c.schema.inplace));

describe.each(cases.map((c) => [c.name, c] as const))('%s_', (_, c) => {
  const samples = c.samples.filter((s) => s.args[0] instanceof Input);

  test.each(c.schema.dtypes)('in %s', (dtype) => {
    for (const sample of samples) {
      if (runsIn(sample, dtype as DType)) checkSample(c, sample, dtype as DType);
    }
  });

  test('refuses a first argument that is a number', () => {
    if (c.schema.inplace === 'only') return;
    const sample = c.samples.find((s) => typeof s.args[0] === 'number' && runsIn(s, 'float32'));
    if (sample === undefined) return;
    const [args, options] = fresh(sample, c.schema.dtypes[0] as DType);
    expect(codeOf(() => call(c, args, options))).toBe('ERR_TYPE');
  });

  if (c.schema.dtypes.includes('float64')) {
    const fitting = samples.filter((s) => {
      if (!runsIn(s, 'float64') || !runsIn(s, 'float32')) return false;
      const out = run(c.name, ...fresh(s, 'float64'))[0] as Tensor;
      return fits(out, build(inputsOf(s)[0] as Input, 'float64', 'contiguous'));
    });
    test('writes through a window', () => fitting.forEach((s) => checkWindow(c, s)));
    test('refuses a leaf that requires grad', () => fitting.forEach((s) => checkGuards(c, s)));
    if (c.schema.differentiable !== 'no') {
      test('has the gradient of the op', () => fitting.forEach((s) => checkGradient(c, s)));
    }
  }
});

test('memory is reused', async () => {
  await liveTensors(); // garbage of other tests must not go in between
  const before = memory.stats().liveStorages;
  const x = build(
    new Input([4], [1, 2, 3, 4], [1, 2, 3, 4], undefined, false),
    'float32',
    'contiguous',
  );
  const live = memory.stats().liveStorages;
  callOp('mul_', [x, 2]);
  expect(memory.stats().liveStorages).toBe(live);
  expect(live).toBeGreaterThan(before);
});
