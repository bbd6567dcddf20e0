/** Files as bytes: bounded reading at positions, and writing that leaves the old or the new file. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { describe } from '../data/options';
import { type CodedError, makeError } from '../errors';

// One call of read(2) or write(2) moves at most 2^31 - 4096 bytes.
const maxPiece = 2 ** 30;

export function fileError(kind: string, path: string, what: string): CodedError {
  return makeError('ERR_FILE', `${kind} '${path}': ${what}`);
}

export function checkPath(where: string, path: unknown): asserts path is string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return;
  throw makeError('ERR_TYPE', `${where}: path must be a non-empty string, got ${describe(path)}`);
}

function systemError(kind: string, path: string, doing: string, error: unknown): CodedError {
  const { code, message } = error as NodeJS.ErrnoException;
  return fileError(kind, path, `cannot be ${doing} (${code ?? message})`);
}

/** Bytes that can be read at any position. */
export interface Source {
  /** For messages: the path, or what the bytes are. */
  readonly name: string;
  /** For messages: `safetensors file`. */
  readonly kind: string;
  readonly size: number;
  /** Fills `into` from `position`. @throws TensorError ERR_FILE if the bytes end before. */
  read(into: Uint8Array, position: number): void;
  close(): void;
}

function truncated(source: Pick<Source, 'kind' | 'name'>, position: number): CodedError {
  return fileError(source.kind, source.name, `truncated: it ends before byte ${String(position)}`);
}

class FileSource implements Source {
  #fd: number | undefined;

  constructor(
    readonly kind: string,
    readonly name: string,
    fd: number,
    readonly size: number,
  ) {
    this.#fd = fd;
  }

  read(into: Uint8Array, position: number): void {
    if (this.#fd === undefined) throw fileError(this.kind, this.name, 'was closed');
    let done = 0;
    while (done < into.length) {
      const piece = Math.min(maxPiece, into.length - done);
      let n: number;
      try {
        n = readSync(this.#fd, into, done, piece, position + done);
      } catch (error) {
        throw systemError(this.kind, this.name, 'read', error);
      }
      if (n === 0) throw truncated(this, position + into.length);
      done += n;
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Opens a regular file for reading. */
export function openSource(kind: string, path: string): Source {
  checkPath(kind, path);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw systemError(kind, path, 'opened', error);
  }
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    closeSync(fd);
    throw fileError(kind, path, 'not a regular file');
  }
  return new FileSource(kind, path, fd, stat.size);
}

/** Bytes in memory as a source. */
export function bytesSource(kind: string, bytes: Uint8Array): Source {
  const source: Source = {
    kind,
    name: 'bytes in memory',
    size: bytes.length,
    read(into, position) {
      if (position + into.length > bytes.length) throw truncated(source, position + into.length);
      into.set(bytes.subarray(position, position + into.length));
    },
    close() {},
  };
  return source;
}

/** A path or bytes; the kind goes into messages. */
export function toSource(kind: string, from: unknown): Source {
  if (from instanceof Uint8Array) return bytesSource(kind, from);
  if (typeof from === 'string') return openSource(kind, from);
  throw makeError('ERR_TYPE', `${kind}: expected a path or a Uint8Array, got ${describe(from)}`);
}

/** Runs `use` on a source that is closed afterwards. */
export function withSource<T>(kind: string, from: unknown, use: (source: Source) => T): T {
  const source = toSource(kind, from);
  try {
    return use(source);
  } finally {
    source.close();
  }
}

/** Takes pieces of a file, in order. */
export type Sink = (bytes: Uint8Array) => void;

function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(fd, bytes, done, Math.min(maxPiece, bytes.length - done));
  }
}

/** Makes renames in a folder last through a power failure, where the system can. */
function syncFolder(folder: string): void {
  let fd: number;
  try {
    fd = openSync(folder, 'r');
  } catch {
    return; // Windows cannot open folders; its renames are ordered by the journal.
  }
  try {
    fsyncSync(fd);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EINVAL' && code !== 'EPERM' && code !== 'EISDIR') throw error;
  } finally {
    closeSync(fd);
  }
}

/** Marks what {@link writeAtomic} is still writing: a crash can leave such a file behind. */
export const temporarySuffix = '.ampgrad-tmp';

/**
 * Writes a file so that at every moment, also after a crash, the path holds the old content or the
 * new: a temporary file in the same folder, fsync, rename, fsync of the folder.
 */
export function writeAtomic(kind: string, path: string, produce: (sink: Sink) => void): void {
  checkPath(kind, path);
  const folder = dirname(path);
  const unique = `${String(process.pid)}-${randomBytes(6).toString('hex')}`;
  const temporary = join(folder, `.${basename(path)}.${unique}${temporarySuffix}`);
  let fd: number;
  try {
    fd = openSync(temporary, 'wx');
  } catch (error) {
    throw systemError(kind, path, 'written', error);
  }
  let open = true;
  try {
    produce((bytes) => writeAll(fd, bytes));
    fsyncSync(fd);
    closeSync(fd);
    open = false;
    renameSync(temporary, path);
  } catch (error) {
    if (open) closeSync(fd);
    unlinkSync(temporary);
    const { code, syscall } = error as NodeJS.ErrnoException;
    throw syscall === undefined || code === undefined
      ? error
      : systemError(kind, path, 'written', error);
  }
  syncFolder(folder);
}

/** All that `produce` writes, as one array. */
export function collect(produce: (sink: Sink) => void): Uint8Array {
  const pieces: Uint8Array[] = [];
  produce((bytes) => pieces.push(bytes.slice()));
  return new Uint8Array(Buffer.concat(pieces));
}
