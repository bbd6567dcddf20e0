/** NumPy's .npy files: one array. */
import { checkKeys, describe } from '../../data/options';
import { itemSize } from '../../dtype';
import { makeError } from '../../errors';
import { Tensor } from '../../tensor';
import { bytesOf, byteLength, swapBytes, tensorOver } from '../elements';
import { collect, fileError, type Sink, type Source, withSource, writeAtomic } from '../io';
import { magic, readNpyHeader, typeNames } from './header';

const kind = '.npy file';

/** The array of a source, whose elements are read into memory of their own. */
export function readNpy(source: Source): Tensor {
  const { dtype, bigEndian, fortran, shape, start } = readNpyHeader(source);
  const expected = byteLength(shape, dtype);
  const there = source.size - start;
  if (!(expected === there)) {
    const how = expected > there ? 'truncated' : 'oversized';
    throw fileError(
      source.kind,
      source.name,
      `${how}: shape [${shape.join(', ')}] of ${dtype} needs ${String(expected)} bytes, there are ${String(there)}`,
    );
  }
  const bytes = new Uint8Array(expected);
  source.read(bytes, start);
  if (bigEndian) swapBytes(bytes, itemSize(dtype));
  if (!fortran || shape.length < 2) return tensorOver(bytes, shape, dtype);
  const reversed = tensorOver(bytes, [...shape].reverse(), dtype);
  return reversed.permute(shape.map((_, i) => shape.length - 1 - i));
}

/** The bytes of a .npy file, in version 1.0, C order and little-endian. */
export function writeNpy(where: string, t: Tensor): (sink: Sink) => void {
  const type = typeNames.get(t.dtype);
  if (type === undefined) {
    throw makeError(
      'ERR_DTYPE',
      `${where}: NumPy has no ${t.dtype}; convert to float32, or use safetensors`,
    );
  }
  const order = itemSize(t.dtype) === 1 ? '|' : '<';
  const sizes = t.shape.length === 1 ? `${String(t.shape[0])},` : t.shape.join(', ');
  const text = `{'descr': '${order}${type}', 'fortran_order': False, 'shape': (${sizes}), }`;
  // The elements begin at a multiple of 64, the last character before is a line feed.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const head = Buffer.alloc(10 + length, ' ');
  head.write(`${magic}\x01\x00`, 0, 'latin1');
  head.writeUInt16LE(length, 8);
  head.write(text, 10, 'latin1');
  head[head.length - 1] = 0x0a;
  return (sink) => {
    sink(head);
    sink(bytesOf(t));
  };
}

function checkTensor(where: string, t: unknown): asserts t is Tensor {
  if (t instanceof Tensor) return;
  throw makeError('ERR_TYPE', `${where}: expected a Tensor, got ${describe(t)}`);
}

/**
 * Reads the array of a .npy file, or of its bytes: versions 1.0 to 3.0, either byte order, C or
 * Fortran order (which gives a tensor with strides). Python: `numpy.load`.
 *
 * @throws TensorError ERR_FILE for a broken file, ERR_DTYPE for Python objects, records and dtypes
 *   that this library lacks.
 */
export function load(from: string | Uint8Array): Tensor {
  return withSource(kind, from, readNpy);
}

/** Writes a tensor as a .npy file, atomically. Python: `numpy.save`. */
export function save(t: Tensor, path: string): void {
  checkTensor('npy.save', t);
  writeAtomic(kind, path, writeNpy('npy.save', t));
}

/** The bytes that {@link save} would write. */
export function encode(t: Tensor, options: Record<string, never> = {}): Uint8Array {
  checkTensor('npy.encode', t);
  checkKeys('npy.encode', options, []);
  return collect(writeNpy('npy.encode', t));
}
