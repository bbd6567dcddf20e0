/** Datasets of text files: a sample is a line, found by its place and read when it is asked for. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';

import { makeError } from '../errors';
import { Dataset } from './dataset';
import { checkBoolean, checkIndex, checkKeys, describe } from './options';
import { type WorkerRecipe } from './workers/protocol';

export interface TextLinesOptions {
  /** Leave out lines of nothing but blanks. Default false; true for {@link JsonLines}. */
  readonly skipBlank?: boolean | undefined;
}

const pieceSize = 2 ** 20;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

function broken(where: string, path: string, what: string): Error {
  return makeError('ERR_FILE', `${where}: '${path}' ${what}`);
}

/** Where lines begin and end, without their line ends. */
interface Places {
  readonly starts: Float64Array;
  readonly ends: Float64Array;
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((b) => b === 0x20 || b === 0x09 || b === carriageReturn);
}

/** Finds the lines of a file, piece by piece. */
function scan(fd: number, skipBlank: boolean): Places {
  const starts: number[] = [];
  const ends: number[] = [];
  const piece = new Uint8Array(pieceSize);
  let start = 0;
  let blank = true;
  const end = (at: number): void => {
    if (!skipBlank || !blank) {
      starts.push(start);
      ends.push(at);
    }
    start = at + 1;
    blank = true;
  };
  let at = 0;
  for (;;) {
    const n = readSync(fd, piece, 0, pieceSize, at);
    if (n === 0) break;
    let from = 0;
    for (;;) {
      const found = piece.subarray(0, n).indexOf(lineFeed, from);
      blank &&= isBlank(piece.subarray(from, found < 0 ? n : found));
      if (found < 0) break;
      end(at + found);
      from = found + 1;
    }
    at += n;
  }
  if (at > start) end(at);
  return { starts: Float64Array.from(starts), ends: Float64Array.from(ends) };
}

/**
 * The lines of a UTF-8 text file, without their line ends. Only their places are kept in memory.
 * @throws TensorError ERR_FILE if the file is missing, or a line cannot be read.
 */
export class TextLines<T = string> extends Dataset<T> {
  readonly path: string;
  readonly length: number;
  readonly #places: Places;
  readonly #fd: number;
  readonly #skipBlank: boolean;

  constructor(path: string, options: TextLinesOptions = {}) {
    super();
    const where = new.target.name;
    if (typeof path !== 'string' || path === '') {
      throw makeError('ERR_TYPE', `${where}: path must be a string, got ${describe(path)}`);
    }
    checkKeys(where, options, ['skipBlank']);
    this.#skipBlank = checkBoolean(where, 'skipBlank', options.skipBlank ?? this.skipsBlank());
    this.path = resolve(path);
    try {
      this.#fd = openSync(path, 'r');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw broken(where, path, `cannot be opened (${code ?? 'unknown'})`);
    }
    if (!fstatSync(this.#fd).isFile()) {
      closeSync(this.#fd);
      throw broken(where, path, 'is not a regular file');
    }
    this.#places = scan(this.#fd, this.#skipBlank);
    this.length = this.#places.starts.length;
    closing.register(this, this.#fd);
  }

  protected skipsBlank(): boolean {
    return false;
  }

  /** What a sample is of a line. */
  protected parse(line: string, _index: number): T {
    return line as T;
  }

  getItem(index: number): T {
    const i = checkIndex(`${this.constructor.name}.getItem`, index, this.length);
    const start = this.#places.starts[i] as number;
    const bytes = Buffer.alloc((this.#places.ends[i] as number) - start);
    let done = 0;
    while (done < bytes.length) {
      const n = readSync(this.#fd, bytes, done, bytes.length - done, start + done);
      if (n === 0) throw broken(this.constructor.name, this.path, 'was truncated while in use');
      done += n;
    }
    const cut = bytes.at(-1) === carriageReturn ? bytes.length - 1 : bytes.length;
    return this.parse(bytes.toString('utf8', 0, cut), i);
  }

  override workerRecipe(): WorkerRecipe | undefined {
    const { name } = this.constructor;
    if (this.constructor !== TextLines && this.constructor !== JsonLines) return undefined;
    const module = join(__dirname, `lines${extname(__filename)}`);
    const args = [this.path, { skipBlank: this.#skipBlank }];
    return { module, export: name, construct: true, args };
  }
}

/** Descriptors are closed when their dataset is collected. */
const closing = new FinalizationRegistry<number>((fd) => closeSync(fd));

/** The values of a file with one JSON text a line (JSONL). Blank lines are left out. */
export class JsonLines<T = unknown> extends TextLines<T> {
  protected override skipsBlank(): boolean {
    return true;
  }

  protected override parse(line: string, index: number): T {
    try {
      return JSON.parse(line) as T;
    } catch (error) {
      const what = `sample ${String(index)} is not JSON: ${(error as Error).message}`;
      throw broken(this.constructor.name, this.path, what);
    }
  }
}
