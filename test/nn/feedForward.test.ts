/** Two layers as one op: values and gradients of the three calls, and blocks that use it. */
import {
  amp,
  type DType,
  grad,
  manualSeed,
  nn,
  noGrad,
  ones,
  randn,
  type Tensor,
  tensor,
} from '../../lib';
import { BertConfig, BertLayer } from '../../lib/text/models/bert';
import { GPT2Config, GPT2MLP } from '../../lib/text/models/gpt2';
import { thrownBy } from '../support/codes';

const F = nn.functional;
const activations = ['relu', 'gelu', 'geluTanh', 'silu'] as const;
type Activation = (typeof activations)[number];

const functions: Readonly<Record<Activation, (x: Tensor) => Tensor>> = {
  relu: (x) => x.relu(),
  gelu: (x) => F.gelu(x),
  geluTanh: (x) => F.gelu(x, { approximate: 'tanh' }),
  silu: (x) => F.silu(x),
};

type Five = [Tensor, Tensor, Tensor | null, Tensor, Tensor | null];

function composed([x, w1, b1, w2, b2]: Five, activation: Activation): Tensor {
  return F.linear(functions[activation](F.linear(x, w1, b1)), w2, b2);
}
const fused = (args: Five, activation: Activation): Tensor =>
  F.feedForward(...args, { activation });

function largest(a: Tensor, b: Tensor): number {
  const scale = Math.max(1, b.double().abs().amax().item());
  return a.double().sub(b.double()).abs().amax().item() / scale;
}

/** Rows, in, hidden, out: of several register tiles and blocks of k, and of less than one vector. */
const sizes = [
  [3, 5, 7, 2],
  [70, 33, 130, 40],
  [33, 500, 64, 48],
  [1, 20, 24, 8],
] as const;

function make(dtype: DType, [rows, from, hidden, to]: (typeof sizes)[number]): Tensor[] {
  const shapes = [[2, rows, from], [hidden, from], [hidden], [to, hidden], [to]];
  return shapes.map((shape, i) =>
    randn(shape)
      .mul(i % 2 === 1 ? 1 / Math.sqrt(shape[1] ?? 1) : 1)
      .to(dtype)
      .detach()
      .requiresGrad_(),
  );
}

const bounds: Readonly<Partial<Record<DType, number>>> = {
  float64: 1e-14,
  float32: 2e-6,
  float16: 4e-3,
  bfloat16: 3e-2,
};

// Of torch 2.13 in float64.
const expected: Readonly<
  Record<Activation, { readonly y: number[][]; readonly gradients: readonly number[][] }>
> = {
  relu: {
    y: [[1.3375], [4.3375]],
    gradients: [
      [-0.25, -1.375, -1.25, 1.625],
      [1.0, -0.5, -0.625, -0.75, 0.5, 4.0],
      [1.0, -1.0, 2.0],
      [1.1, 2.6, 2.2375],
      [2.0],
    ],
  },
  gelu: {
    y: [[0.976633501], [4.252970477]],
    gradients: [
      [-0.327394362, -1.174395652, -1.422516176, 1.810405826],
      [1.076823341, -0.769169609, -0.671216469, -0.851579496, 0.858441497, 4.077524491],
      [0.995379363, -1.090223903, 2.449057463],
      [0.883407958, 2.357158349, 2.062387597],
      [2.0],
    ],
  },
  geluTanh: {
    y: [[0.976486919], [4.253549363]],
    gradients: [
      [-0.327333424, -1.173758544, -1.423655272, 1.812379817],
      [1.076335387, -0.770422339, -0.671109325, -0.852224309, 0.859003791, 4.080384799],
      [0.994363159, -1.090325432, 2.450728507],
      [0.883137773, 2.356884925, 2.062670486],
      [2.0],
    ],
  },
  silu: {
    y: [[0.843683772], [3.780848629]],
    gradients: [
      [-0.341097953, -0.730676916, -1.385382005, 1.872792657],
      [0.937608168, -0.628253924, -0.585164554, -0.838767769, 1.114002832, 4.111745675],
      [0.881331754, -0.98446457, 2.761795923],
      [0.56805022, 2.073109509, 1.846518467],
      [2.0],
    ],
  },
};

describe('feedForward', () => {
  beforeEach(() => manualSeed(5));

  test.each(activations)('%s in numbers of PyTorch', (activation) => {
    const parts = [
      tensor([
        [1, -0.5],
        [0.25, 2],
      ]),
      tensor([
        [0.5, -1],
        [1.5, 0.75],
        [-0.25, 1],
      ]),
      tensor([0.1, -0.2, 0.3]),
      tensor([[1, -0.5, 2]]),
      tensor([0.7]),
    ].map((t) => t.requiresGrad_()) as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const y = fused(parts, activation);
    const want = expected[activation];
    expect(largest(y, tensor(want.y))).toBeLessThan(1e-6);
    const gradients = grad([y.sum()], parts);
    gradients.forEach((g, i) => {
      expect(
        largest(g as Tensor, tensor(want.gradients[i] as number[]).view(g!.shape)),
      ).toBeLessThan(1e-6);
    });
  });

  test.each(Object.keys(bounds) as DType[])('values and gradients of %s', (dtype) => {
    const bound = bounds[dtype] as number;
    for (const size of sizes) {
      for (const activation of activations) {
        for (const biases of [true, false]) {
          const leaves = make(dtype, size);
          const [x, w1, b1, w2, b2] = leaves as [Tensor, Tensor, Tensor, Tensor, Tensor];
          const args: Five = [x, w1, biases ? b1 : null, w2, biases ? b2 : null];
          const [y, z] = [fused(args, activation), composed(args, activation)];
          expect(largest(y, z)).toBeLessThanOrEqual(bound);
          expect(y.shape).toEqual(z.shape);
          // float32 and float64: the same sums in the same order.
          if (dtype.endsWith('32') || dtype === 'float64') expect(largest(y, z)).toBe(0);
          // An epilogue of CUDA that also keeps what gelu was applied to has fewer widths than the
          // plain one: halves may then be rounded before gelu.
          const rounds = x.device !== 'cpu' && dtype.endsWith('16');
          expect(noGrad(() => largest(fused(args, activation), y))).toBeLessThanOrEqual(
            rounds ? bound : 0,
          );
          const seeds = [randn(y.shape).to(dtype)];
          const wanted = args.filter((t): t is Tensor => t !== null);
          const got = grad([y], wanted, { gradOutputs: seeds });
          const want = grad([z], wanted, { gradOutputs: seeds });
          got.forEach((g, i) => {
            expect(g?.dtype).toBe(dtype);
            expect(largest(g as Tensor, want[i] as Tensor)).toBeLessThanOrEqual(2 * bound);
          });
        }
      }
    }
  });

  test('gradients only of what asks for them', () => {
    for (let mask = 1; mask < 32; ++mask) {
      const args = make('float64', sizes[0]).map((t, i) =>
        (mask >> i) & 1 ? t : t.detach(),
      ) as Five;
      const asked = args.filter((t) => t?.requiresGrad === true) as Tensor[];
      const got = grad([fused(args, 'gelu').square().sum()], asked);
      const want = grad([composed(args, 'gelu').square().sum()], asked);
      got.forEach((g, i) => {
        expect(largest(g as Tensor, want[i] as Tensor)).toBeLessThan(1e-12);
      });
    }
  });

  test.each(activations)('second derivatives through %s', (activation) => {
    const second = (f: typeof fused): Tensor[] => {
      manualSeed(9);
      const args = make('float64', sizes[0]) as Five;
      const all = args as Tensor[];
      const first = grad([f(args, activation).square().sum()], all, { createGraph: true });
      const sum = first.map((g) => (g as Tensor).square().sum()).reduce((a, b) => a.add(b));
      return grad([sum], all) as Tensor[];
    };
    const want = second(composed);
    second(fused).forEach((g, i) => {
      expect(largest(g, want[i] as Tensor)).toBeLessThan(1e-12);
    });
  });

  test('transposed weights, as those of GPT-2, get gradients laid out as they are', () => {
    const [x, w1, b1, w2, b2] = make('float32', sizes[1]) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const turned = [w1, w2].map((w) => w.detach().t().contiguous().requiresGrad_());
    const run = (f: typeof fused): Tensor[] => {
      const args: Five = [x, (turned[0] as Tensor).t(), b1, (turned[1] as Tensor).t(), b2];
      return grad([f(args, 'geluTanh').square().sum()], [...turned, b1, b2]) as Tensor[];
    };
    const want = run(composed);
    run(fused).forEach((g, i) => {
      expect(g.isContiguous()).toBe(true);
      expect(largest(g, want[i] as Tensor)).toBeLessThan(5e-6);
    });
  });

  test('autocast casts all five tensors and gives gradients in float32', () => {
    const args = make('float32', sizes[1]);
    const device = args[0]?.device === 'cpu' ? 'cpu' : 'cuda';
    const lowered = <T>(fn: () => T): T => amp.autocast(device, { dtype: 'bfloat16' }, fn);
    const y = lowered(() => fused(args as Five, 'geluTanh'));
    expect(y.dtype).toBe('bfloat16');
    const lower = args.map((t) => t.detach().bfloat16().requiresGrad_());
    expect(largest(y, fused(lower as Five, 'geluTanh'))).toBe(0);
    const got = grad([y.float().square().sum()], args);
    const z = lowered(() => composed(args as Five, 'geluTanh'));
    const want = grad([z.float().square().sum()], args);
    got.forEach((g, i) => {
      expect(g?.dtype).toBe('float32');
      expect(largest(g as Tensor, want[i] as Tensor)).toBeLessThan(5e-2);
    });
  });

  test('a changed operand is noticed', () => {
    const args = make('float32', sizes[0]) as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const y = fused(args, 'relu');
    noGrad(() => args[3].mul_(2));
    expect(thrownBy(() => y.sum().backward())).toMatchObject({ code: 'ERR_AUTOGRAD' });
  });

  test('NaN goes through, and an exact 0 has slope 0 through relu', () => {
    const one = ones([1, 1]);
    for (const activation of activations) {
      expect(fused([tensor([[NaN]]), one, null, one, null], activation).item()).toBeNaN();
    }
    const x = tensor([[0]], { dtype: 'float32', requiresGrad: true });
    fused([x, one, null, one, null], 'relu').sum().backward();
    expect(x.grad?.item()).toBe(0);
  });

  test('errors say what does not fit', () => {
    const [x, w1, b1, w2, b2] = make('float32', sizes[0]) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const code = (f: () => unknown): unknown => thrownBy(f);
    expect(code(() => F.feedForward(x, w2, b1, w2, b2))).toMatchObject({
      code: 'ERR_SHAPE',
      message: expect.stringContaining('feedForward: mat1 and mat2 shapes') as string,
    });
    expect(code(() => F.feedForward(x, w1, b2, w2, b2))).toMatchObject({
      code: 'ERR_SHAPE',
      message: expect.stringContaining("argument 'bias1' must have shape [7]") as string,
    });
    expect(code(() => F.feedForward(x, w1, b1, w1, b2))).toMatchObject({
      code: 'ERR_SHAPE',
      message: expect.stringContaining("argument 'weight2' must have shape [out, 7]") as string,
    });
    expect(code(() => F.feedForward(x, w1, b1, w2, b1))).toMatchObject({
      code: 'ERR_SHAPE',
      message: expect.stringContaining("argument 'bias2' must have shape [2]") as string,
    });
    expect(code(() => F.feedForward(x, w1, b1, w2.double(), b2))).toMatchObject({
      code: 'ERR_DTYPE',
    });
    const whole = [x, w1, w2].map((t) => t.detach().int()) as [Tensor, Tensor, Tensor];
    expect(code(() => F.feedForward(whole[0], whole[1], null, whole[2]))).toMatchObject({
      code: 'ERR_DTYPE',
    });
    const options = { activation: 'tanh' } as never;
    expect(code(() => F.feedForward(x, w1, b1, w2, b2, options))).toMatchObject({
      code: 'ERR_VALUE',
    });
  });
});

/** What the layers of a module are called with, seen by hooks: then nothing is fused. */
function watched(block: nn.Module, layers: readonly nn.Module[], run: () => Tensor): Tensor {
  let calls = 0;
  const handles = layers.map((layer) =>
    layer.registerForwardHook(() => {
      ++calls;
    }),
  );
  const y = run();
  for (const handle of handles) handle.remove();
  expect(calls).toBe(layers.length);
  expect(block.training).toBe(false);
  return y;
}

describe('blocks that use feedForward', () => {
  beforeEach(() => manualSeed(11));

  test.each(['relu', 'gelu'] as const)('TransformerEncoderLayer, %s', (activation) => {
    const layer = new nn.TransformerEncoderLayer(16, 2, { dimFeedforward: 40, activation });
    layer.eval();
    const x = randn([5, 3, 16]);
    const y = layer.call(x);
    expect(
      largest(
        y,
        watched(layer, [layer.linear1, layer.linear2], () => layer.call(x)),
      ),
    ).toBe(0);
    expect(
      largest(
        y,
        watched(layer, [layer.dropout], () => layer.call(x)),
      ),
    ).toBe(0);
    layer.activation = (t) => t.mul(0);
    expect(largest(layer.call(x), y)).toBeGreaterThan(0);
  });

  test('TransformerDecoderLayer', () => {
    const layer = new nn.TransformerDecoderLayer(16, 2, { dimFeedforward: 40 });
    layer.eval();
    const [x, memory] = [randn([5, 3, 16]), randn([4, 3, 16])];
    const y = layer.call(x, memory);
    const again = watched(layer, [layer.linear1, layer.linear2], () => layer.call(x, memory));
    expect(largest(y, again)).toBe(0);
  });

  test('a layer in training keeps its dropout, and its random numbers', () => {
    const layer = new nn.TransformerEncoderLayer(16, 2, { dimFeedforward: 40, dropout: 0.5 });
    const x = randn([5, 3, 16]);
    manualSeed(1);
    const y = layer.call(x);
    manualSeed(1);
    const handle = layer.linear1.registerForwardHook(() => undefined);
    expect(largest(layer.call(x), y)).toBe(0);
    handle.remove();
  });

  test('GPT2MLP', () => {
    const mlp = new GPT2MLP(new GPT2Config({ nEmbd: 24, nHead: 2 })).eval();
    const x = randn([2, 3, 24]);
    const y = mlp.call(x);
    expect(
      largest(
        y,
        watched(mlp, [mlp.cFc, mlp.cProj], () => mlp.call(x)),
      ),
    ).toBe(0);
  });

  test('BertLayer', () => {
    const config = new BertConfig({
      hiddenSize: 24,
      numAttentionHeads: 2,
      intermediateSize: 50,
    });
    const layer = new BertLayer(config).eval();
    const x = randn([2, 3, 24]);
    const y = layer.call(x, null);
    const { intermediate, output } = layer;
    for (const parts of [
      [intermediate],
      [output],
      [intermediate.dense, output.dense],
    ] as nn.Module[][]) {
      expect(
        largest(
          y,
          watched(layer, parts, () => layer.call(x, null)),
        ),
      ).toBe(0);
    }
  });

  test('hooks of every module see every layer', () => {
    const layer = new nn.TransformerEncoderLayer(16, 2, { dimFeedforward: 40 });
    layer.eval();
    const seen: string[] = [];
    const handle = nn.registerModuleForwardHook((module) => {
      seen.push((module as object).constructor.name);
    });
    layer.call(randn([5, 3, 16]));
    handle.remove();
    expect(seen.filter((name) => name === 'Linear').length).toBeGreaterThanOrEqual(2);
  });

  test('parametrizations are part of the fused layers', () => {
    const layer = new nn.TransformerEncoderLayer(16, 2, { dimFeedforward: 40 });
    layer.eval();
    nn.utils.parametrizations.weightNorm(layer.linear1);
    const x = randn([5, 3, 16]);
    const y = layer.call(x);
    expect(
      largest(
        y,
        watched(layer, [layer.linear1, layer.linear2], () => layer.call(x)),
      ),
    ).toBe(0);
  });
});
