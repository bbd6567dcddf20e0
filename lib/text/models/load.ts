/** Weights from a folder of Hugging Face: model.safetensors, whole or in parts. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { makeError } from '../../errors';
import { loadFile, loadSharded } from '../../files/safetensors';
import type { Module } from '../../nn';
import { warnOnce } from '../../warnings';

/**
 * Loads the weights of a folder into a model. Parameters that the file lacks keep their values, and
 * a warning names them: the head of a model that is to be fine-tuned, say.
 */
export function loadWeights<M extends Module>(model: M, folder: string): M {
  const whole = join(folder, 'model.safetensors');
  const index = `${whole}.index.json`;
  const name = `${model.constructor.name}.fromPretrained`;
  if (!existsSync(whole) && !existsSync(index)) {
    throw makeError('ERR_FILE', `${name}: ${folder} has no model.safetensors`);
  }
  const state = existsSync(whole) ? loadFile(whole) : loadSharded(index);
  const { missingKeys, unexpectedKeys } = model.loadStateDict(state, { strict: false });
  if (missingKeys.length > 0) {
    warnOnce('ModelWarning', `${name}: newly initialised: ${missingKeys.join(', ')}`);
  }
  if (unexpectedKeys.length > 0) {
    warnOnce('ModelWarning', `${name}: not used: ${unexpectedKeys.join(', ')}`);
  }
  return model;
}
