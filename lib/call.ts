/**
 * The road from a TypeScript call to a native op: unwraps tensors, puts options where the schema
 * wants them, rejects what does not belong, wraps results. lib/ops is made of these pieces.
 */
import { describeArgument } from './amp/describe';
import { makeError } from './errors';
import { native, type Handle, type NativeFunction, type OpSchema } from './native';
import { handleOf, reshaped, Tensor, wrapTensor } from './tensor';

/** PyTorch's functions of `*tensors`. */
const variadic = new Set(['blockDiag', 'broadcastTensors', 'cartesianProd', 'meshgrid']);

/** How an op takes its arguments. */
interface Form {
  readonly schema: OpSchema;
  /** Writes its first argument and returns it. */
  readonly inPlace: boolean;
  /** Number of arguments that may be given by position. */
  readonly positional: number;
  /** The last positional argument is a list of integers, which may be spread: view(2, 3). */
  readonly spreads: boolean;
  /** The tensors may also be given one by one: meshgrid(x, y). */
  readonly variadic: boolean;
  /** Positions of the arguments. */
  readonly index: ReadonlyMap<string, number>;
  /** Takes `out`: the tensors that the results are written into. */
  readonly out: boolean;
}

function readForm(name: string, target: string): Form {
  const schema = native.opSchema(target);
  const { args } = schema;
  const positional = args.filter((a) => !a.keywordOnly).length;
  const index = new Map(args.map((a, i) => [a.name, i]));
  const inPlace = schema.name !== target || schema.inplace === 'only';
  return {
    schema,
    inPlace,
    positional,
    spreads: args[positional - 1]?.type === 'int[]',
    variadic: variadic.has(name),
    index,
    out: schema.out && !inPlace,
  };
}

/** A name an op is called by. The form is read on the first call that needs it: most never are. */
export class OpEntry {
  #form: Form | undefined;

  constructor(
    readonly name: string,
    readonly fn: NativeFunction,
    /** The name that `fn` has in the addon. */
    private readonly target: string,
  ) {}

  get form(): Form {
    return (this.#form ??= readForm(this.name, this.target));
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
  const fn = native.ops[target];
  return fn === undefined ? undefined : new OpEntry(name, fn, target);
}

function* opNames(): Generator<string> {
  yield* native.opNames();
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
  const { positional, spreads } = entry.form;
  const first = positional - 1;
  const rest = args.slice(first);
  if (!spreads || !rest.every((v) => typeof v === 'number' || typeof v === 'bigint')) {
    return undefined;
  }
  return [...args.slice(0, first), rest];
}

/**
 * The list of integers that is all a call was given, as one number, several, or an array; anything
 * else is for {@link call}.
 */
export function listOf(first: unknown, more: readonly unknown[]): unknown {
  if (typeof first === 'number') {
    if (more.length === 0) return first;
    for (const value of more) if (typeof value !== 'number') return undefined;
    return [first, ...more];
  }
  if (more.length > 0 || !Array.isArray(first)) return undefined;
  for (const value of first) if (typeof value !== 'number') return undefined;
  return first;
}

/** What functions take beside their own options where the result can go into a given tensor. */
export interface OutOption {
  /**
   * Write the result into this tensor and return it. It must have the result's shape, or no elements, and
   * then takes that shape; the result's dtype must be castable to its dtype (ERR_SHAPE, ERR_DTYPE,
   * ERR_DEVICE otherwise). Gradients are not recorded: ERR_AUTOGRAD when one of the tensors requires
   * them, outside `noGrad`. Inside autocast nothing is cast. PyTorch: `out=`. Default: a new tensor.
   */
  readonly out?: Tensor | null | undefined;
}

/** The same for functions with several results: one tensor for each, in their order. */
export interface OutsOption<T extends readonly Tensor[]> {
  /** Write the results into these tensors and return them; see {@link OutOption}. */
  readonly out?: T | null | undefined;
}

/** Options that are no arguments of the op. */
interface Beside {
  requiresGrad: boolean;
  out: Out | undefined;
}

/** The value of the option `out`: a tensor, or one for each of several results. */
type Out = Tensor | readonly Tensor[];

function checkOut(entry: OpEntry, value: unknown): Out {
  const { returnNames, returns } = entry.form.schema;
  if (returns === 'Tensors') {
    const count = returnNames.length;
    if (Array.isArray(value) && value.length === count && value.every((v) => v instanceof Tensor)) {
      return value as Tensor[];
    }
    const names = returnNames.join(', ');
    throw makeError(
      'ERR_TYPE',
      `${entry.name}: option 'out' must be an array of ${String(count)} Tensors (${names}), ` +
        `got ${describeArgument(value)}`,
    );
  }
  if (value instanceof Tensor) return value;
  throw makeError(
    'ERR_TYPE',
    `${entry.name}: option 'out' must be a Tensor, got ${describeArgument(value)}`,
  );
}

function placeOptions(
  entry: OpEntry,
  options: Record<string, unknown>,
  given: number,
  values: unknown[],
): Beside {
  const beside: Beside = { requiresGrad: false, out: undefined };
  for (const [key, value] of Object.entries(options)) {
    const at = entry.form.index.get(key);
    if (at === undefined) {
      if (entry.form.out && key === 'out') {
        if (value !== undefined && value !== null) beside.out = checkOut(entry, value);
        continue;
      }
      if (entry.form.schema.factory && key === 'requiresGrad') {
        if (typeof value !== 'boolean') {
          throw makeError('ERR_TYPE', `${entry.name}: option 'requiresGrad' must be a boolean`);
        }
        beside.requiresGrad = value;
        continue;
      }
      const names = entry.form.schema.args.filter((a) => !a.required).map((a) => a.name);
      if (entry.form.schema.factory) names.push('requiresGrad');
      if (entry.form.out) names.push('out');
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
  return beside;
}

/** Runs an op whose results go into given tensors. */
function callInto(entry: OpEntry, out: Out, values: readonly unknown[]): unknown {
  const outs = out instanceof Tensor ? [out] : out;
  native.callInto(entry.form.schema.name, outs.map(handleOf), values);
  for (const t of outs) reshaped(t);
  return out instanceof Tensor ? out : named([...outs], entry.form.schema.returnNames);
}

/** What an op is given for a call as a user writes it: positions, then one options object. */
function readArguments(entry: OpEntry, args: readonly unknown[]): [unknown[], Beside | undefined] {
  const { form } = entry;
  let positions: readonly unknown[] = args;
  let options: Record<string, unknown> | undefined;
  const last = args.length === 0 ? undefined : args[args.length - 1];
  if (isOptions(last)) {
    options = last;
    positions = args.slice(0, -1);
  }
  if (form.variadic && positions.every((v) => v instanceof Tensor)) positions = [positions];
  if (positions.length >= form.positional) {
    const spread = positions.length > 0 ? spreadList(entry, positions) : undefined;
    if (spread !== undefined) {
      positions = spread;
    } else if (positions.length > form.positional) {
      throw makeError(
        'ERR_TYPE',
        `${entry.name}: takes at most ${String(form.positional)} positional arguments, ` +
          `got ${String(positions.length)}`,
      );
    }
  }
  const values: unknown[] = new Array<unknown>(form.schema.args.length).fill(undefined);
  for (let i = 0; i < positions.length; ++i) values[i] = unwrap(positions[i]);
  if (options === undefined) return [values, undefined];
  return [values, placeOptions(entry, options, positions.length, values)];
}

/** Calls an op as a user does and wraps what it returns: a `T`, by its schema. */
export function call<T>(entry: OpEntry, args: readonly unknown[]): T {
  const [values, beside] = readArguments(entry, args);
  if (beside?.out !== undefined) return callInto(entry, beside.out, values) as T;
  const result = entry.fn(...values);
  if (beside?.requiresGrad === true) native.setRequiresGrad(result as Handle, true);
  return wrapResult(entry, result, args[0]) as T;
}

/** A single result; when native returned an argument itself, so does this. */
export function wrapOne(result: unknown, self: unknown): Tensor {
  if (self instanceof Tensor && handleOf(self) === result) return self;
  return wrapTensor(result as Handle);
}

export function wrapList(result: unknown): Tensor[] {
  return (result as Handle[]).map(wrapTensor);
}

/** Several results: a tuple whose elements also have names. */
export type Named<Tuple extends readonly Tensor[], Fields> = Tuple & Fields;

function named(list: Tensor[], names: readonly string[]): Tensor[] {
  names.forEach((name, i) => {
    Object.defineProperty(list, name, { value: list[i], enumerable: false });
  });
  return list;
}

export function wrapNamed<T>(result: unknown, names: readonly string[]): T {
  return named(wrapList(result), names) as unknown as T;
}

/** Wraps what an op returned, by its schema. */
function wrapResult(entry: OpEntry, result: unknown, self: unknown): unknown {
  const { schema, inPlace } = entry.form;
  if (inPlace) return schema.inplace === 'view' ? reshaped(self as Tensor) : self;
  switch (schema.returns) {
    case 'Tensor':
      return wrapOne(result, self);
    case 'Tensors':
      return wrapNamed(result, schema.returnNames);
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
  return call(opEntry(name), options === undefined ? args : [...args, options]);
}
