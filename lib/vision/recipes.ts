/** How loading workers get copies of transforms. */
import { extname, join } from 'node:path';

import { type WorkerRecipe } from '../data/workers/protocol';
import * as transforms from './transforms';

const modulePath = join(__dirname, `transforms/index${extname(__filename)}`);

/** A stand-in that workers turn into the transform. */
class TransformRecipe {
  constructor(readonly recipe: WorkerRecipe) {}

  workerRecipe(): WorkerRecipe {
    return this.recipe;
  }
}

/**
 * A value that becomes an equal transform in a worker; undefined if there is none, because the transform
 * is a function, holds one, or is of a class that this package does not know.
 */
export function sendableTransform(transform: unknown): unknown {
  if (Array.isArray(transform)) {
    const parts = transform.map(sendableTransform);
    return parts.includes(undefined) ? undefined : parts;
  }
  if (!(transform instanceof transforms.Transform)) return undefined;
  const { name } = transform.constructor;
  const known = transforms as unknown as Readonly<Record<string, unknown>>;
  const args = transform.constructorArgs();
  if (args === undefined || known[name] !== transform.constructor) return undefined;
  const sendable = args.map((arg) =>
    arg instanceof transforms.Transform || hasTransforms(arg) ? sendableTransform(arg) : arg,
  );
  if (args.some((arg, i) => arg !== undefined && sendable[i] === undefined)) return undefined;
  return new TransformRecipe({ module: modulePath, export: name, construct: true, args: sendable });
}

/** Whether it is a list of transforms or functions, as Compose has. */
function hasTransforms(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.some((v) => typeof v === 'function' || v instanceof transforms.Transform)
  );
}
