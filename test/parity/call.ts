/** Finds the function of a case and calls it with its arguments, mapped by name. */
import * as ampgrad from '../../lib';
import { opSchemas, Tensor } from '../../lib';
import { camel, isList } from './decode';

export class Missing extends Error {}

type Callable = (...args: unknown[]) => unknown;

const schemas = new Map(opSchemas().map((s) => [s.name, s]));
const dropped = new Set(['layout', 'memory_format', 'pin_memory']);

/** Methods written by hand: they take PyTorch's positions. */
const byHand = new Set(['to']);

function lookUp(path: readonly string[]): Callable | undefined {
  let at: unknown = ampgrad;
  for (const name of path) at = (at as Record<string, unknown> | undefined)?.[name];
  return typeof at === 'function' ? (at as Callable) : undefined;
}

/** `torch.nn.functional.conv2d` -> nn.functional.conv2d or conv2d. */
function resolve(call: string): { fn: Callable; name: string; row: boolean } {
  const parts = call
    .replace(/^torch\./, '')
    .split('.')
    .map(camel);
  const name = parts[parts.length - 1] as string;
  const fn = lookUp(parts) ?? lookUp([name]);
  if (fn === undefined) throw new Missing(call);
  // torch.linalg.solve is the row linalgSolve.
  const inRow = camel(parts.join('_'));
  const generated = schemas.has(inRow);
  return { fn, name: generated ? inRow : name, row: generated || fn === lookUp([name]) };
}

/** Positions that the schema wants by name become options. */
function place(
  name: string,
  args: unknown[],
  options: Record<string, unknown>,
  row = true,
): unknown[] {
  const schema = schemas.get(name);
  if (schema === undefined) return args;
  const limit = schema.args.filter((a) => !a.keywordOnly).length;
  // What the schema requires is positional, whatever Python's caller wrote.
  for (let i = args.length; i < limit; ++i) {
    const key = schema.args[i]?.name ?? '';
    if (schema.args[i]?.required !== true || !(key in options)) break;
    args.push(options[key]);
    Reflect.deleteProperty(options, key);
  }
  const spreads = ['int[]', 'Tensor[]'].includes(schema.args[limit - 1]?.type ?? '');
  const variadic = schema.args[0]?.type === 'Tensor[]' && args[1] instanceof Tensor;
  // A function written by hand that shares the name of a row takes PyTorch's positions.
  if (args.length <= limit || spreads || variadic || !row) return args;
  args.slice(limit).forEach((v, i) => {
    const key = schema.args[limit + i]?.name;
    if (key !== undefined) options[key] = v;
  });
  return args.slice(0, limit);
}

/** A tuple is several indices, a list is one. */
function indices(index: unknown): unknown[] {
  return Array.isArray(index) && !isList(index) ? (index as unknown[]) : [index];
}

export interface Case {
  readonly kind: 'function' | 'method' | 'property';
  readonly call: string;
}

function finish(args: unknown[], options: Record<string, unknown>): unknown[] {
  return Object.keys(options).length === 0 ? args : [...args, options];
}

export function callCase(c: Case, args: unknown[], kwargs: Record<string, unknown>): unknown {
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(kwargs)) {
    if (!dropped.has(key)) options[camel(key)] = value;
  }
  if (c.kind === 'function') {
    const { fn, name, row } = resolve(c.call);
    return fn(...finish(place(name, args, options, row), options));
  }
  const [self, ...rest] = args as [Tensor, ...unknown[]];
  if (c.call === '__getitem__') return self.get(...(indices(rest[0]) as never[]));
  if (c.call === '__setitem__') {
    self.set(indices(rest[0]) as never, rest[1] as never);
    return null;
  }
  const name = camel(c.call);
  if (!(name in self)) throw new Missing(c.call);
  const member = (self as unknown as Record<string, unknown>)[name];
  if (c.kind === 'property') return member;
  if (typeof member !== 'function') throw new Missing(c.call);
  const placed = place(name, args, options, !byHand.has(name)).slice(1);
  return (member as Callable).apply(self, finish(placed, options));
}
