/** Makes tensors from samples in a dtype and layout, calls ops, reads results back. */
import { callOp, type DType, opSchemas, type OpSchema, tensor, type Tensor } from '../../../lib';
import { sizeOf, Nd, transposeNd, forEachIndex } from './nd';
import { Input, type Sample } from './sample';

export type Layout = 'contiguous' | 'transposed' | 'sliced' | 'expanded';
export const layouts: readonly Layout[] = ['transposed', 'sliced', 'expanded'];

export type Output = Tensor | number | boolean | bigint;

export function isFloat(dtype: DType): boolean {
  return dtype.includes('float');
}

/** A tensor of any dtype from plain numbers. */
export function make(shape: readonly number[], values: readonly number[], dtype: DType): Tensor {
  if (dtype === 'int64') {
    return tensor(BigInt64Array.from(values, (v) => BigInt(v))).view(shape);
  }
  return tensor(Float64Array.from(values)).view(shape).to(dtype);
}

/** The values of an input when its dimension `expandedDim` repeats its first entry. */
function repeatFirst(x: Nd, dim: number): Nd {
  return Nd.from(x.shape, (index) => x.at(index.map((v, d) => (d === dim ? 0 : v))));
}

/** Values as the layout leaves them: only an expanded tensor has fewer distinct ones. */
export function layoutValues(input: Input, dtype: DType, layout: Layout): Nd {
  const x = new Nd(input.shape, input.values(dtype));
  return layout === 'expanded' && x.ndim > 0 && x.data.length > 0 ? repeatFirst(x, 0) : x;
}

/** Every `step`-th position of a dimension, from `start`. */
export function sliceDim(x: Tensor, dim: number, start: number, step: number): Tensor {
  return callOp('slice', [x, dim, start, null, step]) as Tensor;
}

/** The same values in memory that is laid out otherwise. */
export function build(input: Input, dtype: DType, layout: Layout): Tensor {
  const actual = input.dtype ?? dtype;
  const x = layoutValues(input, actual, layout);
  if (layout === 'transposed' && x.ndim >= 2) {
    const swapped = transposeNd(x, 0, -1);
    return make(swapped.shape, swapped.data, actual).transpose(0, -1);
  }
  if (layout === 'sliced' && x.ndim >= 1) {
    const last = x.ndim - 1;
    const wide = x.shape.map((n, d) => (d === last ? 2 * n + 1 : n));
    const data: number[] = [];
    forEachIndex(wide, (index) => {
      const at = index[last] as number;
      data.push(at % 2 === 0 ? 1 : x.at(index.map((v, d) => (d === last ? (v - 1) / 2 : v))));
    });
    return sliceDim(make(wide, data, actual), last, 1, 2);
  }
  if (layout === 'expanded' && x.ndim >= 1 && (x.shape[0] as number) > 0) {
    const first = x.data.slice(0, sizeOf(x.shape.slice(1)));
    return make([1, ...x.shape.slice(1)], first, actual).expand([...x.shape]);
  }
  return make(x.shape, x.data, actual);
}

export type Make = (input: Input) => Tensor;

/** Arguments of a sample with every input replaced. */
export function mapArgs<T>(sample: Sample, fn: (input: Input) => T): unknown[] {
  return sample.args.map((a): unknown => {
    if (a instanceof Input) return fn(a);
    if (Array.isArray(a) && a.some((v) => v instanceof Input)) {
      return a.map((v: unknown) => (v instanceof Input ? fn(v) : v));
    }
    return a;
  });
}

/** Options of a sample with every input replaced. */
export function mapOptions<T>(sample: Sample, fn: (input: Input) => T): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(sample.options ?? {}).map(([k, v]) => [k, v instanceof Input ? fn(v) : v]),
  );
}

/** Every input of a sample, in order. */
export function inputsOf(sample: Sample): Input[] {
  const list: Input[] = [];
  mapArgs(sample, (i) => list.push(i));
  mapOptions(sample, (i) => list.push(i));
  return list;
}

const schemaByName = new Map(opSchemas().map((s) => [s.name, s]));

export function schemaOf(name: string): OpSchema {
  const schema = schemaByName.get(name);
  if (schema === undefined) throw new Error(`no row '${name}'`);
  return schema;
}

function flat(result: unknown): Output[] {
  return Array.isArray(result) ? (result as Output[]) : [result as Output];
}

/** Calls an op; ops that only exist in place work on a copy, so that every op is a function. */
export function run(name: string, args: readonly unknown[], options: object = {}): Output[] {
  const all = [...args];
  if (schemaOf(name).inplace === 'only') all[0] = (all[0] as Tensor).clone();
  return flat(callOp(name, all, options as Record<string, unknown>));
}

/** Calls an op on a sample made in a dtype and layout. */
export function runSample(
  name: string,
  sample: Sample,
  dtype: DType,
  layout: Layout = 'contiguous',
): Output[] {
  const to: Make = (input) => build(input, dtype, layout);
  return run(name, mapArgs(sample, to), mapOptions(sample, to));
}

/** Values of a tensor as float64 numbers. */
export function toNd(t: Tensor): Nd {
  const here = t.detach().cpu();
  const data = here.dtype === 'int64' ? here.dataSync() : here.to('float64').dataSync();
  return new Nd(t.shape, Array.from(data as ArrayLike<number | bigint>, Number));
}

/** The raw bits of a tensor, for exact comparison. */
export function bits(t: Tensor): string {
  const data = t.dataSync();
  return `${t.dtype}[${t.shape.join()}]:${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')}`;
}
