/** Runs one module sample: state dict, outputs, gradients, running statistics. */
import { type DType, grad, nn, Tensor } from '../../lib';
import { camel, Decoder, type Encoded } from './decode';
import { testDevice } from './device';
import signatures from './moduleSignatures.json';
import { compareTensor, Mismatch } from './run';
import type { SafeTensors } from './safetensors';

export interface ModuleSample {
  readonly i: number;
  readonly module: string;
  readonly desc: string;
  readonly dtype: DType;
  readonly training: boolean;
  readonly constructor_args: readonly Encoded[];
  readonly constructor_kwargs: Readonly<Record<string, Encoded>>;
  readonly state_dict: Readonly<Record<string, { tensor: string }>>;
  readonly parameters: readonly string[];
  readonly prior_calls?: readonly { args: readonly Encoded[] }[];
  readonly args: readonly Encoded[];
  readonly kwargs: Readonly<Record<string, Encoded>>;
  readonly output: Encoded;
  readonly cotangents: readonly { path: number[]; tensor: string }[];
  readonly grads: readonly { arg: (string | number)[]; tensor: string | null }[];
  readonly param_grads: Readonly<Record<string, string | null>>;
  readonly state_dict_after?: Readonly<Record<string, { tensor: string }>>;
}

/** Names of the arguments that Python's constructor requires, and of the others, in order. */
const table = signatures as unknown as Readonly<Record<string, readonly [string[], string[]]>>;

type Made = nn.Module;
type Class = new (...args: unknown[]) => Made;

/** Recurrent and transformer modules sum in other orders than PyTorch. */
const loose = /^(RNN|LSTM|GRU|Transformer|MultiheadAttention)/;

class ModuleDecoder extends Decoder {
  override decode(value: Encoded, path: readonly (string | number)[]): unknown {
    if ('module' in value) {
      const args = value['args'] as Encoded[];
      return make(
        value['module'] as string,
        args,
        value['kwargs'] as Record<string, Encoded>,
        this,
      );
    }
    if ('function' in value) {
      const name = camel((value['function'] as string).split('.').pop() as string);
      return (nn.functional as unknown as Record<string, unknown>)[name];
    }
    if ('dict' in value) {
      const entries = value['dict'] as [Encoded, Encoded][];
      return Object.fromEntries(
        entries.map(([k, v]) => [String(this.decode(k, path)), this.decode(v, path)]),
      );
    }
    return super.decode(value, path);
  }
}

function make(
  name: string,
  given: readonly Encoded[],
  kwargs: Readonly<Record<string, Encoded>>,
  decoder: Decoder,
): Made {
  const Layer = (nn as unknown as Record<string, Class | undefined>)[name];
  if (Layer === undefined) throw new Mismatch(`nn.${name} is missing`);
  const [required, others] = table[name] ?? [[], []];
  const names = [...required, ...others];
  const values: Record<string, unknown> = {};
  const positional: unknown[] = [];
  given.forEach((v, i) => {
    const value = decoder.decode(v, ['constructor', i]);
    const key = names[i];
    if (key === undefined) positional.push(value);
    else values[key] = value;
  });
  for (const [key, v] of Object.entries(kwargs)) {
    values[key] = decoder.decode(v, ['constructor', key]);
  }
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    if (required.includes(key)) positional[required.indexOf(key)] = value;
    else options[camel(key)] = value;
  }
  return new Layer(...positional, ...(Object.keys(options).length === 0 ? [] : [options]));
}

/** Results by name; a key of the stored answers, or null for a gradient that must not be there. */
type Results = Map<string, unknown>;
type Answers = Map<string, string | null>;

function answersOf(sample: ModuleSample): Answers {
  const out: Answers = new Map();
  const visit = (expected: Encoded, name: string): void => {
    const parts = (expected['tuple'] ?? expected['list']) as Encoded[] | undefined;
    if (parts !== undefined) parts.forEach((e, i) => visit(e, `${name}[${String(i)}]`));
    else out.set(name, (expected['tensor'] as string | undefined) ?? null);
  };
  visit(sample.output, 'output');
  for (const g of sample.grads) out.set(`grad of ${g.arg.join()}`, g.tensor);
  for (const [k, v] of Object.entries(sample.param_grads)) out.set(`grad of ${k}`, v);
  for (const [k, v] of Object.entries(sample.state_dict_after ?? {})) {
    out.set(`${k} afterwards`, v.tensor);
  }
  return out;
}

function addOutputs(value: unknown, name: string, out: Results): void {
  if (Array.isArray(value)) value.forEach((v, i) => addOutputs(v, `${name}[${String(i)}]`, out));
  else out.set(name, value);
}

function checkNames(module: Made, sample: ModuleSample): void {
  const have = Object.keys(module.stateDict()).join();
  const want = Object.keys(sample.state_dict).join();
  if (have !== want) throw new Mismatch(`state dict has ${have}, expected ${want}`);
  const parameters = module.namedParameters().map(([name]) => name);
  if (parameters.join() !== sample.parameters.join()) {
    throw new Mismatch(`parameters are ${parameters.join()}, expected ${sample.parameters.join()}`);
  }
}

function addGradients(
  module: Made,
  sample: ModuleSample,
  out: Results,
  leaves: ReadonlyMap<string, Tensor>,
  tensors: Stored,
): void {
  const outputs: Tensor[] = [];
  const gradOutputs: Tensor[] = [];
  for (const c of sample.cotangents) {
    const value = out.get(['output', ...c.path.map((i) => `[${String(i)}]`)].join(''));
    if (!(value instanceof Tensor) || !value.requiresGrad) continue;
    outputs.push(value);
    gradOutputs.push(tensors.get(c.tensor));
  }
  if (outputs.length === 0) return;
  const parameters = new Map(module.namedParameters());
  const names = [...sample.grads.map((g) => g.arg.join()), ...Object.keys(sample.param_grads)];
  const inputs = names.map((name) => leaves.get(name) ?? parameters.get(name)) as Tensor[];
  const grads = grad(outputs, inputs, { gradOutputs, allowUnused: true });
  names.forEach((name, i) => out.set(`grad of ${name}`, grads[i] ?? null));
}

type Stored = Pick<SafeTensors, 'get'>;

/** Runs the sample in a dtype. */
function run(sample: ModuleSample, dtype: DType, stored: SafeTensors): Results {
  const tensors: Stored = {
    get: (key) => {
      const t = stored.get(key);
      return t.isFloatingPoint() && t.dtype === sample.dtype ? t.to(dtype) : t;
    },
  };
  const decoder = new ModuleDecoder(tensors as SafeTensors, true);
  const module = make(sample.module, sample.constructor_args, sample.constructor_kwargs, decoder);
  module.to(dtype).to(testDevice);
  checkNames(module, sample);
  const state = Object.entries(sample.state_dict).map(([k, v]) => [k, tensors.get(v.tensor)]);
  module.loadStateDict(Object.fromEntries(state) as Record<string, Tensor>);
  module.train(sample.training);
  const call = (args: readonly Encoded[], kwargs: Readonly<Record<string, Encoded>>): unknown => {
    const values = args.map((v, i) => decoder.decode(v, ['args', i]));
    const options = Object.fromEntries(
      Object.entries(kwargs).map(([k, v]) => [camel(k), decoder.decode(v, ['kwargs', k])]),
    );
    const rest = Object.keys(options).length === 0 ? [] : [options];
    return (module.call as (...a: unknown[]) => unknown).call(module, ...values, ...rest);
  };
  for (const prior of sample.prior_calls ?? []) call(prior.args, {});
  const out: Results = new Map();
  addOutputs(call(sample.args, sample.kwargs), 'output', out);
  addGradients(module, sample, out, decoder.leaves, tensors);
  for (const [k, t] of Object.entries(module.stateDict())) out.set(`${k} afterwards`, t);
  return out;
}

/** How far PyTorch's answer in low precision is from the result in float64. */
function noiseOf(answer: Tensor, exact: unknown): number {
  if (!(exact instanceof Tensor) || !answer.isFloatingPoint() || answer.numel() === 0) return 0;
  const noise = answer.to('float64').sub(exact).abs().max().item();
  return Number.isFinite(noise) ? noise : 0;
}

/** Throws Mismatch, or whatever the module throws. */
export function runModule(sample: ModuleSample, tensors: SafeTensors): void {
  const results = run(sample, sample.dtype, tensors);
  const override =
    loose.test(sample.module) && sample.dtype === 'float32'
      ? { rtol: 1e-5, atol: 1e-5 }
      : undefined;
  let exact: Results | undefined;
  for (const [name, key] of answersOf(sample)) {
    const actual = results.get(name) ?? null;
    if (key === null) {
      if (actual !== null) throw new Mismatch(`${name}: expected null`);
      continue;
    }
    const answer = tensors.get(key);
    try {
      compareTensor(actual, answer, { noise: 0, override }, name);
    } catch (e) {
      if (sample.dtype === 'float64') throw e;
      // The rule for operators: twice the distance of PyTorch's own answer from float64.
      exact ??= run(sample, 'float64', tensors);
      compareTensor(actual, answer, { noise: noiseOf(answer, exact.get(name)), override }, name);
    }
  }
}
