/** What autocast would do to a model: dtypes by op, casts, shapes that Tensor Cores dislike. */
import { type AutocastDeviceType } from '../autocastState';
import { noGrad } from '../autograd';
import { describeTensorCores } from '../cuda';
import { makeError } from '../errors';
import { native, type TracedCall } from '../native';
import { type Tensor } from '../tensor';
import { autocast, type AutocastOptions } from './autocast';
import { describeArgument } from './describe';

/** A model, or any function that computes something. */
export type DoctorSubject =
  { call(...inputs: never[]): unknown } | ((...inputs: never[]) => unknown);

export interface DoctorOptions extends AutocastOptions {
  /** Default `'cpu'`; with `opList: 'cuda'` the report is about CUDA's lists. */
  readonly deviceType?: AutocastDeviceType | undefined;
}

/** All calls of one op that went the same way. */
export interface DoctorLine {
  readonly op: string;
  /** Policy of the op in the list that was used. */
  readonly policy: string;
  /** dtype of the result. */
  readonly dtype: string;
  readonly calls: number;
  readonly casts: number;
}

/** An operand of a product with a dimension that is no multiple of 8. */
export interface Misalignment {
  readonly op: string;
  readonly operand: string;
  readonly dims: readonly number[];
}

/** The report of {@link doctor}; prints as a table. */
export interface DoctorReport {
  readonly lines: readonly DoctorLine[];
  /** Casts of one forward pass: made, bytes they write, and those the weight cache saved. */
  readonly casts: { readonly made: number; readonly bytes: number; readonly cached: number };
  /** Share of the products that run in half precision, 0 to 1. */
  readonly lowShare: number;
  /** Whether the products would run on Tensor Cores of the first GPU, and why (not). */
  readonly tensorCores: string;
  readonly misaligned: readonly Misalignment[];
  readonly advice: readonly string[];
  toString(): string;
}

function groupCalls(calls: readonly TracedCall[]): DoctorLine[] {
  const groups = new Map<
    string,
    { line: Omit<DoctorLine, 'calls' | 'casts'>; calls: number; casts: number }
  >();
  for (const call of calls) {
    const line = { op: call.op, policy: call.policy, dtype: call.result.replace(/\[.*$/, '') };
    const key = Object.values(line).join();
    const group = groups.get(key) ?? { line, calls: 0, casts: 0 };
    group.calls += 1;
    group.casts += call.casts;
    groups.set(key, group);
  }
  return [...groups.values()].map(({ line, ...counts }) => ({ ...line, ...counts }));
}

function findMisaligned(calls: readonly TracedCall[]): Misalignment[] {
  const found = new Map<string, Misalignment>();
  for (const call of calls) {
    if (call.policy !== 'lower') continue;
    call.shapes.forEach((shape, i) => {
      if (shape.length < 2) return;
      const dims = shape.slice(-2).filter((n) => n % 8 !== 0);
      const operand = call.inputs[i] ?? '';
      if (dims.length > 0) found.set(`${call.op} ${operand}`, { op: call.op, operand, dims });
    });
  }
  return [...found.values()];
}

function findAdvice(calls: readonly TracedCall[], misaligned: readonly Misalignment[]): string[] {
  const advice: string[] = [];
  const products = calls.filter((c) => c.policy === 'lower');
  if (products.length === 0) {
    advice.push('No product or convolution runs in the region: autocast changes nothing here.');
  }
  const doubles = products.filter((c) => c.inputs.some((t) => t.startsWith('float64')));
  if (doubles.length > 0) {
    advice.push(`${String(doubles.length)} products have float64 operands, which are never cast.`);
  }
  const remade = products.reduce((n, c) => n + Math.max(0, c.casts - 1), 0);
  if (remade > products.length) {
    advice.push(
      'Most products cast more than one operand each time: weights that require no gradient, views and ' +
        'results of ops are not cached. For inference convert the model once with .half() or .bfloat16().',
    );
  }
  if (misaligned.length > 0) {
    advice.push(
      'Tensor Cores want dimensions that are multiples of 8: pad those below (vocabulary, classes, ' +
        'channels, batch).',
    );
  }
  return advice;
}

function formatReport(report: Omit<DoctorReport, 'toString'>): string {
  const rows = [
    ['op', 'policy', 'result', 'calls', 'casts'],
    ...report.lines.map((l) => [l.op, l.policy, l.dtype, String(l.calls), String(l.casts)]),
  ];
  const widths = [0, 1, 2, 3, 4].map((i) => Math.max(...rows.map((r) => (r[i] ?? '').length)));
  const table = rows.map((r) =>
    r
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const { made, bytes, cached } = report.casts;
  return [
    ...table,
    `casts: ${String(made)} (${String(bytes)} bytes written), ${String(cached)} more from the cache`,
    `products in half precision: ${String(Math.round(report.lowShare * 100))} %`,
    report.tensorCores,
    ...report.advice,
    ...report.misaligned.map((m) => `  ${m.op}: ${m.operand} has ${m.dims.join(', ')}`),
  ].join('\n');
}

/**
 * Runs a forward pass under autocast and reports which op ran in which dtype, how many casts that
 * takes, and which products have dimensions that slow Tensor Cores down.
 *
 * @example
 * console.log(String(amp.doctor(model, [x], { dtype: 'float16', opList: 'cuda' })));
 */
export function doctor(
  subject: DoctorSubject,
  inputs: readonly (Tensor | unknown)[] = [],
  options: DoctorOptions = {},
): DoctorReport {
  const run = typeof subject === 'function' ? subject : subject?.call?.bind(subject);
  if (typeof run !== 'function') {
    throw makeError(
      'ERR_TYPE',
      `doctor: needs a module or a function, got ${describeArgument(subject)}`,
    );
  }
  const { deviceType = 'cpu', ...region } = options;
  native.startAutocastTrace();
  let calls: readonly TracedCall[];
  try {
    autocast(deviceType, region, () => noGrad(() => run(...(inputs as never[]))));
  } finally {
    calls = native.stopAutocastTrace();
  }
  const products = calls.filter((c) => c.policy === 'lower');
  const low = products.filter((c) => /^(b?float16)/.test(c.result));
  const misaligned = findMisaligned(calls);
  const report = {
    lines: groupCalls(calls),
    casts: {
      made: calls.reduce((n, c) => n + c.casts, 0),
      bytes: calls.reduce((n, c) => n + c.castBytes, 0),
      cached: calls.reduce((n, c) => n + c.cached, 0),
    },
    lowShare: products.length === 0 ? 0 : low.length / products.length,
    misaligned,
    tensorCores: describeTensorCores(0, options.dtype ?? 'float16'),
    advice: findAdvice(calls, misaligned),
  };
  return { ...report, toString: () => formatReport(report) };
}
