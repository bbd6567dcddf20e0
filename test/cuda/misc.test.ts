/** Distances, CTC, the multilabel margin and Adafactor on device 'cuda' beyond one block or tile. */
import { cdist, grad, manualSeed, nn, optim, randint, randn, type Tensor, tensor } from '../../lib';
import { expectSame } from './support';
import { suite } from './suite';

const { functional: F } = nn;
type DeviceName = 'cpu' | 'cuda';

suite('device cuda, distances and sequences', () => {
  function check(run: (device: DeviceName) => Tensor[], bound?: readonly [number, number]): void {
    const [want, got] = (['cpu', 'cuda'] as const).map((device) => {
      manualSeed(8);
      return run(device);
    }) as [Tensor[], Tensor[]];
    got.forEach((t, i) => {
      expectSame(t, want[i] as Tensor, bound);
    });
  }

  test.each([0, 1, 2, 3.5, Infinity])('cdist with p = %d', (p) => {
    for (const [rows1, rows2, width] of [
      [3, 5, 2],
      [40, 33, 19],
      [17, 1, 16],
    ] as const) {
      check(
        (device) => {
          const a = randn([2, rows1, width]).to(device).requiresGrad_();
          const b = randn([2, rows2, width]).to(device).requiresGrad_();
          const y = cdist(a, b, p);
          return [y, ...(grad([y.pow(2).sum()], [a, b]) as Tensor[])];
        },
        [1e-4, 1e-4],
      );
    }
  });

  test('ctcLoss', () => {
    for (const zeroInfinity of [false, true]) {
      check((device) => {
        const x = F.logSoftmax(randn([50, 3, 30]), 2)
          .to(device)
          .requiresGrad_();
        const targets = randint(1, 30, [3, 20]).to(device);
        targets.select(0, 1).fill_(4);
        const loss = F.ctcLoss(x, targets, tensor([50, 41, 8]), tensor([20, 12, 3]), {
          zeroInfinity,
          reduction: 'sum',
        });
        return [loss, ...(grad([loss], [x]) as Tensor[])];
      });
    }
    const x = F.logSoftmax(randn([5, 1, 4]), 2).to('cuda');
    const bad = tensor([[1, 9]]).to('cuda');
    expect(() => F.ctcLoss(x, bad, tensor([5]), tensor([2])).item()).toThrow(
      /ctcLoss: index 9 is out of bounds/,
    );
  });

  test('multilabelMarginLoss', () => {
    for (const classes of [5, 300]) {
      check((device) => {
        const x = randn([4, classes]).to(device).requiresGrad_();
        const target = randint(0, classes, [4, classes]);
        target.select(1, 3).fill_(-1);
        target.select(0, 1).fill_(-1);
        const loss = F.multilabelMarginLoss(x, target.to(device));
        return [loss, ...(grad([loss], [x]) as Tensor[])];
      });
    }
    const bad = tensor([[1, 3, -1]]).to('cuda');
    expect(() => F.multilabelMarginLoss(randn([1, 3]).to('cuda'), bad).item()).toThrow(
      /index 3 is out of bounds/,
    );
  });

  test.each(['float32', 'bfloat16', 'float64'] as const)('Adafactor in %s', (dtype) => {
    for (const maximize of [false, true]) {
      check(
        (device) => {
          const params = [
            randn([40, 33]),
            randn([2, 5, 7]),
            randn([300]),
            randn([]),
            randn([0, 3]),
          ];
          const list = params.map((t) => t.to(dtype).to(device).requiresGrad_());
          const optimizer = new optim.Adafactor(list, { lr: 0.1, weightDecay: 0.01, maximize });
          for (let i = 0; i < 3; i++) {
            list.forEach((t) => {
              t.grad = randn(t.shape).to(dtype).to(device);
            });
            optimizer.step();
          }
          return list.map((t) => t.detach());
        },
        dtype === 'bfloat16' ? [2e-2, 2e-2] : [1e-5, 1e-6],
      );
    }
  });
});
