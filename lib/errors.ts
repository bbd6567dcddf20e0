/**
 * The errors of the engine. Wrong kinds are TypeErrors, wrong axes, indices, sizes and values are
 * RangeErrors, everything else is a {@link TensorError}; all of them carry a `code`.
 */

/** Codes of the errors that ampgrad throws. */
export type ErrorCode =
  | 'ERR_TYPE'
  | 'ERR_RANGE'
  | 'ERR_VALUE'
  | 'ERR_SHAPE'
  | 'ERR_DTYPE'
  | 'ERR_DEVICE'
  | 'ERR_OOM'
  | 'ERR_CUDA'
  | 'ERR_AUTOGRAD'
  | 'ERR_DISPOSED'
  | 'ERR_FILE'
  | 'ERR_WORKER'
  | 'ERR_NOT_IMPLEMENTED'
  | 'ERR_LINALG'
  | 'ERR_INTERNAL';

/** An error about tensors (shapes, dtypes, devices, memory, the autograd graph) or files of data. */
export class TensorError extends Error {
  override readonly name = 'TensorError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** An error with a `code`, whatever its class. */
export type CodedError = Error & { readonly code: ErrorCode };

const ownFolder = __dirname;

/** Drops the frames of this library from the top of the stack: the first line is the caller's. */
function showCaller(error: Error): void {
  const lines = (error.stack ?? '').split('\n');
  const first = lines.findIndex((line) => line.startsWith('    at '));
  if (first < 0) return;
  let own = first;
  while (own < lines.length && lines[own]?.includes(ownFolder)) ++own;
  if (own > first && own < lines.length) {
    error.stack = [...lines.slice(0, first), ...lines.slice(own)].join('\n');
  }
}

/**
 * Remembers where the library was called: the result makes the lines of a stack of it. Making them
 * takes ten times as long as remembering.
 */
export function rememberCaller(): () => string {
  const here = new Error();
  return () => {
    showCaller(here);
    const stack = here.stack ?? '';
    return stack.slice(Math.max(0, stack.indexOf('\n')));
  };
}

/** Makes the error that belongs to a code. */
export function makeError(code: ErrorCode, message: string): CodedError {
  let error: Error;
  if (code === 'ERR_TYPE') {
    error = Object.assign(new TypeError(message), { code });
  } else if (code === 'ERR_RANGE' || code === 'ERR_VALUE') {
    error = Object.assign(new RangeError(message), { code });
  } else {
    error = new TensorError(code, message);
  }
  showCaller(error);
  return error as CodedError;
}

/** Throws {@link makeError}. */
export function fail(code: ErrorCode, message: string): never {
  throw makeError(code, message);
}
