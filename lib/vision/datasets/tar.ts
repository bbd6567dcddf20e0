/** Takes known files out of a `.tar.gz`, without trusting anything else in it. */
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createGunzip } from 'node:zlib';

import { makeError } from '../../errors';

const block = 512;
/** Bytes of an archive without its compression; what goes beyond is a bomb. */
const maxBytes = 2 ** 31;

interface Entry {
  readonly name: string;
  readonly size: number;
  readonly isFile: boolean;
}

function textOf(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? length : end);
}

/** Undefined for the blocks of zeros at the end. */
function readHeader(path: string, header: Buffer): Entry | undefined {
  if (header.every((byte) => byte === 0)) return undefined;
  const sizeText = textOf(header, 124, 12).trim();
  const sumText = textOf(header, 148, 8).trim();
  let sum = 8 * 32;
  header.forEach((byte, i) => {
    if (i < 148 || i >= 156) sum += byte;
  });
  const isSound = /^[0-7]+$/.test(sizeText) && parseInt(sumText, 8) === sum;
  if (!isSound) throw makeError('ERR_FILE', `extractTar: '${path}' is not a sound tar archive`);
  const [name, prefix, kind] = [textOf(header, 0, 100), textOf(header, 345, 155), header[156]];
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    size: parseInt(sizeText, 8),
    isFile: kind === 0 || kind === 0x30,
  };
}

/** The bytes of the archive, in pieces as long as asked for. */
class Pieces {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  #total = 0;

  constructor(readonly path: string) {
    const stream = createReadStream(path).pipe(createGunzip());
    this.#source = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** At most `length` bytes, at least one; undefined at the end. */
  async some(length: number): Promise<Buffer | undefined> {
    if (this.#rest.length === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return undefined;
      this.#rest = value;
      this.#total += value.length;
      if (this.#total > maxBytes) {
        throw makeError(
          'ERR_FILE',
          `extractTar: '${this.path}' holds more than ${String(maxBytes)} bytes`,
        );
      }
    }
    const piece = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }

  /** Hands `length` bytes to `use`. */
  async each(length: number, use: (piece: Buffer) => Promise<unknown> | undefined): Promise<void> {
    for (let left = length; left > 0;) {
      const piece = await this.some(left);
      if (piece === undefined) {
        throw makeError('ERR_FILE', `extractTar: '${this.path}' ends early`);
      }
      left -= piece.length;
      await use(piece);
    }
  }

  async header(): Promise<Entry | undefined> {
    const parts: Buffer[] = [];
    await this.each(block, (piece) => void parts.push(piece));
    return readHeader(this.path, Buffer.concat(parts));
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}

async function write(pieces: Pieces, size: number, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.part`;
  const file = await open(partial, 'w');
  try {
    await pieces.each(size, (piece) => file.writeFile(piece));
    await file.sync();
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(partial, path);
}

/**
 * Writes the files `names` of an archive under `folder`; other entries are passed over, so that no name in
 * the archive decides where something is written.
 * @throws TensorError ERR_FILE for broken archives, and where a file is missing.
 */
export async function extractTar(
  path: string,
  folder: string,
  names: readonly string[],
): Promise<void> {
  const missing = new Set(names);
  const pieces = new Pieces(path);
  try {
    while (missing.size > 0) {
      const entry = await pieces.header();
      if (entry === undefined) break;
      const name = entry.name.replace(/^\.\//, '');
      if (entry.isFile && missing.delete(name)) {
        await write(pieces, entry.size, join(folder, name));
      } else {
        await pieces.each(entry.size, () => undefined);
      }
      await pieces.each((block - (entry.size % block)) % block, () => undefined);
    }
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('Z_') !== true) throw error;
    throw makeError('ERR_FILE', `extractTar: '${path}' is broken: ${(error as Error).message}`);
  } finally {
    await pieces.close();
  }
  const [first] = missing;
  if (first !== undefined)
    throw makeError('ERR_FILE', `extractTar: '${path}' has no file '${first}'`);
}
