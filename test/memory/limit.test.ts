/** memory.setLimit and the way out of memory: collect, drop the cache, then an error; then go on. */
import { memory, ones, TensorError, zeros } from '../../lib';
import { liveTensors } from '../ops/support/leaks';

const MiB = 2 ** 20;

function errorOf(f: () => unknown): TensorError {
  try {
    f();
  } catch (e) {
    return e as TensorError;
  }
  throw new Error('nothing was thrown');
}

// What other files of this process left behind would make room.
beforeAll(liveTensors);
afterEach(() => memory.setLimit(null));

test('a request beyond the limit is ERR_OOM with totals and remedies, and nothing is lost', () => {
  memory.emptyCache();
  const kept = ones([MiB]);
  memory.setLimit(memory.stats().reservedBytes + 8 * MiB);
  const error = errorOf(() => zeros([16 * MiB]));
  expect(error).toBeInstanceOf(TensorError);
  expect(error.code).toBe('ERR_OOM');
  expect(error.message).toMatch(/tried to allocate 64 MiB; the device has [\d.]+ MiB, /);
  expect(error.message).toMatch(/tensors may have \d+ MiB by memory.setLimit/);
  expect(error.message).toMatch(/smaller batch/);
  expect(kept.sum().item()).toBe(MiB);
  expect(
    zeros([MiB / 4])
      .sum()
      .item(),
  ).toBe(0);
  memory.setLimit(null);
  expect(zeros([16 * MiB]).numel()).toBe(16 * MiB);
});

test('garbage and cached blocks make room before the limit is an error', () => {
  memory.emptyCache();
  memory.setLimit(memory.stats().reservedBytes + 24 * MiB);
  for (let i = 0; i < 20; ++i) expect(ones([4 * MiB]).numel()).toBe(4 * MiB);
  // Another size class: the cached 16 MiB must go first.
  expect(ones([5 * MiB]).numel()).toBe(5 * MiB);
});

test('a request beyond what the system has left is an error, not the end of the process', () => {
  const error = errorOf(() => zeros([2 ** 42], { dtype: 'uint8' }));
  expect(error.code).toBe('ERR_OOM');
});

test.each([-1, 1.5, NaN, Infinity])('setLimit(%p) is refused', (bytes) => {
  const error = errorOf(() => memory.setLimit(bytes));
  expect(error).toBeInstanceOf(RangeError);
  expect(error.message).toMatch(/setLimit: argument 'bytes'/);
});
