/** One random call after the other; anything but a result or a typed error is a finding. */
import { callOp, opSchemas, type OpSchema, Tensor, TensorError } from '../../lib';
import { Generator } from './generate';

export interface Finding {
  readonly seed: number;
  readonly op: string;
  readonly call: string;
  readonly error: string;
}

export interface Summary {
  readonly calls: number;
  readonly results: number;
  readonly errors: number;
  readonly findings: Finding[];
}

function text(v: unknown): string {
  if (v instanceof Tensor) {
    return v.isDisposed ? 'disposed' : `${v.dtype}[${v.shape.join()}]/${v.stride().join()}`;
  }
  if (Array.isArray(v)) return `[${v.map(text).join(', ')}]`;
  if (typeof v === 'object' && v !== null) {
    return `{${Object.entries(v)
      .map(([k, e]) => `${k}: ${text(e)}`)
      .join(', ')}}`;
  }
  return typeof v === 'string' ? `'${v}'` : String(v);
}

function isTyped(e: unknown): boolean {
  const code = (e as { code?: unknown }).code;
  const known = e instanceof TensorError || e instanceof TypeError || e instanceof RangeError;
  return known && typeof code === 'string' && code.startsWith('ERR_') && code !== 'ERR_INTERNAL';
}

interface Call {
  readonly name: string;
  readonly args: unknown[];
}

function makeCall(g: Generator, schemas: readonly OpSchema[]): Call {
  const schema = g.random.pick(schemas);
  g.begin(schema.dtypes);
  const given = schema.args.filter((a) => a.required || g.random.next() < 0.5);
  const positional = given.filter((a) => !a.keywordOnly);
  // Positions must not have holes: what follows a missing one goes by name.
  const firstGap = positional.findIndex((a, i) => schema.args[i] !== a);
  const lead = firstGap < 0 ? positional.length : firstGap;
  const args = positional.slice(0, lead).map((a) => g.argument(a));
  const rest = given.filter((a) => !positional.slice(0, lead).includes(a));
  if (rest.length > 0) args.push(Object.fromEntries(rest.map((a) => [a.name, g.argument(a)])));
  if (g.random.next() < 0.01) args.push(g.integer());
  if (g.random.next() < 0.01) args.pop();
  const inPlace = ['yes', 'view'].includes(schema.inplace) && g.random.next() < 0.3;
  return { name: inPlace ? `${schema.name}_` : schema.name, args };
}

/** Reads every element of a result, and now and then runs its backward pass. */
function consume(result: unknown, backward: boolean): void {
  for (const t of Array.isArray(result) ? (result as unknown[]) : [result]) {
    // An expanded tensor can have more elements than an array holds.
    if (!(t instanceof Tensor) || t.numel() > 1e7) continue;
    t.dataSync();
    if (backward && t.requiresGrad && t.numel() > 0 && t.numel() < 1e6) t.sum().backward();
  }
}

/** What a seed does: one call. */
export function runOne(
  seed: number,
  schemas = opSchemas(),
  before?: (call: string) => void,
): Finding | boolean {
  const g = new Generator(seed);
  let call: Call;
  try {
    call = makeCall(g, schemas);
  } catch (e) {
    if (isTyped(e)) return false;
    return { seed, op: '?', call: 'making arguments', error: String(e) };
  }
  const shown = `${call.name}(${call.args.map(text).join(', ')})`;
  before?.(shown);
  try {
    consume(callOp(call.name, call.args), g.random.next() < 0.5);
    return true;
  } catch (e) {
    if (isTyped(e)) return false;
    const error = e as Error & { code?: string };
    return {
      seed,
      op: call.name,
      call: shown,
      error: `${error.name} ${String(error.code)}: ${error.message}`,
    };
  }
}

export function fuzz(
  calls: number,
  seed: number,
  before?: (call: string, seed: number) => void,
): Summary {
  const only = process.env['AMPGRAD_FUZZ_OPS']?.split(',');
  const schemas = opSchemas().filter((s) => only === undefined || only.includes(s.name));
  const findings: Finding[] = [];
  let results = 0;
  for (let i = 0; i < calls; ++i) {
    const one = (seed * 1_000_003 + i) >>> 0;
    const outcome = runOne(one, schemas, (call) => before?.(call, one));
    if (typeof outcome === 'object') findings.push(outcome);
    else if (outcome) ++results;
  }
  return { calls, results, errors: calls - results - findings.length, findings };
}
