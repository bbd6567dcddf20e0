/** Runs one operator sample: outputs, gradients, changed arguments, the in-place form. */
import { type DType, grad, Tensor } from '../../lib';
import { toNd } from '../ops/support/run';
import { callCase, type Case, Missing } from './call';
import { camel, Decoder, type Encoded } from './decode';
import { compareFactors } from './gauge';
import type { SafeTensors } from './safetensors';

export interface Sample {
  readonly i: number;
  readonly dtype: DType;
  readonly origin: string;
  readonly args: readonly Encoded[];
  readonly kwargs: Readonly<Record<string, Encoded>>;
  readonly output: Encoded;
  readonly cotangents?: readonly { path: number[]; tensor: string }[];
  readonly loss?: string;
  readonly grads?: readonly { arg: (string | number)[]; tensor: string | null }[];
  readonly mutated?: readonly { arg: (string | number)[]; tensor: string }[];
  readonly inplace?: { same?: boolean; output?: Encoded; error?: string };
  readonly ties?: boolean;
  readonly noise?: number;
  readonly grad_noise?: number;
}

export interface OpFile extends Case {
  readonly op: string;
  readonly file: string;
  readonly check: 'allclose' | 'shape_dtype' | 'svd' | 'eigh' | 'qr';
  readonly inplace_method?: string;
  readonly tolerance_overrides?: Readonly<Record<string, { rtol?: number; atol?: number }>>;
  readonly samples: readonly Sample[];
}

const defaults: Readonly<Record<string, readonly [number, number]>> = {
  float16: [1e-3, 1e-5],
  bfloat16: [1.6e-2, 1e-5],
  float32: [1.3e-6, 1e-5],
  float64: [1e-7, 1e-7],
};

export class Mismatch extends Error {}

export interface Limits {
  readonly noise: number;
  readonly override: { rtol?: number; atol?: number } | undefined;
}

export function compareTensor(
  actual: unknown,
  expected: Tensor,
  limits: Limits,
  what: string,
): void {
  if (!(actual instanceof Tensor))
    throw new Mismatch(`${what}: got ${typeof actual}, expected a Tensor`);
  if (actual.dtype !== expected.dtype) {
    throw new Mismatch(`${what}: dtype ${actual.dtype}, expected ${expected.dtype}`);
  }
  if (actual.shape.join() !== expected.shape.join()) {
    throw new Mismatch(
      `${what}: shape [${actual.shape.join()}], expected [${expected.shape.join()}]`,
    );
  }
  const base = defaults[expected.dtype] ?? [0, 0];
  const rtol = Math.max(base[0], limits.override?.rtol ?? 0);
  const atol = Math.max(base[1], limits.override?.atol ?? 0);
  const [a, e] = [toNd(actual).data, toNd(expected).data];
  a.forEach((v, i) => {
    const want = e[i] as number;
    if (v === want || (v !== v && want !== want)) return;
    if (
      Number.isFinite(want) &&
      Math.abs(v - want) <= atol + rtol * Math.abs(want) + 2 * limits.noise
    )
      return;
    throw new Mismatch(`${what}: element ${String(i)} is ${String(v)}, expected ${String(want)}`);
  });
}

function compare(
  actual: unknown,
  expected: Encoded,
  file: OpFile,
  sample: Sample,
  tensors: SafeTensors,
  path: number[] = [],
): void {
  const what = `output[${path.join()}]`;
  if ('tensor' in expected) {
    const want = tensors.get(expected['tensor'] as string);
    if (sample.ties === true && want.dtype === 'int64' && path.length > 0) return;
    compareTensor(
      actual,
      want,
      { noise: sample.noise ?? 0, override: file.tolerance_overrides?.[sample.dtype] },
      what,
    );
    return;
  }
  if ('shape' in expected) {
    const t = actual as Tensor;
    const got = `${t.dtype}[${t.shape.join()}]`;
    const want = `${String(expected['dtype'])}[${(expected['shape'] as number[]).join()}]`;
    if (got !== want) throw new Mismatch(`${what}: ${got}, expected ${want}`);
    return;
  }
  const list = (expected['tuple'] ?? expected['list']) as Encoded[] | undefined;
  if (list !== undefined) {
    if (!Array.isArray(actual) || actual.length !== list.length) {
      throw new Mismatch(`${what}: expected ${String(list.length)} results`);
    }
    list.forEach((e, i) => compare(actual[i], e, file, sample, tensors, [...path, i]));
    return;
  }
  const want = new Decoder(undefined, false).decode(expected, []);
  const same =
    actual === want || (actual === undefined && want === null) || Object.is(actual, want);
  const near =
    typeof want === 'number' && Math.abs((actual as number) - want) <= 1e-5 + 1e-5 * Math.abs(want);
  if (!same && !near)
    throw new Mismatch(`${what}: got ${String(actual)}, expected ${String(want)}`);
}

/** Factors with a gauge freedom are checked against the input; everything else by its values. */
function compareResult(
  result: unknown,
  input: unknown,
  file: OpFile,
  sample: Sample,
  tensors: SafeTensors,
): void {
  const list = (sample.output['tuple'] ?? sample.output['list']) as Encoded[] | undefined;
  if (file.check === 'allclose' || file.check === 'shape_dtype' || list === undefined) {
    compare(result, sample.output, file, sample, tensors);
    return;
  }
  const expected = list.map((e) => tensors.get((e as { tensor: string }).tensor));
  const limits = {
    noise: sample.noise ?? 0,
    override: file.tolerance_overrides?.[sample.dtype],
  };
  const uplo = (sample.kwargs['UPLO'] as { str?: string } | undefined)?.str ?? 'L';
  compareFactors(file.check, input as Tensor, result as unknown[], expected, uplo, (a, e) =>
    compareTensor(a, e, limits, 'values'),
  );
}

function at(root: unknown, path: readonly number[]): Tensor {
  return path.reduce((v: unknown, i) => (v as unknown[])[i], root) as Tensor;
}

function checkGradients(
  file: OpFile,
  sample: Sample,
  result: unknown,
  leaves: ReadonlyMap<string, Tensor>,
  tensors: SafeTensors,
): void {
  const outputs: Tensor[] = [];
  const gradients: Tensor[] = [];
  for (const c of sample.cotangents ?? []) {
    const out = at(result, c.path);
    if (!(out instanceof Tensor) || !out.requiresGrad) continue;
    outputs.push(sample.loss === 'sum_sq' ? out.square() : out);
    gradients.push(tensors.get(c.tensor));
  }
  const wanted = sample.grads ?? [];
  const inputs = wanted.map((g) => leaves.get(g.arg.join()) as Tensor);
  if (outputs.length === 0) {
    if (wanted.some((g) => g.tensor !== null)) throw new Mismatch('no output requires grad');
    return;
  }
  const actual = grad(outputs, inputs, { gradOutputs: gradients, allowUnused: true });
  wanted.forEach((g, i) => {
    const got = actual[i] ?? null;
    const what = `grad of ${g.arg.join('.')}`;
    if (g.tensor === null) {
      if (got !== null) throw new Mismatch(`${what}: expected none`);
      return;
    }
    compareTensor(
      got,
      tensors.get(g.tensor),
      { noise: sample.grad_noise ?? 0, override: file.tolerance_overrides?.[sample.dtype] },
      what,
    );
  });
}

function checkArguments(
  sample: Sample,
  leaves: ReadonlyMap<string, Tensor>,
  tensors: SafeTensors,
): void {
  for (const m of sample.mutated ?? []) {
    const leaf = leaves.get(m.arg.join()) as Tensor;
    compareTensor(
      leaf,
      tensors.get(m.tensor),
      { noise: 0, override: undefined },
      `changed ${m.arg.join('.')}`,
    );
  }
}

function decodeCall(sample: Sample, decoder: Decoder): [unknown[], Record<string, unknown>] {
  const args = sample.args.map((v, i) => decoder.decode(v, ['args', i]));
  const kwargs = Object.fromEntries(
    Object.entries(sample.kwargs).map(([k, v]) => [k, decoder.decode(v, ['kwargs', k])]),
  );
  return [args, kwargs];
}

function checkInPlace(file: OpFile, sample: Sample, tensors: SafeTensors): void {
  const code = sample.inplace;
  if (code === undefined || file.inplace_method === undefined) return;
  const method: Case = { kind: 'method', call: file.inplace_method };
  const [args, kwargs] = decodeCall(sample, new Decoder(tensors, false));
  let result: unknown;
  try {
    result = callCase(method, args, kwargs);
  } catch (e) {
    if (e instanceof Missing || code.error === undefined) {
      throw new Mismatch(`${camel(file.inplace_method)}: ${(e as Error).message}`, { cause: e });
    }
    return;
  }
  if (code.error !== undefined) throw new Mismatch(`${file.inplace_method}: expected an error`);
  compare(result, code.output ?? sample.output, file, sample, tensors);
}

/** Throws Missing, Mismatch, or whatever the call throws. */
export function runSample(file: OpFile, sample: Sample, tensors: SafeTensors): void {
  const decoder = new Decoder(tensors, sample.grads !== undefined);
  const [args, kwargs] = decodeCall(sample, decoder);
  const result = callCase(file, args, kwargs);
  compareResult(result, args[0], file, sample, tensors);
  if (sample.grads !== undefined) checkGradients(file, sample, result, decoder.leaves, tensors);
  checkArguments(sample, decoder.leaves, tensors);
  checkInPlace(file, sample, tensors);
}
