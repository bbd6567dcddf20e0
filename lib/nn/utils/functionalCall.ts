/** Calls of modules with other parameters than their own. */
import { makeError } from '../../errors';
import { Tensor } from '../../tensor';
import { Module } from '../module';
import { badArgument, bool, readOptions } from '../options';

export interface FunctionalCallOptions {
  /** A tensor given for one name of a shared parameter is used under its other names too. Default true. */
  readonly tieWeights?: boolean | undefined;
  /** Every parameter and buffer must be given. Default false. */
  readonly strict?: boolean | undefined;
}

interface Slot {
  readonly owner: Module;
  readonly name: string;
  readonly value: Tensor;
}

/** Where each parameter and buffer is kept; shared ones under each of their names. */
function slots(module: Module): Map<string, Slot> {
  const out = new Map<string, Slot>();
  for (const [prefix, owner] of module.namedModules({ removeDuplicate: false })) {
    const { parameters, buffers } = owner.members();
    for (const [name, value] of [...parameters, ...buffers]) {
      if (value === null) continue;
      out.set(prefix === '' ? name : `${prefix}.${name}`, { owner, name, value });
    }
  }
  return out;
}

type Args<M extends Module> = Parameters<M['call']>;

/**
 * Runs `module.call(...args)` with the given tensors in the place of its parameters and buffers,
 * which are put back afterwards. Gradients flow to the given tensors. PyTorch:
 * `torch.func.functional_call`.
 */
export function functionalCall<M extends Module>(
  module: M,
  parametersAndBuffers:
    Readonly<Record<string, Tensor>> | readonly Readonly<Record<string, Tensor>>[],
  args: Args<M>,
  options: FunctionalCallOptions = {},
): ReturnType<M['call']> {
  const name = 'functionalCall';
  const spec = { tieWeights: bool(true), strict: bool(false) };
  const { tieWeights, strict } = readOptions(name, spec, options);
  if (!(module instanceof Module)) throw badArgument(name, 'module', 'a Module', module);
  if (!Array.isArray(args)) throw badArgument(name, 'args', 'an array of arguments', args);
  const given: Record<string, Tensor> = Object.assign(
    {},
    ...(Array.isArray(parametersAndBuffers) ? parametersAndBuffers : [parametersAndBuffers]),
  );
  const all = slots(module);
  const swaps = new Map<string, Tensor>();
  for (const [key, value] of Object.entries(given)) {
    if (!all.has(key)) {
      throw makeError('ERR_VALUE', `${name}: ${module.constructor.name} has no tensor '${key}'`);
    }
    if (!(value instanceof Tensor)) throw badArgument(name, key, 'a Tensor', value);
    swaps.set(key, value);
  }
  if (tieWeights) spreadShared(all, swaps);
  const missing = [...all.keys()].filter((key) => !swaps.has(key));
  if (strict && missing.length > 0) {
    throw makeError('ERR_VALUE', `${name}: missing tensors: ${missing.join(', ')}`);
  }
  try {
    for (const [key, value] of swaps) {
      const { owner, name: field } = all.get(key) as Slot;
      owner.setMember(field, value);
    }
    return module.call(...(args as never)) as ReturnType<M['call']>;
  } finally {
    for (const key of swaps.keys()) {
      const { owner, name: field, value } = all.get(key) as Slot;
      owner.setMember(field, value);
    }
  }
}

function spreadShared(all: ReadonlyMap<string, Slot>, swaps: Map<string, Tensor>): void {
  const byTensor = new Map<Tensor, Tensor>();
  for (const [key, value] of swaps) byTensor.set((all.get(key) as Slot).value, value);
  for (const [key, slot] of all) {
    const value = byTensor.get(slot.value);
    if (value !== undefined && !swaps.has(key)) swaps.set(key, value);
  }
}
