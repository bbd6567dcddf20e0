/** Gradient clipping. One native call measures all gradients, one scales them. */
import { opFunction, suggest } from '../../call';
import type { DType } from '../../dtype';
import { makeError } from '../../errors';
import { native, type Handle } from '../../native';
import { handleOf, Tensor, wrapTensor } from '../../tensor';

const norm = opFunction('multiTensorNorm');
const scale = opFunction('multiTensorScale_');

export interface ClipGradNormOptions {
  /** Order of the norm; Infinity is allowed. Default 2. */
  readonly normType?: number;
  /** Throw when the norm is NaN or infinite. Default false. */
  readonly errorIfNonfinite?: boolean;
  /** Accepted for compatibility: all of the list is always worked on at once. */
  readonly foreach?: boolean | null;
}

const normKeys = ['normType', 'errorIfNonfinite', 'foreach'];

function checkKeys(where: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    throw makeError(
      'ERR_TYPE',
      `${where}: unknown option '${key}'${suggest(key, known)} (options are ${known.join(', ')})`,
    );
  }
}

function tensorList(where: string, name: string, given: Tensor | Iterable<Tensor>): Tensor[] {
  if (given instanceof Tensor) return [given];
  const list =
    typeof given === 'object' && given !== null && Symbol.iterator in given
      ? [...given]
      : undefined;
  if (list?.every((t) => t instanceof Tensor) !== true) {
    throw makeError(
      'ERR_TYPE',
      `${where}: argument '${name}' must be a Tensor or an iterable of Tensors`,
    );
  }
  return list;
}

function checkNumber(where: string, name: string, value: unknown): number {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw makeError(
      'ERR_TYPE',
      `${where}: argument '${name}' must be a number, got ${String(value)}`,
    );
  }
  return value;
}

function gradients(parameters: readonly Tensor[]): Handle[] {
  return native.grads(parameters.map(handleOf)).filter((g) => g !== null);
}

/** PyTorch's result dtype: that of the gradients. */
const rank: readonly string[] = ['float16', 'bfloat16', 'float32', 'float64'];

function commonDtype(list: readonly Handle[]): DType {
  const names = new Set(list.map((h) => native.dtype(h)));
  if (names.size === 1) return [...names][0] as DType;
  return names.has('float64') ? 'float64' : 'float32';
}

function totalNorm(where: string, list: readonly Handle[], options: ClipGradNormOptions): Handle {
  checkKeys(where, options, normKeys);
  const { normType = 2, errorIfNonfinite = false } = options;
  const total = norm(list, checkNumber(where, 'normType', normType)) as Handle;
  if (errorIfNonfinite && !Number.isFinite(native.item(total) as number)) {
    throw makeError(
      'ERR_VALUE',
      `${where}: the total norm of order ${String(normType)} is non-finite, so it cannot be clipped; ` +
        'to scale the gradients by it anyway, set errorIfNonfinite: false',
    );
  }
  return total;
}

function rounded(total: Handle, list: readonly Handle[]): Tensor {
  const t = wrapTensor(total);
  const dtype = list.length === 0 ? 'float32' : commonDtype(list);
  return rank.includes(dtype) && dtype !== t.dtype ? t.to(dtype) : t;
}

/** The norm of all tensors taken as one vector. PyTorch: `torch.nn.utils.get_total_norm`. */
export function getTotalNorm(
  tensors: Tensor | Iterable<Tensor>,
  options: ClipGradNormOptions = {},
): Tensor {
  const list = tensorList('getTotalNorm', 'tensors', tensors).map(handleOf);
  return rounded(totalNorm('getTotalNorm', list, options), list);
}

function clipWith(list: readonly Handle[], maxNorm: number, total: Tensor): void {
  if (list.length === 0) return;
  const wide = total.dtype === 'float64' ? total : total.to('float32');
  const factor = wide.add(1e-6).reciprocal().mul(maxNorm).clamp({ max: 1 });
  scale(list, handleOf(factor));
}

/**
 * Scales the gradients down so that a norm computed before becomes at most `maxNorm`.
 * PyTorch: `torch.nn.utils.clip_grads_with_norm_`.
 */
export function clipGradsWithNorm_(
  parameters: Tensor | Iterable<Tensor>,
  maxNorm: number,
  totalNorm: Tensor,
): void {
  const where = 'clipGradsWithNorm_';
  const list = gradients(tensorList(where, 'parameters', parameters));
  clipWith(list, checkNumber(where, 'maxNorm', maxNorm), totalNorm.detach());
}

/**
 * Scales the gradients in place so that their norm, taken over all of them as one vector, is at
 * most `maxNorm`. PyTorch: `torch.nn.utils.clip_grad_norm_`.
 * @returns the norm before.
 */
export function clipGradNorm_(
  parameters: Tensor | Iterable<Tensor>,
  maxNorm: number,
  options: ClipGradNormOptions = {},
): Tensor {
  const where = 'clipGradNorm_';
  checkNumber(where, 'maxNorm', maxNorm);
  const list = gradients(tensorList(where, 'parameters', parameters));
  const total = totalNorm(where, list, options);
  clipWith(list, maxNorm, wrapTensor(total));
  return rounded(total, list);
}

/** Clamps every gradient to [-clipValue, clipValue] in place. PyTorch: `clip_grad_value_`. */
export function clipGradValue_(
  parameters: Tensor | Iterable<Tensor>,
  clipValue: number,
  options: { readonly foreach?: boolean | null } = {},
): void {
  const where = 'clipGradValue_';
  checkKeys(where, options, ['foreach']);
  const bound = checkNumber(where, 'clipValue', clipValue);
  const list = gradients(tensorList(where, 'parameters', parameters));
  scale(list, null, -bound, bound);
}
