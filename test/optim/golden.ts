/** Reads what test/golden/optim/make.py recorded. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type DType, type Tensor, tensor } from '../../lib';

export interface GoldenTensor {
  readonly shape: number[];
  readonly dtype: DType;
  readonly values: number[];
}

export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(join(__dirname, '../golden/optim', name), 'utf8')) as T;
}

export function isGoldenTensor(value: unknown): value is GoldenTensor {
  return typeof value === 'object' && value !== null && 'values' in value;
}

export function toTensor(g: GoldenTensor): Tensor {
  return tensor(g.values, { dtype: g.dtype }).reshape(g.shape);
}

/** PyTorch's option names to ours, also inside lists and dicts; tensors become Tensors. */
export function camel(name: string): string {
  return name.replace(/(?!^)_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}

export function camelKeys(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).map(([k, v]) => [camel(k), v]));
}

export function values(t: Tensor): number[] {
  return t.detach().reshape([-1]).toArray() as number[];
}

export function expectClose(
  actual: Tensor,
  expected: GoldenTensor,
  where: string,
  relative = 1e-5,
  absolute = 1e-6,
): void {
  if (actual.shape.join() !== expected.shape.join() || actual.dtype !== expected.dtype) {
    throw new Error(
      `${where}: ${actual.dtype}[${actual.shape.join(', ')}], expected ` +
        `${expected.dtype}[${expected.shape.join(', ')}]`,
    );
  }
  values(actual).forEach((v, i) => {
    const e = expected.values[i] as number;
    if (!(Math.abs(v - e) <= absolute + relative * Math.abs(e))) {
      throw new Error(`${where}[${String(i)}]: got ${String(v)}, expected ${String(e)}`);
    }
  });
}
