/**
 * The road from a TypeScript call to a native op: unwraps tensors, puts options where the schema
 * wants them, rejects what does not belong, wraps results. ops.gen.ts is made of these pieces.
 */
import { makeError } from './errors';
import { native, type Handle, type NativeFunction, type OpSchema } from './native';
import { handleOf, reshaped, Tensor, wrapTensor } from './tensor';

/** PyTorch's functions of `*tensors`. */
const variadic = new Set(['blockDiag', 'broadcastTensors', 'cartesianProd', 'meshgrid']);

/**
 * A name an op is called by. Most programs call a few of them, so that all but the function is read
 * from the op table when it is first asked for.
 */
export class OpEntry {
  #schema: OpSchema | undefined;
  #positional: number | undefined;
  #index: ReadonlyMap<string, number> | undefined;

  constructor(
    readonly name: string,
    readonly fn: NativeFunction,
    /** The name that `fn` has in the addon. */
    private readonly target: string,
  ) {}

  get schema(): OpSchema {
    return (this.#schema ??= native.opSchema(this.target));
  }

  /** Writes its first argument and returns it. */
  get inPlace(): boolean {
    return this.schema.name !== this.target || this.schema.inplace === 'only';
  }

  /** Number of arguments that may be given by position. */
  get positional(): number {
    return (this.#positional ??= this.schema.args.filter((a) => !a.keywordOnly).length);
  }

  /** The last positional argument is a list of integers, which may be spread: view(2, 3). */
  get spreads(): boolean {
    return this.schema.args[this.positional - 1]?.type === 'int[]';
  }

  /** The tensors may also be given one by one: meshgrid(x, y). */
  get variadic(): boolean {
    return variadic.has(this.name);
  }

  /** Positions of the arguments. */
  get index(): ReadonlyMap<string, number> {
    return (this.#index ??= new Map(this.schema.args.map((a, i) => [a.name, i])));
  }

  /** Makes a tensor from nothing: takes `requiresGrad`. */
  get factory(): boolean {
    return (
      this.index.has('device') && this.index.has('dtype') && this.schema.differentiable === 'no'
    );
  }
}

const entries = new Map<string, OpEntry>();
const aliases = native.opAliases();

let schemas: readonly OpSchema[] | undefined;

/** The registry as data: every op with its schema, dtypes, policies. */
export function opSchemas(): readonly OpSchema[] {
  return (schemas ??= native.opSchemas());
}

function makeEntry(name: string): OpEntry | undefined {
  const suffix = name.endsWith('_') ? '_' : '';
  const alias = name.slice(0, name.length - suffix.length);
  const target = Object.hasOwn(aliases, alias) ? `${aliases[alias] as string}${suffix}` : name;
  const fn = Object.hasOwn(native.ops, target) ? native.ops[target] : undefined;
  return fn === undefined ? undefined : new OpEntry(name, fn, target);
}

function* opNames(): Generator<string> {
  yield* Object.keys(native.ops);
  for (const alias of Object.keys(aliases)) {
    for (const name of [alias, `${alias}_`]) {
      if (makeEntry(name) !== undefined) yield name;
    }
  }
}

/** The entry of an op by name (`add`, `add_`). */
export function opEntry(name: string): OpEntry {
  let entry = entries.get(name);
  if (entry === undefined) {
    entry = makeEntry(name);
    if (entry === undefined) {
      throw makeError('ERR_VALUE', `no op is named '${name}'${suggest(name, opNames())}`);
    }
    entries.set(name, entry);
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
