/** Loading of state dicts: what fits is copied, what does not is listed in one error. */
import { noGrad } from '../autograd';
import { makeError } from '../errors';
import { type RemovableHandle, Tensor } from '../tensor';
import { addEntry, type StateHooks } from './hooks';
import { type Module, moduleState } from './module';
import { bool, checkNames, readOptions, show } from './options';

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

export interface StateDictOptions {
  /** Put before every name. Default ''. */
  readonly prefix?: string | undefined;
  /** The tensors themselves instead of detached ones. Default false. */
  readonly keepVars?: boolean | undefined;
}

/** What {@link Module.stateDict} returns. */
export function collectState(top: Module, options: StateDictOptions): StateDict {
  checkNames('stateDict', options, ['prefix', 'keepVars']);
  const { prefix = '', keepVars = false } = options;
  let out: StateDict = {};
  const add = (name: string, t: Tensor): void => {
    out[name] = keepVars ? t : t.detach();
  };
  const visit = (start: string, module: Module): void => {
    const hooks = stateHooks(module);
    for (const hook of [...(hooks?.savePre ?? [])]) hook(module, start, keepVars);
    const { parameters, buffers, children } = module.members();
    for (const [name, p] of parameters) if (p !== null) add(start + name, p);
    for (const [name, b, persistent] of buffers) {
      if (b !== null && persistent) add(start + name, b);
    }
    for (const [name, child] of children) {
      if (child !== null) visit(`${start}${name}.`, child);
    }
    for (const hook of [...(hooks?.savePost ?? [])]) {
      const replaced = hook(module, out, start);
      if (replaced !== undefined && replaced !== null) out = replaced as StateDict;
    }
  };
  visit(prefix, top);
  return out;
}

function stateHooks(module: Module): StateHooks | undefined {
  return module[moduleState]?.hooks?.state;
}

/** Adds a hook of saving or loading. */
export function addStateHook(
  module: Module,
  hooks: StateHooks,
  kind: keyof StateHooks,
  hook: unknown,
): RemovableHandle {
  return addEntry(`${module.constructor.name}: ${kind} hook`, hooks[kind], hook);
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
    for (const hook of [...(stateHooks(m)?.loadPre ?? [])]) hook(m, state, prefix);
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

function checkGiven(given: unknown): void {
  if (typeof given === 'object' && given !== null && !(given instanceof Tensor)) return;
  throw makeError(
    'ERR_TYPE',
    `loadStateDict: argument 'stateDict' must be an object of Tensors, got ${show(given)}`,
  );
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
  checkGiven(given);
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
  const result = { missingKeys, unexpectedKeys };
  const check = (): void =>
    throwProblems(module, problems, strict ? missingKeys : [], strict ? unexpectedKeys : []);
  const post = module.modules().reverse();
  const hasPost = post.some((m) => (stateHooks(m)?.loadPost.length ?? 0) > 0);
  // Hooks see the loaded values and may forgive missing and unexpected keys, but not problems.
  if (!hasPost || problems.length > 0) check();
  noGrad(() => {
    for (const [target, source] of copies) {
      if (assign) target.setData(source);
      else target.copy_(source);
    }
  });
  for (const m of post) {
    for (const hook of [...(stateHooks(m)?.loadPost ?? [])]) hook(m, result);
  }
  check();
  return result;
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
