/** Tolerances by dtype and comparisons that say where they fail. */
import type { DType, Tensor } from '../../../lib';
import { type Nd } from './nd';
import { toNd } from './run';

/** [rtol, atol], PyTorch's defaults of assert_close. */
export const tolerances: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  float16: [1e-3, 1e-5],
  bfloat16: [1.6e-2, 1e-5],
  float32: [1.3e-6, 1e-5],
  float64: [1e-7, 1e-7],
};

export type Tolerance = readonly [rtol: number, atol: number];

export function toleranceOf(
  dtype: DType,
  own?: Partial<Record<DType, readonly [number, number]>>,
): Tolerance {
  return own?.[dtype] ?? tolerances[dtype] ?? [0, 0];
}

function differs(actual: number, expected: number, [rtol, atol]: Tolerance): boolean {
  if (Object.is(actual, expected) || actual === expected) return false;
  if (Number.isNaN(expected) || Number.isNaN(actual))
    return !(actual !== actual && expected !== expected);
  if (!Number.isFinite(expected) || !Number.isFinite(actual)) return true;
  return Math.abs(actual - expected) > atol + rtol * Math.abs(expected);
}

/** Throws unless shapes are equal and values close; NaN equals NaN. */
export function expectClose(actual: Nd, expected: Nd, tolerance: Tolerance, what: string): void {
  if (actual.shape.join() !== expected.shape.join()) {
    throw new Error(
      `${what}: shape [${actual.shape.join(', ')}], expected [${expected.shape.join(', ')}]`,
    );
  }
  const wrong: number[] = [];
  actual.data.forEach((v, i) => {
    if (differs(v, expected.data[i] as number, tolerance)) wrong.push(i);
  });
  if (wrong.length === 0) return;
  const shown = wrong
    .slice(0, 4)
    .map(
      (i) => `[${String(i)}] got ${String(actual.data[i])}, expected ${String(expected.data[i])}`,
    );
  throw new Error(
    `${what}: ${String(wrong.length)} of ${String(actual.data.length)} values differ: ${shown.join('; ')}`,
  );
}

export function expectTensorClose(
  actual: Tensor,
  expected: Nd,
  tolerance: Tolerance,
  what: string,
): void {
  expectClose(toNd(actual), expected, tolerance, what);
}
