import {
  amp,
  checkpoint,
  checkpointSequential,
  grad,
  manualSeed,
  matmul,
  memory,
  mm,
  noGrad,
  randn,
  rand,
  relu,
  tidy,
  type Tensor,
} from '../../lib';
import { liveTensors } from '../ops/support/leaks';

const weight = () => randn([8, 8], { requiresGrad: true });

describe('checkpoint', () => {
  test('same values and gradients, for arguments and parameters', () => {
    const x = weight();
    const w = weight();
    const block = (h: Tensor, factor: number) => relu(matmul(h, w)).mul(factor);
    const plain = block(x, 3);
    plain.sum().backward();
    const wanted = [x.grad, w.grad];
    for (const t of [x, w]) t.grad = null;
    const y = checkpoint(block, [x, 3]);
    expect(y.toArray()).toEqual(plain.toArray());
    y.sum().backward();
    expect([x.grad?.toArray(), w.grad?.toArray()]).toEqual(wanted.map((g) => g?.toArray()));
  });

  test('parameters only; several outputs; nested', () => {
    const w = weight();
    const x = randn([8, 8]);
    const [a, b] = checkpoint(
      (h: Tensor) => [mm(h, w), checkpoint((t: Tensor) => mm(t, w), [h])],
      [x],
    );
    (a as Tensor)
      .add(b as Tensor)
      .sum()
      .backward();
    const [g] = grad(mm(x, w).mul(2).sum(), [w]);
    expect(
      w.grad
        ?.sub(g as Tensor)
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-5);
  });

  test('random numbers and the generator afterwards', () => {
    const x = weight();
    const drop = (h: Tensor) => h.mul(rand([8, 8]).gt(0.5).float());
    manualSeed(3);
    const plain = drop(x);
    plain.sum().backward();
    const wanted = x.grad?.toArray();
    const next = rand([2]).toArray();
    for (const t of [x]) t.grad = null;
    manualSeed(3);
    checkpoint(drop, [x]).sum().backward();
    expect(x.grad?.toArray()).toEqual(wanted);
    expect(rand([2]).toArray()).toEqual(next);
  });

  test('the state of autocast is that of the forward pass', () => {
    const w = weight();
    const seen: string[] = [];
    const block = (h: Tensor) => {
      const y = mm(h, w);
      seen.push(y.dtype);
      return y;
    };
    const y = amp.autocast('cpu', { dtype: 'float16' }, () => checkpoint(block, [weight()]));
    y.float().sum().backward();
    expect(seen).toEqual(['float16', 'float16']);
    expect(w.grad?.dtype).toBe('float32');
  });

  test('survives an enclosing tidy', () => {
    const x = weight();
    const w = weight();
    const y = tidy(() => checkpoint((h: Tensor) => mm(h, w), [x.mul(2)]));
    y.sum().backward();
    const [g] = grad(mm(x.mul(2), w).sum(), [x]);
    expect(
      x.grad
        ?.sub(g as Tensor)
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-5);
  });

  test('keeps less', async () => {
    await liveTensors(); // garbage of other tests must not go in between
    const x = randn([64, 4096]);
    const w = randn([4096], { requiresGrad: true });
    const block = (h: Tensor) => [1, 2, 3, 4].reduce((t) => t.mul(w).relu(), h);
    const held = (run: () => Tensor) => {
      const before = memory.stats().allocatedBytes;
      const y = tidy(run); // only the graph holds intermediates then
      const after = memory.stats().allocatedBytes;
      y.dispose();
      return after - before;
    };
    expect(held(() => checkpoint(block, [x]))).toBeLessThan(held(() => block(x)) / 2);
  });

  test('errors', () => {
    const x = weight();
    expect(() => grad(checkpoint((h: Tensor) => h.mul(2), [x]).sum(), [x])).toThrow(
      /not compatible/,
    );
    const square = checkpoint((h: Tensor) => h.mul(h), [x]).sum();
    expect(() => square.backward({ createGraph: true })).toThrow(/higher order/);
    let n = 0;
    const changing = checkpoint((h: Tensor) => (n++ === 0 ? h.mul(2) : h.double()), [x]);
    expect(() => changing.sum().backward()).toThrow(
      /returned float64\[8, 8\] when it was run again/,
    );
    expect(() => checkpoint(3 as never, [])).toThrow(TypeError);
    expect(() => checkpoint((h: Tensor) => h, x as never)).toThrow(/array/);
    expect(() => checkpoint(() => 3 as never, [])).toThrow(/must return a Tensor/);
    expect(noGrad(() => checkpoint((h: Tensor) => h.mul(2), [x])).requiresGrad).toBe(false);
  });

  test('sequences', () => {
    const x = weight();
    const w = weight();
    const steps = [1, 2, 3, 4].map((k) => (h: Tensor) => mm(h, w).mul(k / 4));
    const run = (y: Tensor) => {
      w.grad = null;
      y.sum().backward();
      return w.grad as Tensor | null;
    };
    const wanted = run(steps.reduce((h, step) => step(h), x));
    const got = run(checkpointSequential(steps, 2, x));
    const scale = wanted?.abs().max().item() ?? 0;
    expect(
      got
        ?.sub(wanted as Tensor)
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-5 * scale);
    expect(() => checkpointSequential(steps, 5, x)).toThrow(/'segments'/);
  });
});
