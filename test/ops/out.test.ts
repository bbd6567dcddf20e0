/** Results written into given tensors: the numbers of a call without `out`, for every op that has it. */
import {
  add,
  amp,
  callOp,
  type DType,
  empty,
  exp,
  full,
  linalg,
  manualSeed,
  matmul,
  maximum,
  mul,
  noGrad,
  norm,
  ones,
  rand,
  stack,
  std,
  stdMean,
  sum,
  Tensor,
  tensor,
  topk,
  zeros,
} from '../../lib';
import { describeSample, opCases, runsIn, type OpCase } from './support/cases';
import { expectClose } from './support/compare';
import { expectNoLeaks } from './support/leaks';
import { build, inputsOf, mapArgs, mapOptions, run, toNd } from './support/run';
import type { Input, Sample } from './support/sample';

expectNoLeaks();

const exact = [0, 0] as const;

function fresh(sample: Sample, dtype: DType): [unknown[], Record<string, unknown>] {
  const to = (i: Input): Tensor => build(i, dtype, 'contiguous');
  return [mapArgs(sample, to), mapOptions(sample, to)];
}

/** Calls with `out`, which a single result takes alone and several take as an array. */
function into(c: OpCase, sample: Sample, dtype: DType, outs: readonly Tensor[]): void {
  const [args, options] = fresh(sample, dtype);
  const out = c.schema.returns === 'Tensor' ? outs[0] : outs;
  manualSeed(7);
  const result = callOp(c.name, args, { ...options, out });
  const list = (result instanceof Tensor ? [result] : result) as Tensor[];
  expect(list).toHaveLength(outs.length);
  list.forEach((t, i) => expect(t).toBe(outs[i]));
}

/** Every second column of a tensor twice as wide. */
function window(like: Tensor): Tensor {
  return stack([like, like], -1).select(-1, 1);
}

function checkSample(c: OpCase, sample: Sample, dtype: DType): void {
  manualSeed(7);
  const expected = run(c.name, ...fresh(sample, dtype)) as Tensor[];
  const what = `${c.name}(${describeSample(sample)}) in ${dtype}`;
  const targets = {
    dense: (e: Tensor) => full(e.shape, 1, { dtype: e.dtype }),
    empty: (e: Tensor) => empty([0], { dtype: e.dtype }),
    window: (e: Tensor) => window(full(e.shape, 1, { dtype: e.dtype })),
  };
  for (const [kind, make] of Object.entries(targets)) {
    const outs = expected.map(make);
    const versions = outs.map((t) => t.version);
    into(c, sample, dtype, outs);
    expected.forEach((e, i) => {
      const out = outs[i] as Tensor;
      expect(out.dtype).toBe(e.dtype);
      if (kind !== 'empty') expect(out.version).toBeGreaterThan(versions[i] as number);
      expectClose(toNd(out), toNd(e), exact, `${what}, ${kind} out`);
    });
  }
}

/** What is read and written at once must be as if it were read first. */
function checkAliased(c: OpCase, sample: Sample): void {
  const [args, options] = fresh(sample, 'float32');
  manualSeed(7);
  const expected = run(c.name, ...fresh(sample, 'float32'))[0] as Tensor;
  const fits = (a: unknown): a is Tensor =>
    a instanceof Tensor && a.dtype === expected.dtype && a.shape.join() === expected.shape.join();
  const at = args.map(fits).lastIndexOf(true);
  if (at < 0) return;
  const out = args[at] as Tensor;
  manualSeed(7);
  expect(callOp(c.name, args, { ...options, out })).toBe(out);
  expectClose(toNd(out), toNd(expected), exact, `${c.name}(${describeSample(sample)}) into itself`);
}

const cases = opCases().filter((c) => c.schema.out);

test('most ops take a tensor for the result', () => {
  expect(cases.length).toBeGreaterThan(400);
});

describe.each(cases.map((c) => [c.name, c] as const))('%s', (_, c) => {
  const dtype = (c.schema.dtypes.includes('float32') ? 'float32' : c.schema.dtypes[0]) as DType;
  const samples = c.samples.filter((s) => runsIn(s, dtype));

  test('writes the result it would return', () => {
    noGrad(() => samples.forEach((s) => checkSample(c, s, dtype)));
  });

  if (c.schema.returns === 'Tensor' && dtype === 'float32') {
    test('may write what it reads', () => {
      noGrad(() =>
        samples.filter((s) => inputsOf(s).length > 0).forEach((s) => checkAliased(c, s)),
      );
    });
  }
});

describe('out', () => {
  const x = (): Tensor => tensor([1.5, 2.5, 3.5]);

  test.each<[string, RegExp, () => unknown]>([
    ['ERR_SHAPE', /add: argument 'out'.*\[3\].*\[2\]/, () => add(x(), 1, { out: zeros([2]) })],
    [
      'ERR_DTYPE',
      /float32 can't be cast.*int64/,
      () => exp(x(), { out: zeros([3], { dtype: 'int64' }) }),
    ],
    [
      'ERR_TYPE',
      /add: option 'out' must be a Tensor, got number 3/,
      () => callOp('add', [x(), 1], { out: 3 }),
    ],
    [
      'ERR_TYPE',
      /topk: option 'out' must be an array of 2 Tensors/,
      () => callOp('topk', [x(), 1], { out: x() }),
    ],
    ['ERR_TYPE', /add_: unknown option 'out'/, () => callOp('add_', [x(), 1], { out: x() })],
    [
      'ERR_TYPE',
      /transpose: unknown option 'out'/,
      () => callOp('transpose', [zeros([2, 2]), 0, 1], { out: x() }),
    ],
    ['ERR_TYPE', /zeros: unknown option 'out'/, () => callOp('zeros', [[2]], { out: x() })],
    ['ERR_VALUE', /more than one element/, () => add(x(), 1, { out: zeros([1]).expand([3]) })],
    ['ERR_AUTOGRAD', /requires grad/, () => exp(x().requiresGrad_(), { out: zeros([3]) })],
    ['ERR_AUTOGRAD', /requires grad/, () => exp(x(), { out: zeros([3], { requiresGrad: true }) })],
  ])('%s %s', (code, message, fn) => {
    let error: Error & { code?: string } = new Error('nothing was thrown');
    try {
      fn();
    } catch (e) {
      error = e as Error;
    }
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('a disposed target is refused and stays disposed', () => {
    const gone = zeros([3]);
    gone.dispose();
    expect(() => add(x(), 1, { out: gone })).toThrow(
      expect.objectContaining({ code: 'ERR_DISPOSED' }),
    );
  });

  test('null and undefined ask for a new tensor', () => {
    expect(add(x(), 1, { out: null }).toArray()).toEqual([2.5, 3.5, 4.5]);
    expect(mul(x(), 2, { out: undefined }).toArray()).toEqual([3, 5, 7]);
  });

  test('a wider dtype is written, the computation keeps its own', () => {
    const out = empty([0], { dtype: 'float64' });
    expect(sum(tensor([0.1, 0.2]), { out })).toBe(out);
    expect(out.dtype).toBe('float64');
    expect(out.item()).toBe(sum(tensor([0.1, 0.2])).item());
  });

  test('views of the target see the result', () => {
    const base = zeros([2, 3]);
    const row = base.get(1);
    maximum(x(), tensor(2), { out: row });
    expect(base.toArray()).toEqual([
      [0, 0, 0],
      [2, 2.5, 3.5],
    ]);
  });

  test('a product is written where it belongs, also over its operand', () => {
    const [a, b] = [rand([5, 5]), rand([5, 5])];
    const want = matmul(a, b);
    const out = zeros([5, 5]);
    matmul(a, b, { out });
    expect(out.equal(want)).toBe(true);
    matmul(a, b, { out: b });
    expect(b.equal(want)).toBe(true);
    expect(linalg.inv(out, { out: empty([0]) }).shape).toEqual([5, 5]);
  });

  test('several results', () => {
    const values = empty([0]);
    const indices = empty([0], { dtype: 'int64' });
    const got = topk(x(), 2, { out: [values, indices] });
    expect(got.values).toBe(values);
    expect(values.toArray()).toEqual([3.5, 2.5]);
    expect(indices.toArray()).toEqual([2, 1]);
  });

  test('functions in more forms than a schema has take it too', () => {
    const [deviation, mean] = [zeros([]), zeros([])];
    expect(std(x(), { out: deviation })).toBe(deviation);
    expect(norm(x(), 2, { out: mean })).toBe(mean);
    expect(deviation.item()).toBe(1);
    const both = stdMean(x(), 0, { out: [deviation, mean] });
    expect(both.deviation).toBe(deviation);
    expect(both.mean).toBe(mean);
    expect(mean.item()).toBe(2.5);
  });

  test('noGrad allows operands that require grad, whose saved values notice the write', () => {
    const w = ones([3], { requiresGrad: true });
    const saved = w.mul(2);
    const loss = saved.mul(saved).sum();
    noGrad(() => add(w, 1, { out: saved }));
    expect(saved.toArray()).toEqual([2, 2, 2]);
    expect(() => {
      loss.backward();
    }).toThrow(/modified by an inplace operation/);
  });

  test('autocast does not cast such calls', () => {
    const [a, b, out] = [rand([4, 4]), rand([4, 4]), zeros([4, 4])];
    amp.autocast('cpu', () => matmul(a, b, { out }));
    expect(out.equal(matmul(a, b))).toBe(true);
  });
});
