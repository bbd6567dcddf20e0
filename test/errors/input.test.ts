/** Every kind of bad input: the class, the code, and what the message names. */
import {
  add,
  callOp,
  cat,
  clamp,
  eye,
  fromBuffer,
  full,
  manualSeed,
  matmul,
  nllLoss,
  ones,
  randint,
  setNumThreads,
  softmax,
  stack,
  sum,
  tensor,
  type Tensor,
  zeros,
  where,
} from '../../lib';
import { native } from '../../lib/native';
import { handleOf } from '../../lib/tensor';
import { thrownBy } from '../support/codes';

type Row = readonly [what: string, fn: () => unknown, kind: string, code: string, message: RegExp];

const any = (v: unknown): never => v as never;
const x = (): Tensor => zeros([2, 3]);
const gone = (): Tensor => {
  const t = zeros([2]);
  t.dispose();
  return t;
};

function check(rows: readonly Row[]): void {
  test.each(rows)('%s', (_, fn, kind, code, message) => {
    const thrown = thrownBy(fn);
    expect(`${thrown.kind} ${thrown.code}: ${thrown.message}`).toMatch(
      new RegExp(`^${kind} ${code}: `),
    );
    expect(thrown.message).toMatch(message);
  });
}

describe('dtype', () => {
  check([
    ['no kernel', () => softmax(tensor([1, 2]), 0), 'TensorError', 'ERR_DTYPE', /softmax.*int64/],
    [
      'unknown name',
      () => zeros([2], { dtype: any('float31') }),
      'TensorError',
      'ERR_DTYPE',
      /zeros.*'dtype'.*float31/,
    ],
    [
      'not a string',
      () => zeros([2], { dtype: any(5) }),
      'TypeError',
      'ERR_TYPE',
      /zeros.*'dtype'.*5/,
    ],
    [
      'bool minus bool',
      () => tensor([true]).sub(tensor([true])),
      'TensorError',
      'ERR_DTYPE',
      /sub/,
    ],
    [
      'result does not fit',
      () => tensor([1]).add_(0.5),
      'TensorError',
      'ERR_DTYPE',
      /add_.*float32.*int64/,
    ],
    [
      'matrices of two dtypes',
      () => matmul(zeros([2, 2]), zeros([2, 2], { dtype: 'float64' })),
      'TensorError',
      'ERR_DTYPE',
      /float32.*float64|float64.*float32/,
    ],
    [
      'targets that are fractions',
      () => nllLoss(x(), zeros([2])),
      'TensorError',
      'ERR_DTYPE',
      /nllLoss.*'target'/,
    ],
    [
      'integers that require grad',
      () => zeros([2], { dtype: 'int64', requiresGrad: true }),
      'TensorError',
      'ERR_DTYPE',
      /float/,
    ],
  ]);
});

describe('shape', () => {
  check([
    ['no broadcast', () => x().add(zeros([4])), 'TensorError', 'ERR_SHAPE', /add.*\[2, 3\].*\[4\]/],
    ['matrix product', () => matmul(x(), x()), 'TensorError', 'ERR_SHAPE', /m.*2.*3/],
    ['view', () => x().view(4, 2), 'TensorError', 'ERR_SHAPE', /view.*\[4, 2\].*6/],
    [
      'view of scattered memory',
      () => x().t().view(6),
      'TensorError',
      'ERR_SHAPE',
      /view.*reshape/,
    ],
    [
      'two unknown sizes',
      () => x().reshape(-1, -1),
      '(TensorError|RangeError)',
      'ERR_(SHAPE|VALUE)',
      /reshape|one dimension can be inferred/,
    ],
    [
      'in place with a larger result',
      () => zeros([3]).add_(x()),
      'TensorError',
      'ERR_SHAPE',
      /add_.*\[3\].*\[2, 3\]/,
    ],
    ['cat', () => cat([x(), zeros([2, 4])]), 'TensorError', 'ERR_SHAPE', /cat/],
    ['stack', () => stack([x(), zeros([2])]), 'TensorError', 'ERR_SHAPE', /stack/],
    ['nothing to cat', () => cat([]), 'RangeError', 'ERR_VALUE', /cat/],
    ['expand', () => x().expand(4, 3), 'TensorError', 'ERR_SHAPE', /expand.*4/],
    ['item of many', () => x().item(), 'TensorError', 'ERR_SHAPE', /item/],
    ['ragged data', () => tensor([[1, 2], [3]]), 'TensorError', 'ERR_SHAPE', /ragged/],
    [
      'gradient',
      () =>
        ones([2], { requiresGrad: true })
          .mul(1)
          .backward(ones([3])),
      'TensorError',
      'ERR_SHAPE',
      /\[3\].*\[2\]/,
    ],
  ]);
});

describe('axis and index', () => {
  check([
    ['dim too large', () => sum(x(), 2), 'RangeError', 'ERR_RANGE', /sum.*\[-2, 1\].*2/],
    ['dim too small', () => softmax(x(), -3), 'RangeError', 'ERR_RANGE', /softmax.*-3/],
    [
      'dim twice',
      () => sum(x(), [0, 0]),
      'RangeError',
      'ERR_VALUE',
      /sum.*(twice|more than once|multiple times)/,
    ],
    ['select', () => x().select(0, 2), 'RangeError', 'ERR_RANGE', /select.*2/],
    ['narrow', () => x().narrow(1, 2, 2), 'RangeError', 'ERR_RANGE', /narrow/],
    ['get', () => x().get(5), 'RangeError', 'ERR_RANGE', /5/],
    ['too many indices', () => x().get(0, 0, 0), 'RangeError', 'ERR_RANGE', /too many indices/],
    ['size(dim)', () => x().size(7), 'RangeError', 'ERR_RANGE', /size.*7/],
    [
      'class out of range',
      () => nllLoss(x(), tensor([0, 9])),
      'RangeError',
      'ERR_RANGE',
      /9.*3|out of (range|bounds)/,
    ],
    ['huge dim', () => sum(x(), 2 ** 40), 'RangeError', 'ERR_RANGE', /sum/],
  ]);
});

describe('options', () => {
  check([
    ['unknown name', () => sum(x(), any({ axis: 0 })), 'TypeError', 'ERR_TYPE', /sum.*'axis'.*dim/],
    [
      'a suggestion',
      () => sum(x(), any({ keepdims: true })),
      'TypeError',
      'ERR_TYPE',
      /did you mean 'keepdim'/,
    ],
    [
      'given twice',
      () => sum(x(), 0, any({ dim: 0 })),
      'TypeError',
      'ERR_TYPE',
      /sum.*'dim'.*twice/,
    ],
    [
      'wrong kind',
      () => sum(x(), { dim: 0, keepdim: any('yes') }),
      'TypeError',
      'ERR_TYPE',
      /sum.*'keepdim'.*yes/,
    ],
    [
      'of a factory',
      () => zeros([2], any({ requireGrad: true })),
      'TypeError',
      'ERR_TYPE',
      /did you mean 'requiresGrad'/,
    ],
    [
      'of tensor()',
      () => tensor([1], any({ type: 'int8' })),
      'TypeError',
      'ERR_TYPE',
      /tensor.*'type'/,
    ],
    [
      'of backward',
      () =>
        x()
          .sum()
          .backward(any({ retain: true })),
      'TypeError',
      'ERR_TYPE',
      /backward.*'retain'/,
    ],
    ['bad choice', () => x().div(2, { roundingMode: 'up' }), 'RangeError', 'ERR_VALUE', /div.*up/],
    [
      'bad reduction',
      () => nllLoss(x(), tensor([0, 1]), { reduction: 'avg' }),
      'RangeError',
      'ERR_VALUE',
      /reduction.*avg/,
    ],
    [
      'device',
      () => zeros([2], { device: any('tpu') }),
      'TensorError',
      'ERR_DEVICE',
      /zeros.*'device'.*tpu/,
    ],
    [
      'requiresGrad',
      () => zeros([2], { requiresGrad: any(1) }),
      'TypeError',
      'ERR_TYPE',
      /requiresGrad/,
    ],
  ]);
});

describe('disposed', () => {
  check([
    ['first operand', () => gone().add(1), 'TensorError', 'ERR_DISPOSED', /add.*'input'.*disposed/],
    [
      'second operand',
      () => x().add(gone()),
      'TensorError',
      'ERR_DISPOSED',
      /add.*'other'.*disposed/,
    ],
    [
      'in a list',
      () => cat([x(), gone()]),
      'TensorError',
      'ERR_DISPOSED',
      /cat.*'tensors'.*disposed/,
    ],
    ['data', () => gone().dataSync(), 'TensorError', 'ERR_DISPOSED', /disposed/],
    ['backward', () => gone().backward(), 'TensorError', 'ERR_DISPOSED', /disposed/],
    ['copy_', () => x().copy_(gone()), 'TensorError', 'ERR_DISPOSED', /copy_.*disposed/],
  ]);
});

describe('wrong kinds', () => {
  const kinds: readonly unknown[] = [
    'text',
    Symbol('s'),
    {},
    new Date(),
    () => 1,
    new Map(),
    /x/,
    [[]],
  ];
  test.each(
    kinds.map(
      (k) => [typeof k === 'symbol' ? 'symbol' : Object.prototype.toString.call(k), k] as const,
    ),
  )('%s where a tensor belongs', (_, value) => {
    for (const call of [
      () => add(x(), any(value)),
      () => matmul(x(), any(value)),
      () => cat([x(), any(value)]),
      () => callOp('relu', [value]),
      () => callOp('sum', [x(), value]),
      () => callOp('full', [[2], value]),
      () => x().copy_(any(value)),
      () => zeros(any(value)),
    ]) {
      const thrown = thrownBy(call);
      if (thrown.kind === 'nothing') continue; // an empty list, or options that are empty
      expect(`${thrown.kind} ${thrown.code}`).toMatch(
        /^(TypeError ERR_TYPE|TensorError ERR_SHAPE|RangeError ERR_VALUE)$/,
      );
    }
  });
  check([
    ['null', () => callOp('relu', [null]), 'TypeError', 'ERR_TYPE', /relu.*'input'/],
    ['undefined', () => callOp('relu', [undefined]), 'TypeError', 'ERR_TYPE', /relu.*'input'/],
    ['a number', () => callOp('relu', [1]), 'TypeError', 'ERR_TYPE', /relu.*'input'.*number 1/],
    [
      'a hole in a list',
      () => cat([x(), any(undefined)]),
      'TypeError',
      'ERR_TYPE',
      /cat.*'tensors'/,
    ],
    [
      'an object like a tensor',
      () => callOp('relu', [{ shape: [2], dtype: 'float32' }]),
      'TypeError',
      'ERR_TYPE',
      /relu/,
    ],
    [
      'a method on a foreign object',
      () => x().add.call(any({}), 1),
      'TypeError',
      'ERR_TYPE',
      /add/,
    ],
    [
      'a string of digits',
      () => x().select(0, any('1')),
      'TypeError',
      'ERR_TYPE',
      /select.*'index'.*"1"/,
    ],
  ]);
});

describe('numbers', () => {
  check([
    [
      'NaN for an integer',
      () => x().select(0, NaN),
      'TypeError',
      'ERR_TYPE',
      /select.*'index'.*NaN/i,
    ],
    [
      'a fraction for an integer',
      () => x().select(0, 0.5),
      'TypeError',
      'ERR_TYPE',
      /select.*'index'.*0\.5/,
    ],
    ['Infinity for a size', () => zeros([Infinity]), 'TypeError', 'ERR_TYPE', /zeros.*'size'/],
    ['NaN in a size', () => zeros([2, NaN]), 'TypeError', 'ERR_TYPE', /zeros.*'size'/],
    ['a negative size', () => zeros([2, -1]), 'RangeError', 'ERR_RANGE', /zeros.*-1/],
    [
      'an integer beyond 2^63',
      () => x().select(0, any(2n ** 70n)),
      'RangeError',
      'ERR_RANGE',
      /select/,
    ],
    [
      'a number beyond 2^53 for an index',
      () => x().select(0, 1e300),
      'RangeError',
      'ERR_RANGE',
      /select/,
    ],
    [
      'sizes whose product overflows',
      () => zeros([2 ** 32, 2 ** 32]),
      'RangeError',
      'ERR_RANGE',
      /zeros|overflow/,
    ],
    [
      'a mask value that float16 does not hold',
      () => where(x().gt(0), x().half(), -1e9),
      'RangeError',
      'ERR_VALUE',
      /where: argument 'other'.*finfo\('float16'\)\.min/,
    ],
    [
      'filling with a mask value that float16 does not hold',
      () => x().half().maskedFill(x().gt(0), -1e9),
      'RangeError',
      'ERR_VALUE',
      /maskedFill: argument 'value'.*finfo\('float16'\)\.min.*or Infinity/,
    ],
    [
      'a view whose product overflows',
      () => x().view(2 ** 62, 4),
      'RangeError',
      'ERR_RANGE',
      /view/,
    ],
    [
      'expand beyond memory',
      () => zeros([1]).expand(2 ** 62, 4),
      'RangeError',
      'ERR_RANGE',
      /expand/,
    ],
    [
      'more memory than there is',
      () => zeros([2 ** 30, 2 ** 12]),
      'TensorError',
      'ERR_OOM',
      /out of memory/,
    ],
    [
      'a step of zero',
      () => callOp('arange', [0, 5, 0]),
      'RangeError',
      'ERR_VALUE',
      /arange.*step/,
    ],
    [
      'an endless range',
      () => callOp('arange', [0, Infinity]),
      'RangeError',
      'ERR_VALUE',
      /arange/,
    ],
    ['an empty range of integers', () => randint(5, 5, [2]), 'RangeError', 'ERR_VALUE', /randint/],
    [
      'integer division by zero',
      () => tensor([1]).floorDivide(0),
      'RangeError',
      'ERR_VALUE',
      /floorDivide.*zero/,
    ],
    [
      'a value the dtype cannot hold',
      () => tensor([300], { dtype: 'uint8' }),
      'RangeError',
      'ERR_VALUE',
      /300.*uint8/,
    ],
    [
      'NaN as int64',
      () => tensor([NaN], { dtype: 'int64' }),
      'RangeError',
      'ERR_VALUE',
      /NaN.*int64/,
    ],
    ['a negative matrix', () => eye(-1), 'RangeError', 'ERR_RANGE', /eye/],
    ['threads', () => setNumThreads(0), 'RangeError', 'ERR_RANGE', /setNumThreads.*0/],
    ['a seed that is a fraction', () => manualSeed(0.5), 'TypeError', 'ERR_TYPE', /manualSeed/],
    ['clamp without bounds', () => clamp(x()), 'RangeError', 'ERR_VALUE', /clamp/],
  ]);
});

describe('arguments', () => {
  check([
    ['too few', () => callOp('add', [x()]), 'TypeError', 'ERR_TYPE', /add.*'other'.*required/],
    ['too many', () => callOp('relu', [x(), 1, 2]), 'TypeError', 'ERR_TYPE', /relu.*at most 1.*3/],
    ['none', () => callOp('matmul', []), 'TypeError', 'ERR_TYPE', /matmul.*required/],
    [
      'an op that does not exist',
      () => callOp('mattmul', []),
      'RangeError',
      'ERR_VALUE',
      /mattmul.*did you mean 'matmul'/,
    ],
    [
      'an in-place form that does not exist',
      () => callOp('matmul_', [x(), x()]),
      'RangeError',
      'ERR_VALUE',
      /matmul_/,
    ],
    [
      'full without a value',
      () => full([2], any(undefined)),
      'TypeError',
      'ERR_TYPE',
      /full.*'fillValue'/,
    ],
  ]);
});

describe('what is not a handle', () => {
  const native_ = native as unknown as Record<string, (...args: unknown[]) => unknown>;
  const foreign: readonly unknown[] = [
    {},
    null,
    undefined,
    1,
    'x',
    [],
    Symbol('s'),
    () => 1,
    new Proxy({}, {}),
  ];
  test('the exports of the addon refuse everything else', () => {
    const setters = new Set([
      'Failure',
      'deviceAvailable',
      'setup',
      'setAutocast',
      'setNumThreads',
      'manualSeed',
      'setRngState',
      'emptyCache',
      'reseed',
    ]);
    for (const [name, fn] of Object.entries(native_)) {
      if (typeof fn !== 'function' || setters.has(name)) continue;
      for (const value of foreign) {
        const thrown = thrownBy(() => fn(value, value, value, value, value, value));
        expect(`${name}: ${thrown.code}`).not.toMatch(/ERR_INTERNAL/);
        expect(`${name}: ${thrown.kind}`).not.toMatch(/: Error$/);
      }
      thrownBy(() => fn());
    }
    native.setGradEnabled(true);
    expect(handleOf(x())).toBeDefined();
  });

  test('a handle of one tensor in the place of another kind', () => {
    const handle = handleOf(x());
    for (const name of [
      'item',
      'grads',
      'zeroGrads',
      'fromBytes',
      'runBackward',
      'runGrad',
      'customFunction',
    ]) {
      const thrown = thrownBy(() =>
        native_[name]?.(handle, handle, handle, handle, handle, handle),
      );
      expect(`${name}: ${thrown.code}`).not.toMatch(/ERR_INTERNAL/);
    }
  });

  test('buffers that are too small or detached', () => {
    expect(thrownBy(() => fromBuffer(new Float32Array(3), { shape: [4] })).code).toMatch(/^ERR_/);
    const data = new Float32Array(4);
    structuredClone(data.buffer, { transfer: [data.buffer] });
    const thrown = thrownBy(() => fromBuffer(data, { shape: [4] }));
    expect(thrown.code).toMatch(/^ERR_/);
  });
});

test('the stack begins with the line of the caller', () => {
  let stack = '';
  try {
    x().add(zeros([4]));
  } catch (e) {
    stack = (e as Error).stack ?? '';
  }
  expect(stack.split('\n').find((line) => line.startsWith('    at '))).toContain('input.test.ts');
});

test('errors thrown while the collector runs finalizers do no harm', () => {
  let caught = 0;
  for (let i = 0; i < 20_000; ++i) {
    const garbage = zeros([4]);
    try {
      garbage.add(zeros([3]));
    } catch {
      ++caught;
    }
  }
  expect(caught).toBe(20_000);
});
