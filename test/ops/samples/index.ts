/** All samples, by op. A family file maps op names to specs; add it here. */
import type { Family, OpSpec, Sample } from '../support/sample';
import { Source } from '../support/sample';
import { seedOf } from '../support/random';
import { activations } from './activations';
import { arithmetic } from './arithmetic';
import { creation } from './creation';
import { elementary } from './elementary';
import { linalg } from './linalg';
import { losses } from './losses';
import { norms } from './norms';
import { reductions } from './reductions';
import { shapes } from './shapes';
import { steps } from './steps';

const families: readonly Family[] = [
  arithmetic,
  elementary,
  activations,
  creation,
  shapes,
  reductions,
  linalg,
  norms,
  losses,
  steps,
];

export const specs: ReadonlyMap<string, OpSpec> = new Map(
  families.flatMap((f) => Object.entries(f)),
);

/** The samples of an op; the same ones at every call. */
export function samplesOf(name: string): readonly Sample[] {
  return specs.get(name)?.samples(new Source(seedOf(name))) ?? [];
}
