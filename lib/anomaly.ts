/** Anomaly detection: finds the op, and the line of the program, that made a gradient NaN. */
import { makeError } from './errors';
import { native } from './native';
import { isfinite } from './ops.gen';
import { type Tensor } from './tensor';

export interface AnomalyOptions {
  /** Look for NaN in every gradient. False: only note where ops were called. Default true. */
  readonly checkNan?: boolean;
}

/** Anomaly detection that ends with `using` or {@link AnomalyScope.end}. */
export interface AnomalyScope {
  end(): void;
}

/** Depth of scopes, and what each of them replaced. */
const active: boolean[] = [];

/** The frames of the program, innermost first. */
function callSite(): string {
  const { stack } = makeError('ERR_INTERNAL', '');
  return (stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .join('\n');
}

function set(): void {
  const checkNan = active.at(-1);
  if (checkNan === undefined) native.disableAnomaly();
  else native.enableAnomaly(checkNan, callSite);
}

class Scope implements AnomalyScope {
  #open = true;

  constructor(checkNan: boolean) {
    active.push(checkNan);
    set();
  }

  end(): void {
    if (!this.#open) return;
    this.#open = false;
    active.pop();
    set();
  }
}

if (typeof Symbol.dispose === 'symbol') {
  Object.defineProperty(Scope.prototype, Symbol.dispose, {
    value(this: Scope) {
      this.end();
    },
  });
}

/**
 * Runs `fn` under anomaly detection, which must cover the forward and the backward pass: an error
 * of the backward pass names the op and the line that called it, and a NaN among the gradients is
 * such an error. Slow; for debugging. Without `fn`, a scope for `using`.
 * PyTorch: `torch.autograd.detect_anomaly`.
 */
export function detectAnomaly(options?: AnomalyOptions): AnomalyScope & Disposable;
export function detectAnomaly<T>(fn: () => T): T;
export function detectAnomaly<T>(options: AnomalyOptions, fn: () => T): T;
export function detectAnomaly<T>(
  a?: AnomalyOptions | (() => T),
  b?: () => T,
): T | (AnomalyScope & Disposable) {
  const fn = typeof a === 'function' ? a : b;
  const { checkNan = true } = typeof a === 'function' ? {} : (a ?? {});
  const scope = new Scope(checkNan);
  if (fn === undefined) return scope as Scope & Disposable;
  let result: T;
  try {
    result = fn();
  } catch (error) {
    scope.end();
    throw error;
  }
  if (result instanceof Promise) {
    return result.finally(() => {
      scope.end();
    }) as T;
  }
  scope.end();
  return result;
}

/** Whether {@link detectAnomaly} is on. */
export function isAnomalyEnabled(): boolean {
  return active.length > 0;
}

/** A tensor by name, as `module.namedParameters()` yields them. */
export type NamedTensors = Iterable<readonly [string, Tensor]>;

/** The number of elements that are NaN or infinite. */
export function countNonFinite(t: Tensor): number {
  if (t.numel() === 0 || !t.isFloatingPoint()) return 0;
  return t.numel() - isfinite(t.detach()).sum().item();
}

/**
 * Throws when a loss, or any other tensor, holds NaN or infinity; returns it otherwise.
 * @throws TensorError ERR_VALUE naming it and counting what is wrong.
 */
export function checkFinite(t: Tensor, name = 'tensor'): Tensor {
  const bad = countNonFinite(t);
  if (bad > 0) {
    throw makeError(
      'ERR_AUTOGRAD',
      `checkFinite: ${name} (${t.dtype}[${t.shape.join(', ')}]) holds ${String(bad)} of ` +
        `${String(t.numel())} values that are NaN or infinite`,
    );
  }
  return t;
}

/** Names of the parameters whose gradients hold NaN or infinity, with the number of such values. */
export function nonFiniteGradients(named: NamedTensors): { name: string; count: number }[] {
  const found: { name: string; count: number }[] = [];
  for (const [name, t] of named) {
    const { grad } = t;
    const count = grad === null ? 0 : countNonFinite(grad);
    if (count > 0) found.push({ name, count });
  }
  return found;
}
