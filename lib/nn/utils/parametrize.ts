/** Parametrizations: parameters computed from others. PyTorch: `torch.nn.utils.parametrize`. */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { Tensor } from '../../tensor';
import { ModuleDict } from '../dict';
import { Module } from '../module';
import { badArgument, bool, readOptions } from '../options';
import { Parameter } from '../parameter';
import { installComputed, removeComputed, type Source } from '../parametrized';

/**
 * A module that computes a parameter. `rightInverse` finds the original(s) of a value; without it
 * the value itself is the original.
 */
export interface Parametrization extends Module {
  forward(...originals: Tensor[]): Tensor;
  rightInverse?(value: Tensor): Tensor | readonly Tensor[];
}

let cacheDepth = 0;
const cache = new Map<Module, Tensor>();

/** Inside `fn`, every parametrized tensor is computed once. */
export function cached<T>(fn: () => T): T {
  ++cacheDepth;
  try {
    return fn();
  } finally {
    if (--cacheDepth === 0) cache.clear();
  }
}

function asOriginal(value: Tensor, requiresGrad: boolean): Parameter {
  if (value instanceof Parameter) return value;
  return new Parameter(value, { requiresGrad: requiresGrad && value.isFloatingPoint() });
}

/** The originals of a value; the value itself where a parametrization has no inverse, or not always. */
function inverseOf(first: Parametrization, value: Tensor): Tensor | readonly Tensor[] {
  try {
    return first.rightInverse?.(value) ?? value;
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_NOT_IMPLEMENTED') return value;
    throw error;
  }
}

/** Original tensors and the chain of parametrizations of one field. */
export class ParametrizationList extends Module implements Source {
  readonly isTensor: boolean;
  private readonly count: number;

  constructor(first: Parametrization, value: Tensor) {
    super();
    const inverse = noGrad(() => inverseOf(first, value));
    this.isTensor = inverse instanceof Tensor;
    if (inverse instanceof Tensor) {
      this.count = 1;
      const same = first.rightInverse === undefined ? value : inverse;
      this.fields['original'] = asOriginal(same, value.requiresGrad);
    } else {
      this.count = inverse.length;
      inverse.forEach((t, i) => {
        this.fields[`original${i}`] = asOriginal(t, value.requiresGrad);
      });
    }
    this.push(first);
  }

  private get fields(): Record<string, unknown> {
    return this as unknown as Record<string, unknown>;
  }

  private originals(): Tensor[] {
    const { fields } = this;
    if (this.isTensor) return [fields['original'] as Tensor];
    return Array.from({ length: this.count }, (_, i) => fields[`original${i}`] as Tensor);
  }

  /** The parametrizations, which are the fields '0', '1', ... */
  private chain(): Parametrization[] {
    const out: Parametrization[] = [];
    while (Object.hasOwn(this, out.length)) {
      out.push(this.fields[out.length] as Parametrization);
    }
    return out;
  }

  /** Adds a parametrization to the end of the chain. */
  push(parametrization: Parametrization): void {
    this.fields[this.chain().length] = parametrization;
  }

  override forward(): Tensor {
    const [first, ...rest] = this.chain() as [Parametrization, ...Parametrization[]];
    let out = first.forward(...this.originals());
    for (const p of rest) out = p.forward(out);
    return out;
  }

  /** @internal */
  compute(): Tensor {
    if (cacheDepth === 0) return this.forward();
    let value = cache.get(this);
    if (value === undefined) {
      value = this.forward();
      cache.set(this, value);
    }
    return value;
  }

  /** @internal Finds originals whose value this is. */
  assign(value: Tensor): void {
    noGrad(() => {
      let now: Tensor | readonly Tensor[] = value;
      for (const p of this.chain().reverse()) {
        if (p.rightInverse === undefined) {
          throw makeError('ERR_NOT_IMPLEMENTED', `${p.constructor.name} has no rightInverse`);
        }
        now = p.rightInverse(now as Tensor);
      }
      const list = now instanceof Tensor ? [now] : now;
      this.originals().forEach((original, i) => original.copy_(list[i] as Tensor));
    });
  }
}

type Fields = Record<string, unknown> & { parametrizations?: ModuleDict<ParametrizationList> };

/** The name of a field in state dicts. */
function keyOf(module: Module, field: string): string {
  const value = (module as unknown as Fields)[field];
  const found = module.members().parameters.find(([, p]) => p === value);
  return found?.[0] ?? field;
}

/** Whether a field of a module (or any field) is parametrized. */
export function isParametrized(module: Module, tensorName?: string): boolean {
  const { parametrizations } = module as unknown as Fields;
  if (!(parametrizations instanceof ModuleDict)) return false;
  return tensorName === undefined || parametrizations.has(tensorName);
}

/**
 * From now on the field `tensorName` of `module` is computed by `parametrization` from its
 * original value, which becomes a parameter `parametrizations.<name>.original`.
 */
export function registerParametrization<M extends Module>(
  module: M,
  tensorName: string,
  parametrization: Parametrization,
): M {
  const name = 'registerParametrization';
  if (!(module instanceof Module)) throw badArgument(name, 'module', 'a Module', module);
  if (!(parametrization instanceof Module)) {
    throw badArgument(name, 'parametrization', 'a Module', parametrization);
  }
  const fields = module as unknown as Fields;
  const value = fields[tensorName];
  if (!(value instanceof Tensor)) {
    throw makeError(
      'ERR_VALUE',
      `${name}: ${module.constructor.name} has no tensor '${tensorName}' to parametrize`,
    );
  }
  if (isParametrized(module, tensorName)) {
    fields.parametrizations?.get(tensorName).push(parametrization);
    return module;
  }
  const key = keyOf(module, tensorName);
  const list = new ParametrizationList(parametrization, value);
  list.train(module.training);
  fields.parametrizations ??= new ModuleDict<ParametrizationList>();
  fields.parametrizations.set(key, list);
  installComputed(module, tensorName, key);
  return module;
}

/**
 * Makes a parametrized field a parameter again.
 * @param options `leaveParametrized` (default true): with its computed value; else its original.
 */
export function removeParametrizations<M extends Module>(
  module: M,
  tensorName: string,
  options: { readonly leaveParametrized?: boolean | undefined } = {},
): M {
  const name = 'removeParametrizations';
  const { leaveParametrized } = readOptions(name, { leaveParametrized: bool(true) }, options);
  const fields = module as unknown as Fields;
  if (!isParametrized(module, tensorName)) {
    throw makeError('ERR_VALUE', `${name}: '${tensorName}' is not parametrized`);
  }
  const dict = fields.parametrizations as ModuleDict<ParametrizationList>;
  const list = dict.get(tensorName);
  const original = (list as unknown as { original?: Parameter }).original;
  if (!leaveParametrized && original === undefined) {
    throw makeError(
      'ERR_VALUE',
      `${name}: a field with several originals can only be left parametrized`,
    );
  }
  const value = leaveParametrized ? noGrad(() => list.forward().clone()) : (original as Tensor);
  removeComputed(module, tensorName, value instanceof Parameter ? value : new Parameter(value));
  dict.pop(tensorName);
  if (dict.size === 0) Reflect.deleteProperty(fields, 'parametrizations');
  return module;
}
