/** Comparison of a model with a dump of test/golden/models: outputs, loss, gradients, training. */
import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';

import { type nn, type optim, safetensors, type Tensor } from '../../lib';

/** Bound of every comparison, relative to the largest element of what is compared. */
const tolerance = 1e-4;

/** Dumps of full-size models, made by `npm run golden:full`. */
const fullFolder = process.env['AMPGRAD_GOLDEN_FULL'];

/** Where the measured differences go, one JSON line each, for `npm run golden:full`. */
const reportFile = process.env['AMPGRAD_GOLDEN_REPORT'];

function note(what: string, value: number): void {
  if (reportFile === undefined) return;
  const test = expect.getState().currentTestName ?? '';
  appendFileSync(reportFile, `${JSON.stringify({ test, what, value })}\n`);
}

export interface Golden {
  readonly tensors: ReadonlyMap<string, Tensor>;
  get(name: string): Tensor;
  /** Entries whose names start with `prefix.`, without it. */
  part(prefix: string): Record<string, Tensor>;
}

export function loadGolden(folder: string, name: string): Golden {
  const tensors = new Map(
    Object.entries(safetensors.loadFile(join(folder, `${name}.safetensors`))),
  );
  return {
    tensors,
    get(key) {
      const found = tensors.get(key);
      if (found === undefined) throw new Error(`${name}: no tensor '${key}'`);
      return found;
    },
    part(prefix) {
      const entries = [...tensors].filter(([key]) => key.startsWith(`${prefix}.`));
      return Object.fromEntries(entries.map(([key, t]) => [key.slice(prefix.length + 1), t]));
    },
  };
}

/** The small dump, and the full-size one where it was made. */
export function dumps(name: string): [size: 'small' | 'full', folder: string][] {
  const out: [size: 'small' | 'full', folder: string][] = [
    ['small', join(__dirname, '../golden/models')],
  ];
  if (fullFolder !== undefined && existsSync(join(fullFolder, `${name}.safetensors`))) {
    out.push(['full', fullFolder]);
  }
  return out;
}

function largest(t: Tensor): number {
  return t.numel() === 0 ? 0 : t.detach().abs().max().item();
}

/** Largest difference, relative to the largest element of `expected` (at least `floor`). */
export function difference(actual: Tensor, expected: Tensor, floor = 0): number {
  expect(actual.shape).toEqual(expected.shape);
  const scale = Math.max(largest(expected), floor);
  return scale === 0 ? largest(actual) : largest(actual.detach().sub(expected)) / scale;
}

export function expectClose(actual: Tensor, expected: Tensor, floor = 0): void {
  const found = difference(actual, expected, floor);
  note('outputs and loss', found);
  expect(found).toBeLessThan(tolerance);
}

/**
 * Every gradient. Some are 0 but for rounding (of a key's bias, say: softmax does not see it), so
 * differences below 1e-7 of the largest gradient of the model do not count.
 */
export function expectGradients(model: nn.Module, golden: Golden): void {
  const expected = golden.part('grad');
  const floor = 1e-3 * Math.max(...Object.values(expected).map(largest));
  const parameters = model.namedParameters();
  expect(parameters.map(([name]) => name).sort()).toEqual(Object.keys(expected).sort());
  const wrong: [string, number][] = [];
  for (const [name, p] of parameters) {
    const error = difference(p.grad as Tensor, expected[name] as Tensor, floor);
    note('gradients', error);
    if (!(error < tolerance)) wrong.push([name, error]);
  }
  expect(wrong).toEqual([]);
}

/** Ten steps of training give PyTorch's losses. */
export function expectTraining(
  golden: Golden,
  optimizer: optim.Optimizer,
  loss: () => Tensor,
): void {
  const expected = golden.get('losses').toArray() as number[];
  const losses = expected.map(() => {
    optimizer.zeroGrad();
    const value = loss();
    value.backward();
    optimizer.step();
    return value.item();
  });
  losses.forEach((value, i) => {
    const wanted = expected[i] as number;
    const error = Math.abs(value - wanted) / Math.abs(wanted);
    note('losses of training', error);
    expect(error).toBeLessThan(tolerance);
  });
}
