/** Activation checkpointing: memory for time, by computing the forward pass again in the backward. */
import { autocastFlags, runRegion } from './autocastState';
import { enableGrad, Function, type FunctionContext, isGradEnabled } from './autograd';
import { isSelectivePass } from './backwardPass';
import { suggest } from './call';
import { makeError } from './errors';
import { tensor } from './functions/creation';
import { keep } from './memory';
import { native } from './native';
import { restoreRngStates, type RngState, saveRngStates } from './random';
import { handleOf, Tensor } from './tensor';

export interface CheckpointOptions {
  /** Draw the same random numbers again (dropout). Default true. */
  readonly preserveRngState?: boolean;
}

type Outputs = Tensor | readonly Tensor[];

interface Saved {
  readonly fn: (...args: never[]) => Outputs;
  readonly args: readonly unknown[];
  /** Which arguments require a gradient. */
  readonly wanted: readonly boolean[];
  readonly flags: ReturnType<typeof autocastFlags>;
  readonly rng: readonly RngState[] | undefined;
  readonly outputs: readonly string[];
}

const optionNames = ['preserveRngState'];

const describe = (t: Tensor): string => `${t.dtype}[${t.shape.join(', ')}]`;
const asList = (value: Outputs): readonly Tensor[] => (value instanceof Tensor ? [value] : value);

function withRng<T>(states: readonly RngState[] | undefined, fn: () => T): T {
  if (states === undefined) return fn();
  const now = saveRngStates();
  restoreRngStates(states);
  try {
    return fn();
  } finally {
    restoreRngStates(now);
  }
}

/** Runs the function again as it ran before: same random numbers, same autocast state. */
function recompute(saved: Saved, args: readonly unknown[]): readonly Tensor[] {
  const { cpu, cuda, cacheEnabled } = saved.flags;
  const outputs = withRng(saved.rng, () =>
    runRegion({ cpu, cuda, cacheEnabled }, () =>
      enableGrad(() => asList(saved.fn(...(args as never[])))),
    ),
  );
  const found = outputs.map(describe);
  if (found.join() !== saved.outputs.join()) {
    throw makeError(
      'ERR_AUTOGRAD',
      `checkpoint: the function returned ${found.join(', ')} when it was run again, but ` +
        `${saved.outputs.join(', ')} in the forward pass (autocast to ${cpu.dtype} was ` +
        `${cpu.enabled ? 'on' : 'off'}); it must depend on its arguments and parameters only`,
    );
  }
  return outputs;
}

function checkPass(): void {
  if (isGradEnabled()) {
    throw makeError(
      'ERR_AUTOGRAD',
      'checkpoint: derivatives of higher order (createGraph) are not supported',
    );
  }
  if (isSelectivePass()) {
    throw makeError(
      'ERR_AUTOGRAD',
      'checkpoint: not compatible with grad() or backward({ inputs }): the gradients of parameters ' +
        'inside the function go to their grad; use backward()',
    );
  }
}

class Checkpoint extends Function {
  static forward(
    ctx: FunctionContext,
    _anchor: Tensor,
    saved: Omit<Saved, 'outputs'>,
    ...args: readonly unknown[]
  ): Outputs {
    const result = saved.fn(...(args as never[]));
    const outputs = asList(result);
    if (!Array.isArray(outputs) || !outputs.every((t) => t instanceof Tensor)) {
      throw makeError(
        'ERR_TYPE',
        'checkpoint: the function must return a Tensor or an array of them',
      );
    }
    ctx.attributes['saved'] = { ...saved, outputs: outputs.map(describe) } satisfies Saved;
    // Handles of its own: an enclosing tidy disposes those of the program.
    ctx.saveForBackward(...args.map((a) => (a instanceof Tensor ? keep(a.detach()) : null)));
    return result;
  }

  static backward(ctx: FunctionContext, ...grads: Tensor[]): (Tensor | null)[] {
    checkPass();
    const saved = ctx.attributes['saved'] as Saved;
    const tensors = ctx.savedTensors;
    const args = saved.args.map((a, i) => {
      const t = tensors[i];
      return t instanceof Tensor ? t.detach().requiresGrad_(saved.wanted[i] === true) : a;
    });
    const outputs = recompute(saved, args);
    const wanted = outputs
      .map((t, i) => [t, grads[i] as Tensor] as const)
      .filter(([t]) => t.requiresGrad);
    if (wanted.length > 0) {
      native.runBackward(
        wanted.map(([t]) => handleOf(t)),
        wanted.map(([, g]) => handleOf(g)),
        [],
        false,
        false,
      );
    }
    return [null, ...args.filter((a) => a instanceof Tensor).map((a) => a.grad)];
  }
}

/**
 * Runs `fn(...args)` without keeping what its backward pass needs: that is computed again when
 * gradients arrive, with the same random numbers and in the same autocast state. Gradients flow to
 * Tensors among the arguments, and to parameters that `fn` uses. PyTorch:
 * `torch.utils.checkpoint.checkpoint`.
 *
 * @example
 * x = checkpoint((h: Tensor) => block.call(h), [x]);
 */
export function checkpoint<A extends readonly unknown[], R extends Outputs>(
  fn: (...args: A) => R,
  args: A,
  options: CheckpointOptions = {},
): R {
  if (typeof fn !== 'function') throw makeError('ERR_TYPE', 'checkpoint: needs a function');
  if (!(args instanceof Array)) {
    throw makeError(
      'ERR_TYPE',
      'checkpoint: the arguments of the function must be given as an array',
    );
  }
  for (const key of Object.keys(options)) {
    if (optionNames.includes(key)) continue;
    throw makeError('ERR_TYPE', `checkpoint: unknown option '${key}'${suggest(key, optionNames)}`);
  }
  if (!isGradEnabled()) return fn(...args);
  const { cpu, cuda, cacheEnabled } = autocastFlags();
  const saved = {
    fn: fn as unknown as Saved['fn'],
    args: args.map((a: unknown) => (a instanceof Tensor ? null : a)),
    wanted: args.map((a: unknown) => a instanceof Tensor && a.requiresGrad),
    flags: { cpu, cuda, cacheEnabled },
    rng: (options.preserveRngState ?? true) ? saveRngStates() : undefined,
  };
  // Makes the node exist when only parameters inside the function want gradients.
  const anchor = tensor(0, { dtype: 'float32', requiresGrad: true });
  return Checkpoint.apply(anchor, saved, ...args) as R;
}

/** A step of {@link checkpointSequential}: a function, or something with `call`. */
export type CheckpointStep = ((x: Tensor) => Tensor) | { call(x: Tensor): Tensor };

/**
 * Runs steps one after the other, cut into `segments` of which all but the last are checkpointed.
 * PyTorch: `torch.utils.checkpoint.checkpoint_sequential`.
 */
export function checkpointSequential(
  steps: Iterable<CheckpointStep>,
  segments: number,
  input: Tensor,
  options: CheckpointOptions = {},
): Tensor {
  const list = [...steps];
  if (!Number.isInteger(segments) || segments < 1 || segments > list.length) {
    throw makeError(
      'ERR_VALUE',
      `checkpointSequential: 'segments' must be an integer in [1, ${String(list.length)}], ` +
        `got ${String(segments)}`,
    );
  }
  const size = Math.floor(list.length / segments);
  const run = (part: readonly CheckpointStep[]) => (x: Tensor) =>
    part.reduce((h, step) => (typeof step === 'function' ? step(h) : step.call(h)), x);
  let x = input;
  for (let s = 0; s < segments - 1; ++s) {
    x = checkpoint(run(list.slice(s * size, (s + 1) * size)), [x], options);
  }
  return run(list.slice((segments - 1) * size))(x);
}
