/** What the configurations of the language models share: checks, names, reading of config.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeError } from '../../errors';
import type { FeedForwardActivation } from '../../nn/functional/linear';
import { type Check, choice, readOptions, show, type Spec } from '../../nn/options';
import { gelu, relu, silu, tanh } from '../../ops.gen';
import type { Tensor } from '../../tensor';

/** Names of activations, as in config.json. */
export const activations = [
  'gelu',
  'gelu_new',
  'gelu_fast',
  'gelu_pytorch_tanh',
  'relu',
  'silu',
  'swish',
  'tanh',
] as const;

export type ActivationName = (typeof activations)[number];

/** For this package: a check of an activation's name. */
export function activation(value: ActivationName): Check<ActivationName> {
  return choice(activations, value);
}

const exactGelu = (x: Tensor): Tensor => gelu(x);
const tanhGelu = (x: Tensor): Tensor => gelu(x, { approximate: 'tanh' });
const plainRelu = (x: Tensor): Tensor => relu(x);
const plainSilu = (x: Tensor): Tensor => silu(x);

const functions: Readonly<Record<ActivationName, (x: Tensor) => Tensor>> = {
  gelu: exactGelu,
  gelu_new: tanhGelu,
  gelu_fast: tanhGelu,
  gelu_pytorch_tanh: tanhGelu,
  relu: plainRelu,
  silu: plainSilu,
  swish: plainSilu,
  tanh: (x) => tanh(x),
};

/** For this package: the function with that name. */
export function activationFunction(name: ActivationName): (x: Tensor) => Tensor {
  return functions[name];
}

const betweenLayers = new Map<unknown, FeedForwardActivation>([
  [exactGelu, 'gelu'],
  [tanhGelu, 'geluTanh'],
  [plainRelu, 'relu'],
  [plainSilu, 'silu'],
]);

/** For this package: the name that a function has for `feedForward`, if it has one. */
export function feedForwardActivation(
  activation: (x: Tensor) => Tensor,
): FeedForwardActivation | undefined {
  return betweenLayers.get(activation);
}

/** Token ids that end a text: none, one or several. */
export type EosTokens = number | readonly number[] | null;

/** For this package: a token id or null. */
export function tokenId(value: number | null): Check<number | null> {
  return (where, name, given) => {
    if (given === undefined) return value;
    if (given === null) return null;
    if (Number.isSafeInteger(given) && (given as number) >= 0) return given as number;
    throw makeError(
      typeof given === 'number' ? 'ERR_VALUE' : 'ERR_TYPE',
      `${where}: argument '${name}' must be a token id or null, got ${show(given)}`,
    );
  };
}

/** For this package: token ids that end a text. */
export function eosTokens(value: EosTokens): Check<EosTokens> {
  const one = tokenId(null);
  return (where, name, given) => {
    if (given === undefined) return value;
    if (!Array.isArray(given)) return one(where, name, given);
    return given.map((id) => one(where, name, id) as number);
  };
}

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}

/**
 * For this package: the options that `spec` knows, from a config.json of Hugging Face: an object, or
 * a file or folder. Entries that do not describe the model are left out.
 */
export function readConfigJson(
  where: string,
  spec: Spec,
  source: string | Readonly<Record<string, unknown>>,
  modelType: string,
): Record<string, unknown> {
  const json = typeof source === 'string' ? parseConfig(where, source) : source;
  if (typeof json !== 'object' || json === null) {
    throw makeError('ERR_TYPE', `${where}: config.json must hold an object, got ${show(json)}`);
  }
  const type = json['model_type'];
  if (type !== undefined && type !== modelType) {
    throw makeError(
      'ERR_VALUE',
      `${where}: config.json must be of model_type '${modelType}', got ${show(type)}`,
    );
  }
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(json)) {
    if (Object.hasOwn(spec, camel(name))) out[camel(name)] = value;
  }
  // transformers writes the names of classes instead of their number.
  const labels = json['id2label'];
  if (Object.hasOwn(spec, 'numLabels') && typeof labels === 'object' && labels !== null) {
    out['numLabels'] ??= Object.keys(labels).length;
  }
  return out;
}

function parseConfig(where: string, path: string): Readonly<Record<string, unknown>> {
  const file = path.endsWith('.json') ? path : join(path, 'config.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw makeError('ERR_FILE', `${where}: cannot read ${file}: ${(error as Error).message}`);
  }
}

/** For this package: reads options by `spec` into the fields of a configuration. */
export function fillConfig<T extends object>(config: T, spec: Spec, options: object): T {
  return Object.assign(config, readOptions(config.constructor.name, spec, options));
}

/** For this package: `size` must be a multiple of `heads`. */
export function checkHeads(where: string, name: string, size: number, heads: number): void {
  if (size % heads === 0) return;
  throw makeError(
    'ERR_VALUE',
    `${where}: argument '${name}' must be a multiple of the number of heads, got ${size} and ` +
      `${heads} heads`,
  );
}
