/** Batches in page-locked memory, from which copies to a GPU need not be waited for. */
import { isAvailable } from '../cuda';
import { Tensor } from '../tensor';
import { warnOnce } from '../warnings';
import { checkBoolean } from './options';

/** Reads the option; without a GPU it warns and is off, as in PyTorch. */
export function readPinMemory(value: unknown): boolean {
  if (!checkBoolean('DataLoader', 'pinMemory', value ?? false)) return false;
  if (isAvailable()) return true;
  warnOnce(
    'DataLoaderWarning',
    "DataLoader: option 'pinMemory' has no effect: there is no CUDA device",
  );
  return false;
}

/** The batch with all its tensors pinned; what is neither tensor, array nor plain object stays. */
export function pinBatch<B>(batch: B): B {
  if (batch instanceof Tensor) return (batch.device === 'cpu' ? batch.pinMemory() : batch) as B;
  if (Array.isArray(batch)) return batch.map((item: unknown) => pinBatch(item)) as B;
  if (typeof batch !== 'object' || batch === null) return batch;
  if (Object.getPrototypeOf(batch) !== Object.prototype) return batch;
  return Object.fromEntries(Object.entries(batch).map(([k, v]) => [k, pinBatch(v)])) as B;
}
