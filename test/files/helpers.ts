/** Temporary files, and what the tests of this folder compare. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Tensor } from '../../lib';

export const golden = join(__dirname, '..', 'golden', 'files');

/** A folder that is gone after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ampgrad-files-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes content to new files of a folder. */
export function fileMaker(folder: string): (content: Uint8Array | string, end?: string) => string {
  let count = 0;
  return (content, end = '') => {
    const path = join(folder, `f${count++}${end}`);
    writeFileSync(path, content);
    return path;
  };
}

export function errorOf(fn: () => unknown): { code?: string; message: string } {
  try {
    fn();
  } catch (error) {
    return error as { code?: string; message: string };
  }
  throw new Error('expected an error');
}

/** `code: message`, or undefined if nothing is thrown. */
export function failure(fn: () => unknown): string | undefined {
  try {
    fn();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${String(code)}: ${message}`;
  }
  return undefined;
}

/** The dtype, the shape and every bit. */
export function bits(t: Tensor): { dtype: string; shape: number[]; hex: string } {
  const { buffer, byteOffset, byteLength } = t.dataSync();
  const hex = Buffer.from(buffer, byteOffset, byteLength).toString('hex');
  return { dtype: t.dtype, shape: [...t.shape], hex };
}
