/** Decodes the values of parity cases into JavaScript and back into comparisons. */
import { slice, tensor, type DType, type Tensor } from '../../lib';
import { testDevice } from './device';
import type { SafeTensors } from './safetensors';

export type Encoded = Readonly<Record<string, unknown>>;

interface ViewCode {
  readonly op: 'transpose' | 'slice' | 'expand';
  readonly dims?: readonly [number, number];
  readonly start?: number | null;
  readonly stop?: number | null;
  readonly step?: number | null;
  readonly size?: readonly number[];
}

/** A number that was a float in Python although it is whole: JavaScript cannot tell. */
export class WholeFloat {
  constructor(readonly value: number) {}
}

const lists = new WeakSet<object>();

function markList(list: unknown[]): unknown[] {
  lists.add(list);
  return list;
}

/** Whether a decoded array was a Python list, not a tuple. */
export function isList(value: object): boolean {
  return lists.has(value);
}

/** Decodes one argument tree; remembers leaves by their path. */
export class Decoder {
  /** Stored tensors by path such as `args,0`: the leaves, before any view. */
  readonly leaves = new Map<string, Tensor>();
  wholeFloats = false;
  /** Ask for gradients where the case does. */
  constructor(
    readonly tensors: SafeTensors | undefined,
    readonly withGrad: boolean,
  ) {}

  decode(value: Encoded, path: readonly (string | number)[]): unknown {
    const [tag] = Object.keys(value) as [string];
    const inner = value[tag];
    switch (tag) {
      case 'tensor':
        return this.#tensor(value, path);
      case 'int':
        return typeof inner === 'string' ? BigInt(inner) : inner;
      case 'float':
        return this.#float(inner as number | string);
      case 'list':
        return markList((inner as Encoded[]).map((v, i) => this.decode(v, [...path, i])));
      case 'tuple':
        return (inner as Encoded[]).map((v, i) => this.decode(v, [...path, i]));
      case 'none':
        return null;
      case 'slice':
        return slice(...((inner as Encoded[]).map((v) => this.decode(v, path)) as never[]));
      case 'ellipsis':
        return '...';
      case 'function':
        throw new Error('unsupported: function value');
      default:
        return inner;
    }
  }

  #float(inner: number | string): number {
    if (inner === 'inf') return Infinity;
    if (inner === '-inf') return -Infinity;
    if (inner === 'nan') return NaN;
    if (Number.isInteger(inner)) this.wholeFloats = true;
    return inner as number;
  }

  #tensor(value: Encoded, path: readonly (string | number)[]): Tensor {
    const stored = value['tensor'];
    const leaf =
      typeof stored === 'string'
        ? (this.tensors as SafeTensors).get(stored)
        : inline(stored as Inline);
    this.leaves.set(path.join(), leaf);
    if (this.withGrad && value['grad'] === true) leaf.requiresGrad_();
    return applyView(leaf, value['view'] as ViewCode | undefined);
  }
}

function applyView(leaf: Tensor, view: ViewCode | undefined): Tensor {
  if (view === undefined) return leaf;
  if (view.op === 'transpose') return leaf.transpose(...(view.dims as [number, number]));
  if (view.op === 'expand') return leaf.expand([...(view.size ?? [])]);
  return leaf.get('...', slice(view.start ?? null, view.stop ?? null, view.step ?? null));
}

interface Inline {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly values: readonly (number | string | boolean)[] | null;
  readonly requires_grad?: boolean;
}

function inline(code: Inline): Tensor {
  const n = code.shape.reduce((a, b) => a * b, 1);
  const values = code.values ?? new Array<number>(n).fill(0);
  const numbers = values.map((v) =>
    v === 'inf' ? Infinity : v === '-inf' ? -Infinity : Number(v),
  );
  const whole = !code.dtype.includes('float');
  const data = whole ? BigInt64Array.from(numbers, (v) => BigInt(v)) : Float64Array.from(numbers);
  const t = tensor(data).view(code.shape).to(code.dtype).to(testDevice);
  return code.requires_grad === true ? t.detach().requiresGrad_() : t;
}

/** snake_case to camelCase; trailing underscores stay. */
export function camel(name: string): string {
  return name.replace(/(?<=[a-zA-Z0-9])_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}
