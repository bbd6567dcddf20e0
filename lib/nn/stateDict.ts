/** Loading of state dicts: what fits is copied, what does not is listed in one error. */
import { noGrad } from '../autograd';
import { makeError } from '../errors';
import { Tensor } from '../tensor';
import type { Module } from './module';
import { bool, readOptions, show } from './options';

/** Parameters and buffers by dotted name. */
export type StateDict = Record<string, Tensor>;

export interface LoadOptions {
  /** Missing and unexpected keys are errors. Default true. */
  readonly strict?: boolean | undefined;
  /** Take over the memory and dtype of the given tensors instead of copying. Default false. */
  readonly assign?: boolean | undefined;
}

export interface LoadResult {
  readonly missingKeys: string[];
  readonly unexpectedKeys: string[];
}

function quote(keys: readonly string[]): string {
  return keys.map((k) => `"${k}"`).join(', ');
}

function sizes(t: Tensor): string {
  return `[${t.shape.join(', ')}]`;
}

/** Names and targets in PyTorch's order; shared tensors under each of their names. */
function targets(module: Module, state: StateDict): Map<string, Tensor> {
  const out = new Map<string, Tensor>();
  const visit = (prefix: string, m: Module): void => {
    m.upgradeStateDict(state, prefix);
    const { parameters, buffers, children } = m.members();
    for (const [name, p] of parameters) if (p !== null) out.set(prefix + name, p);
    for (const [name, b, persistent] of buffers) {
      if (b !== null && persistent) out.set(prefix + name, b);
    }
    for (const [name, child] of children) if (child !== null) visit(`${prefix}${name}.`, child);
  };
  visit('', module);
  return out;
}

/** One element for a 0-d target: how checkpoints before PyTorch 0.4 stored scalars. */
function fit(source: Tensor, target: Tensor): Tensor {
  return target.ndim === 0 && source.ndim === 1 && source.numel() === 1
    ? source.select(0, 0)
    : source;
}

function sameShape(a: Tensor, b: Tensor): boolean {
  return a.ndim === b.ndim && a.shape.every((n, i) => n === b.shape[i]);
}

export function loadState(
  module: Module,
  given: Readonly<StateDict>,
  options: LoadOptions,
): LoadResult {
  const { strict, assign } = readOptions(
    'loadStateDict',
    { strict: bool(true), assign: bool(false) },
    options,
  );
  if (typeof given !== 'object' || given === null || given instanceof Tensor) {
    throw makeError(
      'ERR_TYPE',
      `loadStateDict: argument 'stateDict' must be an object of Tensors, got ${show(given)}`,
    );
  }
  const state = { ...given };
  const wanted = targets(module, state);
  const missingKeys: string[] = [];
  const problems: string[] = [];
  const copies: [Tensor, Tensor][] = [];
  for (const [name, target] of wanted) {
    const value: unknown = Object.hasOwn(state, name) ? state[name] : undefined;
    if (value === undefined) {
      missingKeys.push(name);
    } else if (!(value instanceof Tensor)) {
      problems.push(
        `While copying the parameter named "${name}", expected a Tensor from checkpoint object ` +
          `but received ${show(value)}`,
      );
    } else {
      const source = fit(value, target);
      if (sameShape(source, target)) copies.push([target, source]);
      else {
        problems.push(
          `size mismatch for ${name}: copying a param with shape ${sizes(source)} from ` +
            `checkpoint, the shape in current model is ${sizes(target)}.`,
        );
      }
    }
  }
  const unexpectedKeys = Object.keys(state).filter((key) => !wanted.has(key));
  throwProblems(module, problems, strict ? missingKeys : [], strict ? unexpectedKeys : []);
  noGrad(() => {
    for (const [target, source] of copies) {
      if (assign) target.setData(source);
      else target.copy_(source);
    }
  });
  return { missingKeys, unexpectedKeys };
}

function throwProblems(
  module: Module,
  problems: readonly string[],
  missing: readonly string[],
  unexpected: readonly string[],
): void {
  const lines: string[] = [];
  if (missing.length > 0) lines.push(`Missing key(s) in state_dict: ${quote(missing)}. `);
  if (unexpected.length > 0) lines.push(`Unexpected key(s) in state_dict: ${quote(unexpected)}. `);
  lines.push(...problems);
  if (lines.length === 0) return;
  throw makeError(
    lines.length === problems.length ? 'ERR_SHAPE' : 'ERR_VALUE',
    `Error(s) in loading state_dict for ${module.constructor.name}:\n\t${lines.join('\n\t')}`,
  );
}
