/** Contractions whose arguments come in several forms: `einsum` and `tensordot`. */
import { suggest, wrapOne } from '../call';
import { makeError } from '../errors';
import { native } from '../native';
import { handleOf, Tensor } from '../tensor';

function checkTensor(op: string, name: string, value: unknown): asserts value is Tensor {
  if (value instanceof Tensor) return;
  throw makeError('ERR_TYPE', `${op}: argument '${name}' must be a Tensor`);
}

/** 0..25 are capital letters, 26..51 small ones, '...' the ellipsis. */
function subscript(value: unknown): string {
  if (value === '...') return '...';
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= 52) {
    throw makeError(
      'ERR_VALUE',
      `einsum: subscripts must be integers in [0, 52) or '...', got ${String(value)}`,
    );
  }
  return String.fromCharCode(value < 26 ? 65 + value : 97 + value - 26);
}

const subscripts = (list: readonly unknown[]): string => list.map(subscript).join('');

interface Contraction {
  readonly equation: string;
  readonly operands: readonly unknown[];
}

/** einsum(a, [0, 1], b, [1, 2], [0, 2]) as an equation. */
function fromSublists(args: readonly unknown[]): Contraction {
  const pairs = Math.floor(args.length / 2);
  const operands: unknown[] = [];
  const inputs: string[] = [];
  for (let i = 0; i < pairs; ++i) {
    const list = args[2 * i + 1];
    if (!Array.isArray(list)) {
      throw makeError(
        'ERR_TYPE',
        `einsum: argument ${String(2 * i + 1)} must be a list of subscripts`,
      );
    }
    operands.push(args[2 * i]);
    inputs.push(subscripts(list));
  }
  if (args.length % 2 === 0) return { equation: inputs.join(','), operands };
  const last = args[args.length - 1];
  if (!Array.isArray(last)) {
    throw makeError('ERR_TYPE', 'einsum: the last argument must be a list of subscripts');
  }
  return { equation: `${inputs.join(',')}->${subscripts(last)}`, operands };
}

type Sublist = readonly (number | '...')[];

/**
 * Sums of products of the operands, in Einstein's notation: letters name dimensions, a letter that the
 * result lacks is summed, one that an operand repeats takes its diagonal, `...` stands for further
 * dimensions, which broadcast. Contractions run as batched matrix products, pair by pair in the order
 * that keeps intermediate results small. The operands follow the equation, one by one or as a list;
 * lists of numbers may take the place of letters. PyTorch: `torch.einsum`.
 *
 * @example einsum('bij,bjk->bik', a, b); einsum('ii->i', m); einsum(a, [0, 1], b, [1, 2], [0, 2])
 * @throws RangeError ERR_VALUE for an equation that cannot be read; TensorError ERR_SHAPE for
 *   operands that do not fit it.
 */
export function einsum(equation: string, ...operands: Tensor[]): Tensor;
export function einsum(equation: string, operands: readonly Tensor[]): Tensor;
export function einsum(operand: Tensor, subscripts: Sublist, ...rest: (Tensor | Sublist)[]): Tensor;
export function einsum(...args: unknown[]): Tensor {
  let call: Contraction;
  if (typeof args[0] === 'string') {
    const listed = args.length === 2 && Array.isArray(args[1]);
    call = { equation: args[0], operands: listed ? (args[1] as unknown[]) : args.slice(1) };
  } else if (args[0] instanceof Tensor) {
    call = fromSublists(args);
  } else {
    throw makeError('ERR_TYPE', "einsum: argument 'equation' must be a string");
  }
  const handles = call.operands.map((t) => {
    checkTensor('einsum', 'operands', t);
    return handleOf(t);
  });
  return wrapOne(native.ops['einsum']?.(call.equation, handles), undefined);
}

/** How many dimensions to contract, or which: those of the first operand and of the second. */
export type ContractedDims =
  number | readonly [readonly number[] | number, readonly number[] | number];

export interface TensordotOptions {
  /** Default 2. */
  readonly dims?: ContractedDims | undefined;
}

function contractedDims(a: Tensor, dims: unknown): [readonly number[], readonly number[]] {
  if (Array.isArray(dims) && dims.length === 2) {
    const [first, second] = dims as [number | number[], number | number[]];
    return [[first].flat(), [second].flat()];
  }
  if (typeof dims !== 'number' || !Number.isInteger(dims)) {
    throw makeError(
      'ERR_TYPE',
      "tensordot: argument 'dims' must be an integer or two lists of dimensions",
    );
  }
  if (dims < 0 || dims > a.ndim) {
    throw makeError(
      'ERR_VALUE',
      `tensordot: argument 'dims' must be between 0 and the dimensions of the operands, got ${String(dims)}`,
    );
  }
  const range = Array.from({ length: dims }, (_, i) => i);
  return [range.map((i) => a.ndim - dims + i), range];
}

/**
 * Contracts dimensions of two tensors: the last `dims` of the first with the first `dims` of the
 * second, or those of two lists. PyTorch: `torch.tensordot`.
 */
export function tensordot(
  input: Tensor,
  other: Tensor,
  dims: ContractedDims | TensordotOptions = 2,
): Tensor {
  checkTensor('tensordot', 'input', input);
  checkTensor('tensordot', 'other', other);
  let given: unknown = dims;
  if (typeof dims === 'object' && !Array.isArray(dims)) {
    for (const key of Object.keys(dims)) {
      if (key === 'dims') continue;
      throw makeError(
        'ERR_TYPE',
        `tensordot: unknown option '${key}'${suggest(key, ['dims'])} (options are dims)`,
      );
    }
    given = (dims as TensordotOptions).dims ?? 2;
  }
  const [left, right] = contractedDims(input, given);
  const result = native.ops['tensordot']?.(handleOf(input), handleOf(other), left, right);
  return wrapOne(result, undefined);
}
