/** Automatic differentiation: grad modes, `grad()`, and custom functions. */
import { outsideAutocast } from './autocastState';
import { runSelective } from './backwardPass';
import { makeError } from './errors';
import { native, type Handle } from './native';
import { handleOf, Tensor, wrapTensor } from './tensor';

/** Whether operations are being recorded. */
export function isGradEnabled(): boolean {
  return native.isGradEnabled();
}

/** A grad mode that ends with `using` or by calling `Symbol.dispose`. */
export interface GradModeScope {
  /** Restores the mode that was in force before. */
  end(): void;
}

class ModeScope implements GradModeScope {
  #previous: boolean | undefined;

  constructor(enabled: boolean) {
    this.#previous = native.setGradEnabled(enabled);
  }

  end(): void {
    if (this.#previous === undefined) return;
    native.setGradEnabled(this.#previous);
    this.#previous = undefined;
  }
}

if (typeof Symbol.dispose === 'symbol') {
  Object.defineProperty(ModeScope.prototype, Symbol.dispose, {
    value(this: ModeScope) {
      this.end();
    },
  });
}

function runInMode<T>(where: string, enabled: boolean, fn: () => T): T {
  const previous = native.setGradEnabled(enabled);
  try {
    const result = fn();
    if (result instanceof Promise) {
      // The mode belongs to the thread: it would leak into whatever runs between two awaits.
      throw makeError(
        'ERR_TYPE',
        `${where}: the callback must not be async; call it around the synchronous parts`,
      );
    }
    return result;
  } finally {
    native.setGradEnabled(previous);
  }
}

/**
 * Runs `fn` without recording; without arguments, a scope for `using`.
 * PyTorch: `torch.no_grad`.
 */
export function noGrad(): GradModeScope;
export function noGrad<T>(fn: () => T): T;
export function noGrad<T>(fn?: () => T): T | GradModeScope {
  return fn === undefined ? new ModeScope(false) : runInMode('noGrad', false, fn);
}

/** Runs `fn` with recording on, inside {@link noGrad}. PyTorch: `torch.enable_grad`. */
export function enableGrad(): GradModeScope;
export function enableGrad<T>(fn: () => T): T;
export function enableGrad<T>(fn?: () => T): T | GradModeScope {
  return fn === undefined ? new ModeScope(true) : runInMode('enableGrad', true, fn);
}

/** Turns recording on or off for what follows. PyTorch: `torch.set_grad_enabled`. */
export function setGradEnabled(enabled: boolean): GradModeScope {
  return new ModeScope(enabled);
}

export interface GradOptions {
  /** Gradients of some scalar with respect to the outputs; ones for single elements. */
  readonly gradOutputs?: Tensor | readonly (Tensor | null)[];
  readonly retainGraph?: boolean;
  readonly createGraph?: boolean;
  /** Return null instead of throwing for inputs the outputs do not depend on. */
  readonly allowUnused?: boolean;
}

const gradKeys = ['gradOutputs', 'retainGraph', 'createGraph', 'allowUnused'];

function asList<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

function handles(where: string, list: readonly unknown[]): Handle[] {
  return list.map((t) => {
    if (!(t instanceof Tensor)) throw makeError('ERR_TYPE', `${where} must be Tensors`);
    return handleOf(t);
  });
}

/**
 * Sum of gradients of outputs with respect to the inputs, returned instead of accumulated.
 * PyTorch: `torch.autograd.grad`.
 */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions & { readonly allowUnused: true },
): (Tensor | null)[];
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options?: GradOptions,
): Tensor[];
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  for (const key of Object.keys(options)) {
    if (!gradKeys.includes(key)) {
      throw makeError(
        'ERR_TYPE',
        `grad: unknown option '${key}' (options are ${gradKeys.join(', ')})`,
      );
    }
  }
  const { createGraph = false, retainGraph = createGraph, allowUnused = false } = options;
  const gradients = options.gradOutputs === undefined ? [] : asList(options.gradOutputs);
  const result = outsideAutocast(() =>
    runSelective(() =>
      native.runGrad(
        handles('grad: outputs', asList(outputs)),
        gradients.map((g) => (g === null ? null : handleOf(g as Tensor))),
        handles('grad: inputs', asList(inputs)),
        retainGraph,
        createGraph,
        allowUnused,
      ),
    ),
  );
  return result.map((h) => (h === null ? null : wrapTensor(h)));
}

/** What `forward` leaves for `backward`. */
export class FunctionContext {
  #saved: readonly (Tensor | null)[] = [];
  #versions: readonly number[] = [];
  /** Which tensor inputs of `forward` need a gradient, in order. */
  needsInputGrad: readonly boolean[] = [];
  /** Anything that is not a tensor. */
  readonly attributes: Record<string, unknown> = {};

  /** Keeps tensors for {@link savedTensors}. */
  saveForBackward(...tensors: (Tensor | null)[]): void {
    this.#saved = tensors;
    this.#versions = tensors.map((t) => (t === null ? 0 : t.version));
  }

  /** What {@link saveForBackward} kept. Throws if one was modified in place since. */
  get savedTensors(): readonly (Tensor | null)[] {
    this.#saved.forEach((t, i) => {
      if (t !== null && t.version !== this.#versions[i]) {
        throw makeError(
          'ERR_AUTOGRAD',
          'one of the variables needed for gradient computation has been modified by an inplace ' +
            `operation: saved tensor ${String(i)} is at version ${String(t.version)}; ` +
            `expected version ${String(this.#versions[i])} instead`,
        );
      }
    });
    return this.#saved;
  }
}

type GradientList = Tensor | null | undefined | readonly (Tensor | null | undefined)[];

/** The static side of a custom function: subclass {@link Function} and override both methods. */
export interface FunctionClass<A extends readonly unknown[], R extends Tensor | readonly Tensor[]> {
  readonly name: string;
  forward(ctx: FunctionContext, ...args: A): R;
  backward(ctx: FunctionContext, ...grads: Tensor[]): GradientList;
}

/** Replaces outputs that are inputs: an output of a node must be a tensor of its own. */
function fresh(output: Tensor, inputs: readonly Tensor[]): Tensor {
  const same = inputs.some((t) => native.isSame(handleOf(t), handleOf(output)));
  return same ? wrapTensor(native.ops['detach']?.(handleOf(output)) as Handle) : output;
}

function runBackward<A extends readonly unknown[], R extends Tensor | readonly Tensor[]>(
  cls: FunctionClass<A, R>,
  ctx: FunctionContext,
  shapes: readonly { shape: readonly number[]; dtype: string }[],
  inputs: number,
  grads: readonly (Handle | null)[],
): (Handle | null)[] {
  const zeros = native.ops['zeros'];
  const given = grads.map((g, i) =>
    wrapTensor(g ?? (zeros?.(shapes[i]?.shape, shapes[i]?.dtype) as Handle)),
  );
  const result = cls.backward(ctx, ...given);
  const list = Array.isArray(result)
    ? (result as readonly (Tensor | null | undefined)[])
    : [result as Tensor | null | undefined];
  if (list.length !== inputs) {
    throw makeError(
      'ERR_AUTOGRAD',
      `${cls.name}: backward must return one gradient (or null) per tensor input: ` +
        `expected ${String(inputs)}, got ${String(list.length)}`,
    );
  }
  return list.map((g) => (g === null || g === undefined ? null : handleOf(g)));
}

/**
 * Base of operations whose derivative is written in TypeScript. `forward(ctx, ...args)` computes
 * without recording; `backward(ctx, ...gradients)` returns one gradient (or null) per Tensor
 * argument of forward, in order. Call it by `apply`. PyTorch: `torch.autograd.Function`.
 *
 * @example
 * class Square extends Function {
 *   static forward(ctx, x) { ctx.saveForBackward(x); return x.mul(x); }
 *   static backward(ctx, g) { return g.mul(ctx.savedTensors[0].mul(2)); }
 * }
 * const y = Square.apply(x);
 */
export abstract class Function {
  static apply<A extends readonly unknown[], R extends Tensor | readonly Tensor[]>(
    this: FunctionClass<A, R>,
    ...args: A
  ): R {
    const inputs = args.filter((a): a is Tensor & A[number] => a instanceof Tensor);
    const ctx = new FunctionContext();
    ctx.needsInputGrad = inputs.map((t) => t.requiresGrad);
    const records = isGradEnabled() && ctx.needsInputGrad.includes(true);
    const result = noGrad(() => this.forward(ctx, ...args));
    if (!records) return result;
    const outputs = asList(result as Tensor | readonly Tensor[]).map((t) => {
      if (!(t instanceof Tensor)) {
        throw makeError(
          'ERR_TYPE',
          `${this.name}: forward must return a Tensor or an array of them`,
        );
      }
      return fresh(t, inputs);
    });
    const shapes = outputs.map((t) => ({ shape: t.shape, dtype: t.dtype }));
    native.customFunction(
      `${this.name}Backward`,
      inputs.map((t) => handleOf(t)),
      outputs.map((t) => handleOf(t)),
      (grads) => runBackward(this, ctx, shapes, inputs.length, grads),
    );
    return (Array.isArray(result) ? outputs : outputs[0]) as R;
  }
}
