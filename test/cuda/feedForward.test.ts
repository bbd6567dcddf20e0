/**
 * Layers with activations on the device: widths for which cuBLASLt has epilogues and such for which
 * it has none, with and without gradients.
 */
import { type DType, eye, grad, manualSeed, nn, noGrad, randn, type Tensor } from '../../lib';
import { agree } from './agree';
import { suite } from './suite';

const bounds: Readonly<Partial<Record<DType, number>>> = {
  float64: 1e-13,
  float32: 1e-5,
  float16: 8e-3,
  bfloat16: 4e-2,
};

suite('feedForward on device cuda', () => {
  beforeEach(() => manualSeed(3));

  describe.each(Object.keys(bounds) as DType[])('%s', (dtype) => {
    const bound = bounds[dtype] as number;
    test.each(['relu', 'gelu', 'geluTanh', 'silu'] as const)('%s', (activation) => {
      for (const [rows, from, hidden, to] of [
        [16, 24, 40, 16],
        [9, 5, 7, 3],
        [1, 8, 16, 8],
        [4, 8, 1, 1],
        [0, 8, 16, 8],
      ] as const) {
        const make = (...shape: number[]): Tensor => randn(shape).div(2).to(dtype);
        const args = [
          make(rows, from),
          make(hidden, from),
          make(hidden),
          make(to, hidden),
          make(to),
        ];
        const run = (biases: boolean, turned: boolean, parts: Tensor[]): Tensor[] => {
          const leaves = parts.map((t) => t.detach().requiresGrad_());
          const [x, w1, b1, w2, b2] = leaves as [Tensor, Tensor, Tensor, Tensor, Tensor];
          const lay = (w: Tensor): Tensor => (turned ? w.t().contiguous().t() : w);
          const y = nn.functional.feedForward(
            x,
            lay(w1),
            biases ? b1 : null,
            lay(w2),
            biases ? b2 : null,
            { activation },
          );
          const asked = biases ? leaves : [x, w1, w2];
          const first = grad([y.float().square().sum()], asked) as Tensor[];
          return [y.detach(), ...first];
        };
        for (const biases of [true, false]) {
          for (const turned of [true, false]) {
            agree((...parts) => run(biases, turned, parts), args, bound);
          }
          agree(
            (x, w1, b1, w2, b2) =>
              noGrad(() =>
                nn.functional.feedForward(x!, w1!, biases ? b1 : null, w2!, biases ? b2 : null, {
                  activation,
                }),
              ),
            args,
            bound,
          );
        }
      }
    });
  });

  // What tells an epilogue from a second kernel: one rounding less.
  test.each(['float16', 'bfloat16'] as const)('gelu by tanh sees the sums of %s', (dtype) => {
    const [x, w, bias] = [[40, 24], [64, 24], [64]].map((shape) => randn(shape).div(2).to(dtype));
    const parts = [x, w, bias] as [Tensor, Tensor, Tensor];
    const [wide, mine] = [parts.map((t) => t.double()), parts.map((t) => t.cuda())] as [
      typeof parts,
      typeof parts,
    ];
    const { linear, gelu, feedForward } = nn.functional;
    const exact = gelu(linear(...wide), { approximate: 'tanh' }).to(dtype);
    const wrong = (y: Tensor): number => y.cpu().ne(exact).sum().item() as number;
    const second = eye(64).to(dtype).cuda();
    const options = { activation: 'geluTanh' } as const;
    const apart = wrong(gelu(linear(...mine), { approximate: 'tanh' }));
    expect(apart).toBeGreaterThan(exact.numel() / 20);
    expect(wrong(feedForward(...mine, second, null, options))).toBeLessThan(apart / 10);
    const leaves = mine.map((t) => t.requiresGrad_()) as typeof parts;
    expect(wrong(feedForward(...leaves, second, null, options))).toBeLessThan(apart / 10);
  });
});
