/** Losses of pairs of elements, margins and label sequences. */
import type { DType } from '../../../lib';
import { reduceLoss } from '../reference/losses';
import {
  cosineEmbeddingLoss,
  ctcLoss,
  multilabelMarginLoss,
  multilabelSoftMarginLoss,
  multiMarginLoss,
  tripletMarginLoss,
} from '../reference/marginLosses';
import { elementwise, type Nd } from '../support/nd';
import type { Family, Input, InputOptions, OpSpec, Sample, Source } from '../support/sample';

type Options = Readonly<Record<string, unknown>>;
type Weighted = Options & { readonly reduction?: string; readonly weight?: Nd };
type Term = (options: Options) => (x: number, y: number) => number;

const floats: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64'];
/** Differences of uint8 wrap around, in PyTorch too; the references do not. */
const signed: readonly DType[] = [...floats, 'int8', 'int16', 'int32', 'int64'];
const perClass = { zeroDim: 'needs a dimension of classes' } as const;
const positive = { low: 0.2, high: 2, ints: [1, 4], grad: false } as const;

interface PairOptions {
  readonly input?: InputOptions;
  readonly target?: InputOptions | 'signs';
  readonly options?: readonly Options[];
}

/** Targets of 1 and -1. */
function signs(s: Source, shape: readonly number[]): Input {
  const n = shape.reduce((a, b) => a * b, 1);
  return s.of(
    shape,
    Array.from({ length: n }, (_, i) => (i % 3 === 1 ? -1 : 1)),
    false,
  );
}

/** Element-wise losses share their samples: shapes first, then the options. */
function pairSamples(s: Source, { input, target, options = [] }: PairOptions): Sample[] {
  const pair = (shape: number[]): Input[] => [
    s.x(shape, input),
    target === 'signs' ? signs(s, shape) : s.x(shape, target),
  ];
  return [
    { args: pair([2, 3]) },
    { args: pair([2, 3]), options: { reduction: 'sum' } },
    { args: pair([]), options: { reduction: 'none' } },
    { args: pair([0, 3]), options: { reduction: 'none' } },
    ...options.map((o) => ({ args: pair([2, 4]), options: o })),
  ];
}

function pairs(term: Term, how: PairOptions, extra: Partial<OpSpec> = {}): OpSpec {
  return {
    samples: (s) => pairSamples(s, how),
    reference: (x: Nd, y: Nd, o: Weighted) => reduceLoss(elementwise(term(o), x, y), o.reduction),
    ...extra,
  };
}

/** Losses whose mean is that of the weights. */
function weightedMean(term: Term, how: PairOptions): OpSpec {
  const weight = (s: Source): Input => s.x([2, 3], positive);
  return {
    samples: (s) => [
      ...pairSamples(s, how),
      { args: [s.x([2, 3]), s.x([2, 3])], options: { weight: weight(s) } },
      { args: [s.x([2, 3]), s.x([2, 3])], options: { weight: weight(s), reduction: 'sum' } },
    ],
    reference: (x: Nd, y: Nd, o: Weighted) => {
      const terms = elementwise(term(o), x, y);
      const { weight: w } = o;
      if (w === undefined) return reduceLoss(terms, o.reduction);
      const total = reduceLoss(
        elementwise((a, b) => a * b, terms, w),
        'sum',
      );
      if (o.reduction === 'sum') return total;
      const weights = w.data.reduce((a, b) => a + b, 0);
      return total.map((v) => v / weights);
    },
  };
}

const smooth: Term = ({ beta = 1 }) => {
  const b = beta as number;
  return (x, y) => {
    const d = Math.abs(x - y);
    return d < b ? (d * d) / (2 * b) : d - b / 2;
  };
};

const huber: Term = ({ delta = 1 }) => {
  const limit = delta as number;
  return (x, y) => {
    const d = Math.abs(x - y);
    return d <= limit ? (d * d) / 2 : limit * (d - limit / 2);
  };
};

const poisson: Term =
  ({ logInput = true, full = false, eps = 1e-8 }) =>
  (x, y) => {
    const loss = logInput === true ? Math.exp(x) - y * x : x - y * Math.log(x + (eps as number));
    if (full !== true || y <= 1) return loss;
    return loss + y * Math.log(y) - y + Math.log(2 * Math.PI * y) / 2;
  };

const divergence: Term =
  ({ logTarget = false }) =>
  (x, y) =>
    logTarget === true ? Math.exp(y) * (y - x) : (y === 0 ? 0 : y * Math.log(y)) - y * x;

const logLoss = (x: number, y: number): number =>
  -(y * Math.max(-100, Math.log(x)) + (1 - y) * Math.max(-100, Math.log(1 - x)));

const none = { reduction: 'none' } as const;
const probability = { low: 0.1, high: 0.9, ints: [0, 1] } as const;

/** The first sample is the mean, which integers do not have. */
function withIntegers(spec: OpSpec): OpSpec {
  return {
    ...spec,
    samples: (s) =>
      spec.samples(s).map((sample, i) => ({ ...sample, dtypes: i === 0 ? floats : signed })),
  };
}

const elementwiseLosses: Family = {
  l1Loss: withIntegers(weightedMean(() => (x, y) => Math.abs(x - y), {})),
  smoothL1Loss: pairs(smooth, { options: [{ beta: 0.5 }, { beta: 0 }, { ...none, beta: 2 }] }),
  huberLoss: weightedMean(huber, { options: [{ delta: 0.5 }, { ...none, delta: 2 }] }),
  binaryCrossEntropy: {
    samples: (s) => [
      ...pairSamples(s, { input: probability, target: probability, options: [none] }),
      {
        args: [s.x([2, 3], probability), s.x([2, 3], probability)],
        options: { weight: s.x([3], positive) },
      },
      {
        args: [s.of([4], [0, 1, 0, 1], false), s.of([4], [0, 1, 1, 0], false)],
        options: none,
        smooth: false,
      },
    ],
    reference: (x: Nd, y: Nd, o: Weighted) =>
      reduceLoss(
        elementwise((a, b, w) => w * logLoss(a, b), x, y, o.weight ?? 1),
        o.reduction,
      ),
    nan: 'refused',
  },
  binaryCrossEntropyWithLogits: {
    samples: (s) => [
      ...pairSamples(s, { target: probability, options: [none] }),
      {
        args: [s.x([2, 3]), s.x([2, 3], probability)],
        options: { posWeight: s.x([3], positive), weight: s.x([2, 1], positive) },
      },
    ],
    reference: (x: Nd, y: Nd, o: Weighted & { posWeight?: Nd }) =>
      reduceLoss(
        elementwise(
          (a, b, w, p) =>
            w * ((1 - b) * Math.log1p(Math.exp(a)) + p * b * Math.log1p(Math.exp(-a))),
          x,
          y,
          o.weight ?? 1,
          o.posWeight ?? 1,
        ),
        o.reduction,
      ),
  },
  klDiv: {
    ...pairs(divergence, {
      target: { low: 0.1, high: 1 },
      options: [{ logTarget: true }, { reduction: 'batchmean' }, none],
    }),
    reference: (x: Nd, y: Nd, o: Weighted) => {
      const terms = elementwise(divergence(o), x, y);
      if (o.reduction !== 'batchmean') return reduceLoss(terms, o.reduction);
      return reduceLoss(terms, 'sum').map((v) => v / (x.shape[0] as number));
    },
  },
  poissonNllLoss: pairs(poisson, {
    input: { low: 0.2, high: 2, ints: [1, 3] },
    target: { low: 0.2, high: 4, ints: [0, 4], avoid: [1] },
    options: [{ logInput: false }, { full: true }, { ...none, logInput: false, eps: 1e-2 }],
  }),
  gaussianNllLoss: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.x([2, 3]), s.x([2, 3], { low: 0.2, high: 2 })] },
      { args: [s.x([2, 3]), s.x([2, 3]), s.x([2, 1], { low: 0.2, high: 2 })], options: none },
      { args: [s.x([2, 3]), s.x([2, 3]), 0.5], options: { full: true, reduction: 'sum' } },
      { args: [s.x([]), s.x([]), s.x([], { low: 0.2, high: 2 })] },
      { args: [s.x([0, 3]), s.x([0, 3]), s.x([0, 3], { low: 1, high: 2 })], options: none },
    ],
    reference: (x: Nd, y: Nd, variance: Nd | number, o: Weighted) => {
      const constant = o['full'] === true ? Math.log(2 * Math.PI) / 2 : 0;
      const terms = elementwise(
        (a, b, v) => (Math.log(v) + (a - b) ** 2 / v) / 2 + constant,
        x,
        y,
        variance,
      );
      return reduceLoss(terms, o.reduction);
    },
  },
  hingeEmbeddingLoss: withIntegers(
    pairs(
      ({ margin = 1 }) =>
        (x, y) =>
          (y !== 1 ? Math.max(0, (margin as number) - x) : 0) + (y !== -1 ? x : 0),
      { target: 'signs', options: [{ margin: 2, reduction: 'sum' }, none] },
    ),
  ),
  softMarginLoss: pairs(() => (x, y) => Math.log1p(Math.exp(-y * x)), {
    target: 'signs',
    options: [none],
  }),
};

function rankingSamples(s: Source): Sample[] {
  const args = (shape: number[]): Input[] => [s.x(shape), s.x(shape), signs(s, shape)];
  return [
    { args: args([6]), dtypes: floats },
    { args: args([2, 3]), options: { reduction: 'sum', margin: 1 }, dtypes: signed },
    { args: args([]), options: none, dtypes: signed },
    { args: args([0, 3]), options: none },
  ];
}

const marginLosses: Family = {
  marginRankingLoss: {
    samples: rankingSamples,
    reference: (a: Nd, b: Nd, y: Nd, o: Weighted & { margin?: number }) =>
      reduceLoss(
        elementwise((u, v, t) => Math.max(0, -t * (u - v) + (o.margin ?? 0)), a, b, y),
        o.reduction,
      ),
  },
  cosineEmbeddingLoss: {
    samples: (s) => [
      { args: [s.x([3, 4]), s.x([3, 4]), signs(s, [3])] },
      { args: [s.x([3, 4]), s.x([3, 4]), signs(s, [3])], options: { margin: -0.5, ...none } },
      { args: [s.x([4]), s.x([4]), signs(s, [])], options: { reduction: 'sum' } },
      { args: [s.x([0, 4]), s.x([0, 4]), signs(s, [0])], options: none },
    ],
    reference: cosineEmbeddingLoss,
    skip: { zeroDim: 'compares vectors' },
  },
  multiMarginLoss: {
    samples: (s) => [
      { args: [s.x([4, 3]), s.index([4], 3)] },
      { args: [s.x([4, 3]), s.index([4], 3)], options: { p: 2, margin: 0.5, ...none } },
      { args: [s.x([4, 3]), s.index([4], 3)], options: { weight: s.x([3], positive) } },
      { args: [s.x([3]), s.index([], 3)], options: { reduction: 'sum' } },
      { args: [s.x([0, 3]), s.index([0], 3)], options: none },
    ],
    reference: multiMarginLoss,
    skip: perClass,
  },
  multilabelMarginLoss: {
    samples: (s) => [
      { args: [s.x([2, 4]), s.fixed([2, 4], [3, 0, -1, 1, 2, -1, -1, -1], 'int64')] },
      { args: [s.x([2, 3]), s.fixed([2, 3], [0, 1, 2, -1, 0, 1], 'int64')], options: none },
      { args: [s.x([3]), s.fixed([3], [1, -1, 0], 'int64')], options: { reduction: 'sum' } },
      { args: [s.x([0, 3]), s.fixed([0, 3], [], 'int64')], options: none },
    ],
    reference: multilabelMarginLoss,
    skip: perClass,
  },
  multilabelSoftMarginLoss: {
    samples: (s) => [
      { args: [s.x([2, 4]), s.x([2, 4], { ...probability, grad: false })] },
      {
        args: [s.x([2, 4]), s.x([2, 4], { ...probability, grad: false })],
        options: { weight: s.x([4], positive), ...none },
      },
      { args: [s.x([3]), s.x([3], probability)], options: { reduction: 'sum' } },
      { args: [s.x([0, 3]), s.x([0, 3], probability)], options: none },
    ],
    reference: multilabelSoftMarginLoss,
    skip: perClass,
  },
  tripletMarginLoss: {
    samples: (s) => {
      const three = (shape: number[]): Input[] => [s.x(shape), s.x(shape), s.x(shape)];
      const samples: Sample[] = [
        { args: three([3, 4]) },
        { args: three([3, 4]), options: { p: 1, margin: 2, ...none } },
        { args: three([3, 4]), options: { p: 3, swap: true, reduction: 'sum' } },
        { args: three([3, 4]), options: { p: Infinity, margin: 3 } },
        { args: three([4]) },
        { args: three([0, 4]), options: none },
      ];
      return samples.map((sample) => ({ ...sample, dtypes: signed }));
    },
    reference: tripletMarginLoss,
    skip: { zeroDim: 'measures the distance of vectors' },
  },
};

function lengths(s: Source, ...values: number[]): Input {
  return s.fixed([values.length], values, 'int64');
}

function labels(s: Source, shape: number[], values: number[]): Input {
  return s.fixed(shape, values, 'int64');
}

const sequenceLosses: Family = {
  ctcLoss: {
    samples: (s) => {
      const x = (...shape: number[]): Input => s.x(shape, { low: -3, high: -0.5 });
      const two = labels(s, [2, 2], [1, 2, 2, 0]);
      return [
        { args: [x(4, 2, 3), two, lengths(s, 4, 3), lengths(s, 2, 1)] },
        { args: [x(4, 2, 3), two, lengths(s, 4, 2), lengths(s, 2, 0)], options: none },
        {
          args: [x(4, 2, 3), labels(s, [4], [1, 1, 0, 1]), lengths(s, 4, 3), lengths(s, 2, 2)],
          options: { blank: 2, reduction: 'sum' },
        },
        {
          args: [x(3, 2, 3), labels(s, [2, 2], [1, 1, 2, 1]), lengths(s, 2, 3), lengths(s, 2, 2)],
          options: { zeroInfinity: true, ...none },
        },
        { args: [x(3, 1, 3), labels(s, [1, 2], [1, 1]), lengths(s, 2), lengths(s, 2)] },
        { args: [x(4, 0, 3), labels(s, [0, 2], []), lengths(s), lengths(s)], options: none },
      ];
    },
    reference: ctcLoss,
    skip: {
      zeroDim: 'needs time and classes',
      gradient: 'PyTorch gives the gradient for log probabilities that stay normalised',
    },
  },
  ctcLossForward: { samples: () => [], coveredBy: 'ctcLoss' },
  ctcLossBackward: { samples: () => [], coveredBy: 'ctcLoss' },
};

export const lossesMore: Family = {
  ...elementwiseLosses,
  ...marginLosses,
  ...sequenceLosses,
};
