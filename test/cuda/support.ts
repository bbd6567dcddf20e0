import type { Tensor } from '../../lib';
import { expectClose, type Tolerance } from '../ops/support/compare';
import { toNd } from '../ops/support/run';

/** Sums of another order: relative and absolute. */
const bounds: Record<string, Tolerance> = {
  float16: [2e-3, 1e-3],
  bfloat16: [1.6e-2, 8e-3],
  float32: [2e-5, 2e-6],
  float64: [1e-10, 1e-12],
};

/** A result on the device agrees with the CPU's. */
export function expectSame(got: Tensor, want: Tensor, tolerance?: Tolerance): void {
  expect(got.device).toMatch(/^cuda/);
  expect([got.dtype, got.shape]).toEqual([want.dtype, want.shape]);
  expectClose(toNd(got.cpu()), toNd(want.cpu()), tolerance ?? bounds[want.dtype] ?? [0, 0], 'cuda');
}
