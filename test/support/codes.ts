/** What a call throws, as text to compare: class, code and message. */
import { TensorError } from '../../lib';

export interface Thrown {
  readonly kind: 'TypeError' | 'RangeError' | 'TensorError' | 'Error' | 'nothing';
  readonly code: string;
  readonly message: string;
}

/** Calls `fn` and reports the error; one that is not typed counts as a plain Error. */
export function thrownBy(fn: () => unknown): Thrown {
  try {
    fn();
  } catch (e) {
    const error = e as Error & { code?: string };
    const kind =
      error instanceof TensorError
        ? 'TensorError'
        : error instanceof TypeError
          ? 'TypeError'
          : error instanceof RangeError
            ? 'RangeError'
            : 'Error';
    return { kind, code: error.code ?? '', message: error.message };
  }
  return { kind: 'nothing', code: '', message: '' };
}

/** Expects an autograd error whose message matches. */
export function expectAutogradError(fn: () => unknown, message: RegExp): void {
  const thrown = thrownBy(fn);
  expect(thrown).toMatchObject({ kind: 'TensorError', code: 'ERR_AUTOGRAD' });
  expect(thrown.message).toMatch(message);
}
