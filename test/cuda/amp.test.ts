/**
 * Mixed precision on device 'cuda': lists of tensors, gradient scaling, and a training run with all
 * of it, which agrees with the CPU and reads nothing back to the host.
 */
import { amp, manualSeed, nn, noGrad, ones, optim, randn, Tensor, tensor, zeros } from '../../lib';
import { callOp } from '../../lib/call';
import { expectSame } from './support';
import { suite } from './suite';

type DeviceName = 'cpu' | 'cuda';

const { autocast, GradScaler } = amp;

suite('device cuda, mixed precision', () => {
  beforeEach(() => manualSeed(0));

  const orders = [2, 1, 0, 3, 0.5, Infinity, -Infinity];
  test.each(orders)('the norm of order %d of a list', (ord) => {
    const lists = [
      [],
      [zeros([0])],
      [randn([3]), randn([40_000]), zeros([5]), randn([7, 7]).t()],
      [randn([100]).half(), randn([33]).to('bfloat16'), randn([5]).double()],
      [tensor([1, NaN, 2]), randn([3])],
      [tensor([1, Infinity]), randn([3]).half()],
    ];
    for (const list of lists) {
      const norm = (device: DeviceName): Tensor =>
        callOp('multiTensorNorm', [list.map((t) => t.to(device)), ord], {}) as unknown as Tensor;
      const got = norm('cuda');
      if (list.length > 0) expectSame(got, norm('cpu'), [2e-5, 1e-6]);
    }
  });

  test('lists are scaled and clamped', () => {
    const list = [randn([40_001]), randn([8, 3]).t(), randn([100]).half(), randn([9]).double()];
    for (const [scale, low, high] of [
      [tensor(0.5), undefined, undefined],
      [undefined, -0.5, 0.25],
      [tensor(2, { dtype: 'float16' }), -1, undefined],
    ] as const) {
      const run = (device: DeviceName): Tensor[] => {
        const copies = list.map((t) => t.clone().to(device));
        const factor = scale === undefined ? null : scale.to(device);
        callOp('multiTensorScale_', [copies, factor], { min: low, max: high });
        return copies;
      };
      const want = run('cpu');
      run('cuda').forEach((t, i) => {
        expectSame(t, want[i] as Tensor, [0, 0]);
      });
    }
  });

  test('gradients are unscaled and checked', () => {
    const good = [randn([20_000]), randn([7]).half(), randn([3, 5]).t(), randn([9]).double()];
    const one = ones([3]);
    for (const bad of [1, Infinity, NaN]) {
      for (const inverse of [0.25, 1]) {
        const run = (device: DeviceName): Tensor[] => {
          const list = [...good, one.mul(bad)].map((t) => t.clone().to(device));
          const found = zeros([]).to(device);
          callOp(
            'ampUnscaleStep_',
            [list, found, tensor(inverse, { dtype: 'float32' }).to(device)],
            {},
          );
          return [found, ...list];
        };
        const want = run('cpu');
        run('cuda').forEach((t, i) => {
          expectSame(t, want[i] as Tensor, [0, 0]);
        });
      }
    }
  });

  interface Run {
    readonly losses: number[];
    readonly scales: number[];
    readonly reads: number;
    readonly weights: Tensor[];
  }

  /** Counts what a program does to see numbers of a tensor. */
  function countingReads(fn: () => void): number {
    const names = ['item', 'toArray', 'dataSync', 'data', 'cpu'] as const;
    const spies = names.map((name) => jest.spyOn(Tensor.prototype, name));
    fn();
    const reads = spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
    spies.forEach((spy) => {
      spy.mockRestore();
    });
    return reads;
  }

  function train(device: DeviceName, clip: 'unscaled' | 'fused'): Run {
    manualSeed(3);
    const net = new nn.Sequential(
      new nn.Linear(20, 32),
      new nn.LayerNorm(32),
      new nn.GELU(),
      new nn.Dropout(0.1),
      new nn.Linear(32, 5),
    );
    const x = randn([24, 20]);
    const y = x
      .matmul(randn([20, 5]))
      .argmax(1)
      .to(device);
    const input = x.to(device);
    net.to(device);
    const parameters = [...net.parameters()];
    const optimizer = new optim.AdamW(parameters, { lr: 0.02 });
    const scaler = new GradScaler(device, { initScale: 2 ** 22, growthInterval: 4 });
    const criterion = new nn.CrossEntropyLoss({ labelSmoothing: 0.05 });
    const losses: Tensor[] = [];
    const scales: Tensor[] = [];
    const step = (): void => {
      optimizer.zeroGrad();
      const loss = autocast(device, { dtype: 'float16' }, () =>
        criterion.forward(net.forward(input), y),
      );
      scaler.scale(loss).backward();
      if (clip === 'unscaled') {
        scaler.unscale_(optimizer);
        nn.utils.clipGradNorm_(parameters, 0.5);
      }
      scaler.step(optimizer);
      scaler.update();
      losses.push(loss.detach());
    };
    manualSeed(99); // each device has a generator of its own
    step();
    const reads = countingReads(() => {
      for (let i = 0; i < 14; i++) {
        manualSeed(i);
        step();
      }
    });
    scales.push(tensor(scaler.getScale()));
    return {
      losses: losses.map((t) => t.float().item() as number),
      scales: scales.map((t) => t.item() as number),
      reads,
      weights: parameters,
    };
  }

  test.each(['unscaled', 'fused'] as const)('a network trains, gradients %s', (clip) => {
    const want = train('cpu', clip);
    const got = train('cuda', clip);
    expect(got.reads).toBe(0);
    expect(got.scales).toEqual(want.scales);
    expect(want.scales[0]).toBeLessThan(2 ** 22);
    got.losses.forEach((loss, i) => {
      expect(Math.abs(loss - (want.losses[i] as number))).toBeLessThan(0.02);
    });
    expect(got.losses[14]).toBeLessThan((got.losses[0] as number) / 2);
    noGrad(() => {
      got.weights.forEach((w, i) => {
        expect(
          w
            .cpu()
            .sub(want.weights[i] as Tensor)
            .abs()
            .amax()
            .item(),
        ).toBeLessThan(0.05);
      });
    });
  });
});
