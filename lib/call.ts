/**
 * The road from a TypeScript call to a native op: unwraps tensors, puts options where the schema
 * wants them, rejects what does not belong, wraps results. ops.gen.ts is made of these pieces.
 */
import { makeError } from './errors';
import { native, type Handle, type NativeFunction, type OpSchema } from './native';
import { handleOf, reshaped, Tensor, wrapTensor } from './tensor';

/** A row of the op table, prepared for calls. */
export interface OpEntry {
  readonly name: string;
  readonly fn: NativeFunction;
  /** Writes its first argument and returns it. */
  readonly inPlace: boolean;
  readonly schema: OpSchema;
  /** Number of arguments that may be given by position. */
  readonly positional: number;
  /** The last positional argument is a list of integers, which may be spread: view(2, 3). */
  readonly spreads: boolean;
  /** The tensors may also be given one by one: meshgrid(x, y). */
  readonly variadic: boolean;
  readonly index: ReadonlyMap<string, number>;
  /** Makes a tensor from nothing: takes `requiresGrad`. */
  readonly factory: boolean;
}

/** PyTorch's functions of `*tensors`. */
const variadic = new Set(['blockDiag', 'broadcastTensors', 'cartesianProd', 'meshgrid']);

const schemas: readonly OpSchema[] = native.opSchemas();
const entries = new Map<string, OpEntry>();

function addEntry(schema: OpSchema, name: string, inPlace: boolean, target = name): void {
  const positional = schema.args.filter((a) => !a.keywordOnly).length;
  entries.set(name, {
    name,
    fn: native.ops[target] as NativeFunction,
    inPlace,
    schema,
    positional,
    spreads: schema.args[positional - 1]?.type === 'int[]',
    variadic: variadic.has(name),
    index: new Map(schema.args.map((a, i) => [a.name, i])),
    factory:
      schema.args.some((a) => a.name === 'device') &&
      schema.args.some((a) => a.name === 'dtype') &&
      schema.differentiable === 'no',
  });
}

for (const schema of schemas) {
  addEntry(schema, schema.name, schema.inplace === 'only');
  if (schema.inplace === 'yes' || schema.inplace === 'view')
    addEntry(schema, `${schema.name}_`, true);
}

for (const [alias, target] of Object.entries(native.opAliases())) {
  for (const suffix of ['', '_']) {
    const entry = entries.get(target + suffix);
    if (entry !== undefined) {
      addEntry(entry.schema, alias + suffix, entry.inPlace, target + suffix);
    }
  }
}

/** The registry as data: every op with its schema, dtypes, policies. */
export function opSchemas(): readonly OpSchema[] {
  return schemas;
}

/** The entry of an op by name (`add`, `add_`). */
export function opEntry(name: string): OpEntry {
  const entry = entries.get(name);
  if (entry === undefined) {
    throw makeError('ERR_VALUE', `no op is named '${name}'${suggest(name, entries.keys())}`);
  }
  return entry;
}

/** The native function of an op; for generated code. */
export function opFunction(name: string): NativeFunction {
  return opEntry(name).fn;
}

/** Edit distance, for suggestions. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; ++i) {
    const next = [i];
    for (let j = 1; j <= b.length; ++j) {
      const substitution = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** `; did you mean 'x'?` or nothing. */
export function suggest(word: string, candidates: Iterable<string>): string {
  let best = '';
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const d = distance(word.toLowerCase(), candidate.toLowerCase());
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best === '' ? '' : `; did you mean '${best}'?`;
}

/** Tensors become handles, also inside arrays; everything else goes through as it is. */
export function unwrap(value: unknown): unknown {
  if (value instanceof Tensor) return handleOf(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.some((v) => typeof v === 'object' && v !== null) ? value.map(unwrap) : value;
  }
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return Array.from(value as unknown as ArrayLike<number>);
  }
  // Anything else is wrong for every op; a plain object cannot be mistaken for a handle.
  return {};
}

function isOptions(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof Tensor) &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value)
  );
}

function spreadList(entry: OpEntry, args: readonly unknown[]): unknown[] | undefined {
  const first = entry.positional - 1;
  const rest = args.slice(first);
  if (!entry.spreads || !rest.every((v) => typeof v === 'number' || typeof v === 'bigint')) {
    return undefined;
  }
  return [...args.slice(0, first), rest];
}

function placeOptions(
  entry: OpEntry,
  options: Record<string, unknown>,
  given: number,
  values: unknown[],
): boolean {
  let requiresGrad = false;
  for (const [key, value] of Object.entries(options)) {
    const at = entry.index.get(key);
    if (at === undefined) {
      if (entry.factory && key === 'requiresGrad') {
        if (typeof value !== 'boolean') {
          throw makeError('ERR_TYPE', `${entry.name}: option 'requiresGrad' must be a boolean`);
        }
        requiresGrad = value;
        continue;
      }
      const names = entry.schema.args.filter((a) => !a.required).map((a) => a.name);
      if (entry.factory) names.push('requiresGrad');
      const known = names.length === 0 ? 'takes no options' : `options are ${names.join(', ')}`;
      throw makeError(
        'ERR_TYPE',
        `${entry.name}: unknown option '${key}'${suggest(key, names)} (${entry.name} ${known})`,
      );
    }
    if (at < given) {
      throw makeError('ERR_TYPE', `${entry.name}: argument '${key}' is given twice`);
    }
    values[at] = unwrap(value);
  }
  return requiresGrad;
}

/** Calls an op with arguments as a user writes them: positions, then one options object. */
export function invoke(entry: OpEntry, args: readonly unknown[]): unknown {
  let positions: readonly unknown[] = args;
  let options: Record<string, unknown> | undefined;
  const last = args.length === 0 ? undefined : args[args.length - 1];
  if (isOptions(last)) {
    options = last;
    positions = args.slice(0, -1);
  }
  if (entry.variadic && positions.every((v) => v instanceof Tensor)) positions = [positions];
  if (positions.length >= entry.positional) {
    const spread = positions.length > 0 ? spreadList(entry, positions) : undefined;
    if (spread !== undefined) {
      positions = spread;
    } else if (positions.length > entry.positional) {
      throw makeError(
        'ERR_TYPE',
        `${entry.name}: takes at most ${String(entry.positional)} positional arguments, ` +
          `got ${String(positions.length)}`,
      );
    }
  }
  const values: unknown[] = new Array<unknown>(entry.schema.args.length).fill(undefined);
  for (let i = 0; i < positions.length; ++i) values[i] = unwrap(positions[i]);
  const requiresGrad =
    options !== undefined && placeOptions(entry, options, positions.length, values);
  const result = entry.fn(...values);
  if (requiresGrad) native.setRequiresGrad(result as Handle, true);
  return result;
}

/** A single result; when native returned an argument itself, so does this. */
export function wrapOne(result: unknown, self: unknown): Tensor {
  if (self instanceof Tensor && handleOf(self) === result) return self;
  return wrapTensor(result as Handle);
}

export function wrapList(result: unknown): Tensor[] {
  return (result as Handle[]).map((h) => wrapTensor(h));
}

/** Several results: a tuple whose elements also have names. */
export type Named<Tuple extends readonly Tensor[], Fields> = Tuple & Fields;

export function wrapNamed<T>(result: unknown, names: readonly string[]): T {
  const list = wrapList(result);
  names.forEach((name, i) => {
    Object.defineProperty(list, name, { value: list[i], enumerable: false });
  });
  return list as unknown as T;
}

/** Wraps what an op returned, by its schema. */
export function wrapResult(entry: OpEntry, result: unknown, args: readonly unknown[]): unknown {
  if (entry.inPlace) return entry.schema.inplace === 'view' ? reshaped(args[0] as Tensor) : args[0];
  switch (entry.schema.returns) {
    case 'Tensor':
      return wrapOne(result, args[0]);
    case 'Tensors':
      return wrapNamed(result, entry.schema.returnNames);
    case 'Tensor[]':
      return wrapList(result);
    default:
      return result;
  }
}

/**
 * Calls any op by its name: `callOp('softmax', [x, -1])`, `callOp('sum', [x], { dim: 0 })`.
 * Names with a trailing underscore are the in-place forms.
 *
 * @returns a Tensor, an array of Tensors (with names where the op has them), or a plain value.
 */
export function callOp(
  name: string,
  args: readonly unknown[],
  options?: Readonly<Record<string, unknown>>,
): unknown {
  const entry = opEntry(name);
  const all = options === undefined ? args : [...args, options];
  return wrapResult(entry, invoke(entry, all), args);
}
