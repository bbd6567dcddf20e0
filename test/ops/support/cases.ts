/** Which samples run in which dtypes, and what the reference says about them. */
import { opSchemas, type DType, type OpSchema } from '../../../lib';
import { samplesOf, specs } from '../samples';
import { type Nd } from './nd';
import { build, inputsOf, isFloat, make, mapArgs, mapOptions, toNd, type Layout } from './run';
import type { Input, OpSpec, Sample } from './sample';

export interface OpCase {
  readonly name: string;
  readonly schema: OpSchema;
  readonly spec: OpSpec;
  readonly samples: readonly Sample[];
}

/** Rows with samples of their own. AMPGRAD_TEST_OPS=relu,add restricts them. */
export function opCases(): OpCase[] {
  const only = process.env['AMPGRAD_TEST_OPS']?.split(',');
  return opSchemas()
    .filter((schema) => only === undefined || only.includes(schema.name))
    .flatMap((schema) => {
      const spec = specs.get(schema.name);
      if (spec === undefined || spec.coveredBy !== undefined) return [];
      return [{ name: schema.name, schema, spec, samples: samplesOf(schema.name) }];
    });
}

export function runsIn(sample: Sample, dtype: DType): boolean {
  return sample.dtypes === undefined || sample.dtypes.includes(dtype);
}

export function isEmpty(sample: Sample): boolean {
  return inputsOf(sample).some((i) => i.shape.includes(0));
}

/** What jest prints for a sample. */
export function describeSample(sample: Sample): string {
  const text = (v: unknown): string => {
    if (Array.isArray(v)) return `[${v.map(text).join(', ')}]`;
    if (typeof v === 'object' && v !== null && 'shape' in v) {
      return `<${(v as Input).shape.join('x') || 'scalar'}>`;
    }
    return JSON.stringify(v);
  };
  const options = Object.entries(sample.options ?? {}).map(([k, v]) => `${k}: ${text(v)}`);
  return [...sample.args.map(text), ...options].join(', ');
}

/** The reference's answer for the inputs as they are after rounding to a dtype. */
export function expectedOf(
  { spec }: OpCase,
  sample: Sample,
  dtype: DType,
  layout: Layout = 'contiguous',
): readonly (Nd | number | boolean)[] {
  const to = (input: Input): Nd => toNd(build(input, dtype, layout));
  const args = [...mapArgs(sample, to), { dtype, ...mapOptions(sample, to) }];
  return answerOf(spec, args);
}

export function answerOf(
  spec: OpSpec,
  args: readonly unknown[],
): readonly (Nd | number | boolean)[] {
  const answer = (spec.reference as (...a: unknown[]) => unknown)(...args);
  return (Array.isArray(answer) ? answer : [answer]) as (Nd | number | boolean)[];
}

/** Rounds or wraps an answer to the dtype of the result. */
export function castNd(x: Nd, dtype: DType): Nd {
  if (isFloat(dtype)) return toNd(make(x.shape, x.data, dtype));
  if (dtype === 'bool') return x.map((v) => (v !== 0 ? 1 : 0));
  return toNd(make(x.shape, x.data.map(Math.trunc), 'int64').to(dtype));
}
