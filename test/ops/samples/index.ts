/** All samples, by op. A family file maps op names to specs; add it here. */
import { opSchemas } from '../../../lib';
import type { Family, OpSpec, Sample } from '../support/sample';
import { Source } from '../support/sample';
import { seedOf } from '../support/random';
import { activations } from './activations';
import { arithmetic } from './arithmetic';
import { attention } from './attention';
import { convolution } from './convolution';
import { creation } from './creation';
import { elementary } from './elementary';
import { functional } from './functional';
import { grid } from './grid';
import { indexing } from './indexing';
import { linalg } from './linalg';
import { linalgDense } from './linalgDense';
import { linalgSpectral } from './linalgSpectral';
import { losses } from './losses';
import { lossesMore } from './lossesMore';
import { matrix } from './matrix';
import { more } from './more';
import { norms } from './norms';
import { numeric } from './numeric';
import { order } from './order';
import { pointwise } from './pointwise';
import { pooling } from './pooling';
import { reductions } from './reductions';
import { shapes } from './shapes';
import { shapesMore } from './shapesMore';
import { statistics } from './statistics';
import { spatial } from './spatial';
import { steps } from './steps';

const families: readonly Family[] = [
  arithmetic,
  elementary,
  activations,
  attention,
  convolution,
  pooling,
  spatial,
  grid,
  functional,
  creation,
  shapes,
  shapesMore,
  reductions,
  linalg,
  matrix,
  linalgDense,
  linalgSpectral,
  numeric,
  norms,
  losses,
  lossesMore,
  more,
  steps,
  indexing,
  pointwise,
  statistics,
  order,
];

export const specs: ReadonlyMap<string, OpSpec> = new Map(
  families.flatMap((f) => Object.entries(f)),
);

const schemas = new Map(opSchemas().map((schema) => [schema.name, schema]));

/** Families offer numbers for every operand; not every op takes them. */
function takesItsNumbers(name: string, sample: Sample): boolean {
  const args = schemas.get(name)?.args;
  return sample.args.every((a, i) => typeof a !== 'number' || args?.[i]?.type !== 'Tensor');
}

/** The samples of an op; the same ones at every call. */
export function samplesOf(name: string): readonly Sample[] {
  const samples = specs.get(name)?.samples(new Source(seedOf(name))) ?? [];
  return samples.filter((sample) => takesItsNumbers(name, sample));
}
