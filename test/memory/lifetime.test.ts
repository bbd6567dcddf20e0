/** Lifetimes by hand: tidy, keep, dispose, using; figures, caches, and running out of memory. */
import { keep, memory, tensor, type Tensor, tidy, zeros } from '../../lib';
import { liveTensors } from '../ops/support/leaks';
import { thrownBy } from '../support/codes';

describe('dispose', () => {
  test('frees memory now and says so afterwards', async () => {
    await liveTensors(); // garbage of others must not go in between
    const before = memory.stats().allocatedBytes;
    const x = zeros([1 << 18]);
    expect(memory.stats().allocatedBytes - before).toBeGreaterThanOrEqual(1 << 20);
    x.dispose();
    x.dispose();
    expect(memory.stats().allocatedBytes).toBe(before);
    expect(x.isDisposed).toBe(true);
    for (const use of [() => x.add(1), () => x.shape, () => x.dataSync(), () => x.dtype]) {
      const thrown = thrownBy(use);
      if (thrown.kind === 'nothing') continue;
      expect(thrown).toMatchObject({ kind: 'TensorError', code: 'ERR_DISPOSED' });
      expect(thrown.message).toMatch(/disposed/);
    }
    expect(thrownBy(() => x.add(1)).code).toBe('ERR_DISPOSED');
  });

  test('leaves other tensors on the storage alone', () => {
    const x = tensor([1, 2, 3]);
    const view = x.narrow(0, 1, 2);
    x.dispose();
    expect(view.toArray()).toEqual([2, 3]);
  });

  test('leaves the graph alone', () => {
    const x = tensor([1.5, 2.5], { requiresGrad: true });
    const y = x.mul(2);
    const z = y.square().sum();
    y.dispose();
    z.backward();
    expect(x.grad?.toArray()).toEqual([12, 20]);
  });

  test('by using, where the runtime has it', () => {
    const key = (Symbol as { dispose?: symbol }).dispose;
    if (key === undefined) return;
    const x = zeros([2]);
    (x as unknown as Record<symbol, () => void>)[key]?.();
    expect(x.isDisposed).toBe(true);
  });
});

describe('tidy', () => {
  test('frees what is not returned', () => {
    let inner: Tensor | undefined;
    let kept: Tensor | undefined;
    const result = tidy(() => {
      inner = zeros([2]);
      kept = keep(zeros([2]));
      return { list: [inner.add(1)], map: new Map([['a', inner.add(2)]]) };
    });
    expect(inner?.isDisposed).toBe(true);
    expect(kept?.isDisposed).toBe(false);
    expect(result.list[0]?.toArray()).toEqual([1, 1]);
    expect(result.map.get('a')?.toArray()).toEqual([2, 2]);
  });

  test('nests: what an inner scope returns belongs to the outer one', () => {
    let middle: Tensor | undefined;
    const out = tidy(() => {
      middle = tidy(() => zeros([1]).add(1));
      expect(middle.isDisposed).toBe(false);
      return middle.add(1);
    });
    expect(middle?.isDisposed).toBe(true);
    expect(out.item()).toBe(2);
  });

  test('frees when the function throws', () => {
    let inner: Tensor | undefined;
    expect(() =>
      tidy(() => {
        inner = zeros([1]);
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(inner?.isDisposed).toBe(true);
  });

  test('follows an async function, two at a time', async () => {
    const job = (value: number): Promise<[Tensor, Tensor]> => {
      let inner: Tensor | undefined;
      return tidy(async () => {
        inner = zeros([1]);
        await new Promise((resolve) => setTimeout(resolve, 5));
        const out = inner.add(value);
        return [out, inner] as [Tensor, Tensor];
      });
    };
    const [a, b] = await Promise.all([job(1), job(2)]);
    expect(a[0].item()).toBe(1);
    expect(b[0].item()).toBe(2);
    let lost: Tensor | undefined;
    await tidy(async () => {
      lost = zeros([1]);
      await Promise.resolve();
      lost.add(1);
    });
    expect(lost?.isDisposed).toBe(true);
  });

  test('does not free gradients and parameters', () => {
    const w = tensor([1.5], { requiresGrad: true });
    tidy(() => w.mul(2).sum().backward());
    expect(w.grad?.toArray()).toEqual([2]);
  });
});

describe('figures', () => {
  test('count tensors, storages and bytes', async () => {
    const before = await liveTensors();
    const stats = memory.stats();
    const x = zeros([256], { dtype: 'float64' });
    const view = x.narrow(0, 0, 4);
    const after = memory.stats();
    expect(after.liveStorages - stats.liveStorages).toBe(1);
    expect(after.liveTensors - before).toBe(2);
    expect(after.allocatedBytes - stats.allocatedBytes).toBeGreaterThanOrEqual(2048);
    expect(after.peakAllocatedBytes).toBeGreaterThanOrEqual(after.allocatedBytes);
    expect(after.reservedBytes).toBeGreaterThanOrEqual(after.allocatedBytes);
    expect(view.numel()).toBe(4);
  });

  test('the peak can be started afresh', () => {
    zeros([1 << 20]).dispose();
    memory.resetPeakStats();
    const { allocatedBytes, peakAllocatedBytes } = memory.stats();
    expect(peakAllocatedBytes).toBe(allocatedBytes);
  });

  test('emptyCache gives cached blocks back', () => {
    zeros([1 << 22]).dispose();
    const cached = memory.stats().reservedBytes;
    memory.emptyCache();
    expect(memory.stats().reservedBytes).toBeLessThan(cached);
    expect(memory.stats().reservedBytes).toBeGreaterThanOrEqual(memory.stats().allocatedBytes);
  });

  test('freed blocks are used again', () => {
    zeros([1 << 20]).dispose();
    const { systemAllocations } = memory.stats();
    for (let i = 0; i < 10; ++i) zeros([1 << 20]).dispose();
    expect(memory.stats().systemAllocations).toBe(systemAllocations);
  });
});

describe('running out', () => {
  test.each([
    ['more than the machine has', [1 << 16, 1 << 16, 1 << 10]],
    ['more than an address space', [1 << 20, 1 << 20, 1 << 12]],
  ])('%s', (_, size) => {
    const thrown = thrownBy(() => zeros(size));
    expect(thrown.kind).toBe('TensorError');
    expect(thrown.code).toBe('ERR_OOM');
    expect(thrown.message).toMatch(/out of memory/i);
    expect(thrown.message).toMatch(/cpu/i);
    expect(thrown.message).toMatch(/MiB|[GTPE]iB/);
    expect(zeros([2]).toArray()).toEqual([0, 0]);
  });

  test('sizes whose product overflows are refused before', () => {
    const thrown = thrownBy(() => zeros([2 ** 40, 2 ** 40]));
    expect(['RangeError', 'TensorError']).toContain(thrown.kind);
    expect(thrown.code).not.toBe('ERR_INTERNAL');
  });
});
