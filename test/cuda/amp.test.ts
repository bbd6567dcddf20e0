/**
 * Mixed precision on device 'cuda': lists of tensors, gradient scaling, and a training run with all
 * of it, which agrees with the CPU and reads nothing back to the host.
 */
import {
  amp,
  cuda,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  randn,
  type Tensor,
  tensor,
  zeros,
} from '../../lib';
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

  type Make = (parameters: Tensor[]) => optim.Optimizer;
  type Way = 'clipped' | 'left to step';

  interface Run {
    readonly losses: number[];
    readonly scale: number;
    /** Per step after the first, what the device's own counts say. */
    readonly copiesToHost: number;
    readonly hostWaits: number;
    readonly weights: Tensor[];
    /** The weights before and after a step whose gradients were not finite. */
    readonly skipped: readonly [Tensor, Tensor][];
  }

  const steps = 12;
  const bad = 6; // the step whose loss is infinite

  /** How often values came to the host and how often it waited, for each step of `fn`. */
  function counting(device: DeviceName, fn: () => void): [number, number] {
    if (device === 'cpu') {
      fn();
      return [0, 0];
    }
    const before = cuda.memoryStats();
    fn();
    const after = cuda.memoryStats();
    return [
      (after.copiesToHost - before.copiesToHost) / (steps - 1),
      (after.hostWaits - before.hostWaits) / (steps - 1),
    ];
  }

  function network(): nn.Sequential {
    return new nn.Sequential(
      new nn.Linear(20, 32),
      new nn.LayerNorm(32),
      new nn.GELU(),
      new nn.Dropout(0.1),
      new nn.Linear(32, 5),
    );
  }

  function train(device: DeviceName, way: Way, make: Make): Run {
    manualSeed(3);
    const net = network();
    const x = randn([24, 20]);
    const y = x
      .matmul(randn([20, 5]))
      .argmax(1)
      .to(device);
    const input = x.to(device);
    net.to(device);
    const parameters = [...net.parameters()];
    const optimizer = make(parameters);
    const scaler = new GradScaler(device, { initScale: 2 ** 20, growthInterval: 4 });
    const criterion = new nn.CrossEntropyLoss({ labelSmoothing: 0.05 });
    const losses: Tensor[] = [];
    const copies = (): Tensor[] => parameters.map((p) => p.detach().clone());
    let around: [Tensor[], Tensor[]] = [[], []];
    const step = (i: number): void => {
      manualSeed(99 + i); // each device has a generator of its own
      optimizer.zeroGrad();
      const loss = autocast(device, { dtype: 'float16' }, () =>
        criterion.forward(net.forward(input), y),
      );
      losses.push(loss.detach());
      scaler.scale(i === bad ? loss.mul(Infinity) : loss).backward();
      if (way === 'clipped') {
        scaler.unscale_(optimizer);
        nn.utils.clipGradNorm_(parameters, 0.5);
      }
      const before = i === bad ? copies() : [];
      scaler.step(optimizer);
      scaler.update();
      if (i === bad) around = [before, copies()];
    };
    step(0);
    const [copiesToHost, hostWaits] = counting(device, () => {
      for (let i = 1; i < steps; i++) step(i);
    });
    return {
      losses: losses.map((t) => t.float().item() as number),
      scale: scaler.getScale(),
      copiesToHost,
      hostWaits,
      weights: parameters,
      skipped: around[0].map((t, i) => [t, around[1][i] as Tensor]),
    };
  }

  function expectSameTraining(got: Run, want: Run): void {
    expect(got.scale).toBe(want.scale);
    got.losses.forEach((loss, i) => {
      expect(Math.abs(loss - (want.losses[i] as number))).toBeLessThan(0.02);
    });
    expect(got.losses[steps - 1]).toBeLessThan((got.losses[0] as number) * 0.7);
    for (const { skipped } of [got, want]) {
      expect(skipped.length).toBe(want.weights.length);
      for (const [before, after] of skipped) expect(after.equal(before)).toBe(true);
    }
    noGrad(() => {
      got.weights.forEach((w, i) => {
        const off = w
          .cpu()
          .sub(want.weights[i] as Tensor)
          .abs();
        expect(off.amax().item()).toBeLessThan(0.05);
      });
    });
  }

  const fused: Record<string, Make> = {
    SGD: (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9, nesterov: true }),
    Adam: (p) => new optim.Adam(p, { lr: 0.02 }),
    AdamW: (p) => new optim.AdamW(p, { lr: 0.02 }),
  };
  const ways: Way[] = ['clipped', 'left to step'];

  test.each(Object.keys(fused).flatMap((name) => ways.map((way) => [name, way] as const)))(
    '%s trains without a look at the host, gradients %s',
    (name, way) => {
      const make = fused[name] as Make;
      const got = train('cuda', way, make);
      expectSameTraining(got, train('cpu', way, make));
      expect([got.copiesToHost, got.hostWaits]).toEqual([0, 0]);
    },
  );

  test('an optimizer that knows nothing of scaling costs one look a step', () => {
    const make: Make = (p) => {
      const optimizer = new optim.SGD(p, { lr: 0.1, momentum: 0.9 });
      Object.defineProperty(optimizer, 'supportsGradScale', { value: false });
      return optimizer;
    };
    const got = train('cuda', 'clipped', make);
    expectSameTraining(got, train('cpu', 'clipped', make));
    expect([got.copiesToHost, got.hostWaits]).toEqual([1, 1]);
  });

  test('what the host reads and waits for is counted', () => {
    const x = randn([3]).to('cuda');
    const changes = (fn: () => void): [number, number] => {
      const before = cuda.memoryStats();
      fn();
      const after = cuda.memoryStats();
      return [after.copiesToHost - before.copiesToHost, after.hostWaits - before.hostWaits];
    };
    expect(changes(() => x.add(1).mul(2))).toEqual([0, 0]);
    expect(changes(() => x.sum().item())).toEqual([1, 1]);
    expect(changes(() => x.nonzero())).toEqual([1, 1]); // its size is a value
    expect(changes(() => tensor([1, 2]).to('cuda'))).toEqual([0, 1]);
    expect(changes(() => cuda.synchronize())).toEqual([0, 1]);
    const later = changes(() => x.to('cpu', { nonBlocking: true }));
    expect(later).toEqual([1, 0]);
    cuda.synchronize();
  });
});
