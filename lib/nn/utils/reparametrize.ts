/**
 * PyTorch's older weightNorm and spectralNorm, which put parameters of their own names beside the
 * layer's: `weight_g` and `weight_v`, or `weight_orig` and the vectors `weight_u`, `weight_v`.
 * PyTorch: `torch.nn.utils.weight_norm`, `spectral_norm`.
 */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { normalize, randn } from '../../ops.gen';
import { type RemovableHandle, Tensor } from '../../tensor';
import type { Module } from '../module';
import { optionalInt, readArguments } from '../options';
import { Parameter } from '../parameter';
import {
  asMatrix,
  nameSpec,
  normExcept,
  powerIteration,
  type SpectralNormOptions,
  spectralNormSpec,
} from './parametrizations';

interface Applied {
  readonly kind: 'weightNorm' | 'spectralNorm';
  readonly handle: RemovableHandle;
  readonly compute: (module: Module) => Tensor;
  /** Fields that go when the norm is removed. */
  readonly fields: readonly string[];
}

const applied = new WeakMap<Module, Map<string, Applied>>();

type Fields = Record<string, unknown>;

function tensorOf(name: string, module: Module, field: string): Tensor {
  const value = (module as unknown as Fields)[field];
  if (value instanceof Tensor) return value;
  throw makeError('ERR_VALUE', `${name}: ${module.constructor.name} has no tensor '${field}'`);
}

/** Takes the parameter `field` away and computes a plain tensor in its place before each call. */
function install(module: Module, field: string, entry: Omit<Applied, 'handle'>): void {
  const list = applied.get(module) ?? new Map<string, Applied>();
  if (list.has(field)) {
    throw makeError(
      'ERR_VALUE',
      `${entry.kind}: cannot register two norms on the same parameter ${field}`,
    );
  }
  const set = (target: Module): void => {
    Object.defineProperty(target, field, {
      value: entry.compute(target),
      enumerable: false,
      configurable: true,
      writable: true,
    });
  };
  set(module);
  const handle = module.registerForwardPreHook((target: Module) => {
    set(target);
  });
  applied.set(module, list.set(field, { ...entry, handle }));
}

function remove(kind: Applied['kind'], module: Module, field: string): void {
  const entry = applied.get(module)?.get(field);
  if (entry?.kind !== kind) {
    throw makeError('ERR_VALUE', `${kind} of '${field}' not found in ${module.constructor.name}`);
  }
  const value = noGrad(() => entry.compute(module).clone());
  entry.handle.remove();
  applied.get(module)?.delete(field);
  for (const name of entry.fields) Reflect.deleteProperty(module, name);
  Reflect.deleteProperty(module, field);
  (module as unknown as Fields)[field] = new Parameter(value);
}

type NameArguments<O> = [options?: O & { readonly name?: string }] | [name: string, options?: O];

/**
 * Trains length `<name>_g` and direction `<name>_v` of a weight apart. Salimans & Kingma 2016.
 * @param args name of the field ('weight'); `dim` (default 0): a length for each index along it,
 * null for a single one.
 */
export function weightNorm<M extends Module>(
  module: M,
  ...args: NameArguments<{ readonly dim?: number | null | undefined }>
): M {
  const spec = { name: nameSpec, dim: optionalInt(0, -Infinity) };
  const read = readArguments('weightNorm', spec, args, ['name']);
  const { name } = read;
  const dim = read.dim === -1 ? null : read.dim;
  const weight = tensorOf('weightNorm', module, name);
  const [g, v] = [`${name}_g`, `${name}_v`];
  const parts = noGrad(() => [normExcept(weight, dim).clone(), weight.clone()] as const);
  Reflect.deleteProperty(module, name);
  module.registerParameter(g, new Parameter(parts[0]));
  module.registerParameter(v, new Parameter(parts[1]));
  const compute = (target: Module): Tensor => {
    const direction = tensorOf('weightNorm', target, v);
    return direction.mul(tensorOf('weightNorm', target, g).div(normExcept(direction, dim)));
  };
  install(module, name, { kind: 'weightNorm', compute, fields: [g, v] });
  return module;
}

/** Makes the weight a parameter again, with its present value. */
export function removeWeightNorm<M extends Module>(module: M, name = 'weight'): M {
  remove('weightNorm', module, name);
  return module;
}

/**
 * Divides a weight by its largest singular value, which every call in training refines by power
 * iteration. Miyato et al. 2018.
 */
export function spectralNorm<M extends Module>(
  module: M,
  ...args: NameArguments<SpectralNormOptions>
): M {
  const { name, nPowerIterations, eps, ...read } = readArguments(
    'spectralNorm',
    spectralNormSpec,
    args,
    ['name'],
  );
  const dim = read.dim ?? (module.constructor.name.startsWith('ConvTranspose') ? 1 : 0);
  const weight = tensorOf('spectralNorm', module, name);
  const matrix = asMatrix(weight, dim);
  const { dtype, device } = weight;
  const unit = (n: number): Tensor => normalize(randn([n], { dtype, device }), { dim: 0, eps });
  const [original, u, v] = [`${name}_orig`, `${name}_u`, `${name}_v`];
  Reflect.deleteProperty(module, name);
  module.registerParameter(original, weight instanceof Parameter ? weight : new Parameter(weight));
  module.registerBuffer(u, unit(matrix.size(0)));
  module.registerBuffer(v, unit(matrix.size(1)));
  const compute = (target: Module): Tensor => {
    const full = tensorOf('spectralNorm', target, original);
    const rows = asMatrix(full, dim);
    const left = tensorOf('spectralNorm', target, u);
    const right = tensorOf('spectralNorm', target, v);
    if (target.training) noGrad(() => powerIteration(rows, left, right, nPowerIterations, eps));
    // Copies: the next iteration overwrites the vectors that the gradient of this one needs.
    const sigma = left
      .clone()
      .mul(rows.matmul(right.clone().unsqueeze(1)).squeeze(1))
      .sum();
    return full.div(sigma);
  };
  install(module, name, { kind: 'spectralNorm', compute, fields: [original, u, v] });
  return module;
}

/** Makes the weight a parameter again, with its present value. */
export function removeSpectralNorm<M extends Module>(module: M, name = 'weight'): M {
  remove('spectralNorm', module, name);
  return module;
}
