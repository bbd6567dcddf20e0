/**
 * Text form of tensors, in PyTorch's format: a common width per tensor, scientific notation when
 * magnitudes differ too much, an ellipsis in the middle of long dimensions.
 * Source: torch/_tensor_str.py (behaviour), documented at torch.set_printoptions.
 */
import { makeError } from './errors';
import type { NestedArray, Tensor } from './tensor';

export interface PrintOptions {
  /** Digits after the point. Default 4. */
  readonly precision?: number;
  /** Number of elements above which the middle is left out. Default 1000. */
  readonly threshold?: number;
  /** Elements shown at each end of a summarised dimension. Default 3. */
  readonly edgeitems?: number;
  /** Characters per line. Default 80. */
  readonly linewidth?: number;
  /** Scientific notation: true, false, or null for automatic. Default null. */
  readonly sciMode?: boolean | null;
}

const defaults: Required<PrintOptions> = {
  precision: 4,
  threshold: 1000,
  edgeitems: 3,
  linewidth: 80,
  sciMode: null,
};
let current: Required<PrintOptions> = { ...defaults };

/** Changes how tensors print, for this environment. PyTorch: `torch.set_printoptions`. */
export function setPrintOptions(options: PrintOptions): void {
  for (const [key, value] of Object.entries(options)) {
    if (!(key in defaults)) {
      throw makeError(
        'ERR_TYPE',
        `setPrintOptions: unknown option '${key}' (options are ${Object.keys(defaults).join(', ')})`,
      );
    }
    const isNumber = key !== 'sciMode';
    if (isNumber && !(Number.isInteger(value) && (value as number) >= 0)) {
      throw makeError(
        'ERR_TYPE',
        `setPrintOptions: option '${key}' must be a non-negative integer, got ${String(value)}`,
      );
    }
  }
  current = { ...current, ...options };
}

/** The options in force. */
export function getPrintOptions(): Required<PrintOptions> {
  return { ...current };
}

type Leaf = number | bigint | boolean;

function leaves(nested: NestedArray, out: Leaf[]): Leaf[] {
  if (Array.isArray(nested)) for (const v of nested) leaves(v, out);
  else out.push(nested);
  return out;
}

/** Exponent with a sign and at least two digits, as C prints it. */
function exponential(v: number, precision: number): string {
  return v.toExponential(precision).replace(/e([+-])(\d)$/, 'e$10$2');
}

function isSpecial(v: number): boolean {
  return !Number.isFinite(v);
}

function special(v: number): string {
  return Number.isNaN(v) ? 'nan' : v > 0 ? 'inf' : '-inf';
}

type Formatter = (v: Leaf) => string;

function floatFormatter(values: readonly number[]): Formatter {
  const { precision, sciMode } = current;
  const finite = values.filter((v) => !isSpecial(v) && v !== 0).map(Math.abs);
  const max = finite.reduce((a, b) => Math.max(a, b), 0);
  const min = finite.reduce((a, b) => Math.min(a, b), Infinity);
  const integral = finite.every((v) => Number.isInteger(v));
  let scientific = false;
  if (finite.length > 0) {
    const wide = max / min > 1000 || max > 1e8;
    scientific = integral ? wide : wide || min < 1e-4;
  }
  if (sciMode !== null) scientific = sciMode;
  if (scientific)
    return (v) =>
      isSpecial(v as number) ? special(v as number) : exponential(v as number, precision);
  if (integral) {
    return (v) => (isSpecial(v as number) ? special(v as number) : `${signed(v as number)}.`);
  }
  return (v) => (isSpecial(v as number) ? special(v as number) : fixed(v as number, precision));
}

function signed(v: number): string {
  return Object.is(v, -0) ? '-0' : v.toFixed(0);
}

function fixed(v: number, precision: number): string {
  const text = v.toFixed(precision);
  return Object.is(v, -0) && !text.startsWith('-') ? `-${text}` : text;
}

function makeFormatter(dtype: string, shown: readonly Leaf[]): Formatter {
  const base: Formatter = dtype.includes('float')
    ? floatFormatter(shown as readonly number[])
    : dtype === 'bool'
      ? (v) => (v ? 'True' : 'False')
      : (v) => v.toString();
  const width = shown.reduce<number>((w, v) => Math.max(w, base(v).length), 0);
  return (v) => base(v).padStart(width);
}

/** Nested arrays of what is shown; `null` marks left-out elements. */
type Shown = Leaf | null | Shown[];

function summarize(nested: NestedArray, edge: number): Shown {
  if (!Array.isArray(nested)) return nested;
  const part = (list: NestedArray[]): Shown[] => list.map((v) => summarize(v, edge));
  if (nested.length <= 2 * edge) return part(nested);
  return [...part(nested.slice(0, edge)), null, ...part(nested.slice(nested.length - edge))];
}

function shownLeaves(shown: Shown, out: Leaf[]): Leaf[] {
  if (Array.isArray(shown)) for (const v of shown) shownLeaves(v, out);
  else if (shown !== null) out.push(shown);
  return out;
}

function formatRow(row: readonly Shown[], indent: number, format: Formatter): string {
  const cells = row.map((v) => (v === null ? ' ...' : format(v as Leaf)));
  const width = (cells.find((c) => c !== ' ...')?.length ?? 0) + 2;
  const perLine = Math.max(1, Math.floor((current.linewidth - indent) / Math.max(1, width)));
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += perLine)
    lines.push(cells.slice(i, i + perLine).join(', '));
  return `[${lines.join(`,\n${' '.repeat(indent + 1)}`)}]`;
}

function formatNested(shown: Shown, dims: number, indent: number, format: Formatter): string {
  if (!Array.isArray(shown)) return shown === null ? '...' : format(shown);
  if (dims === 1) return formatRow(shown, indent, format);
  const parts = shown.map((v) =>
    v === null ? '...' : formatNested(v, dims - 1, indent + 1, format),
  );
  return `[${parts.join(`,${'\n'.repeat(dims - 1)}${' '.repeat(indent + 1)}`)}]`;
}

const plainDTypes = new Set(['float32', 'int64', 'bool']);

function suffixes(t: Tensor, isEmpty: boolean): string[] {
  const out: string[] = [];
  if (t.device !== 'cpu') out.push(`device='${t.device}'`);
  if (isEmpty && t.ndim !== 1) out.push(`size=(${t.shape.join(', ')})`);
  if (!plainDTypes.has(t.dtype) || (isEmpty && t.dtype !== 'float32')) out.push(`dtype=${t.dtype}`);
  const { gradFn } = t;
  if (gradFn !== null) out.push(`gradFn=<${gradFn}>`);
  else if (t.requiresGrad) out.push('requiresGrad=true');
  return out;
}

/** What `console.log(tensor)` shows. */
export function formatTensor(t: Tensor): string {
  if (t.isDisposed) return 'tensor(<disposed>)';
  const prefix = 'tensor(';
  const isEmpty = t.numel() === 0;
  let body = '[]';
  if (!isEmpty) {
    const long = t.numel() > current.threshold;
    const nested = t.toArray();
    const shown = long ? summarize(nested, current.edgeitems) : (nested as Shown);
    const seen = long ? shownLeaves(shown, []) : leaves(nested, []);
    body = formatNested(shown, t.ndim, prefix.length, makeFormatter(t.dtype, seen));
  }
  let text = prefix + body;
  let column = text.length - (text.lastIndexOf('\n') + 1);
  for (const suffix of suffixes(t, isEmpty)) {
    if (column + suffix.length + 3 > current.linewidth) {
      text += `,\n${' '.repeat(prefix.length)}${suffix}`;
      column = prefix.length + suffix.length;
    } else {
      text += `, ${suffix}`;
      column += suffix.length + 2;
    }
  }
  return `${text})`;
}
