/** IDX files for tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that is deleted after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ampgrad-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

export function idx(type: number, shape: readonly number[], body: Uint8Array): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head[2] = type;
  head[3] = shape.length;
  shape.forEach((n, i) => head.writeUInt32BE(n, 4 + 4 * i));
  return Buffer.concat([head, body]);
}

export const bytes = (n: number): Uint8Array =>
  Uint8Array.from({ length: n }, (_, i) => (i * 37) & 255);

/** Writes a set of `n` images of 5 x 4 pixels with labels i % 10. */
export function writeDigits(folder: string, n: number, part = 'train'): void {
  writeFileSync(join(folder, `${part}-images-idx3-ubyte`), idx(8, [n, 5, 4], bytes(n * 20)));
  const labels = Uint8Array.from({ length: n }, (_, i) => i % 10);
  writeFileSync(join(folder, `${part}-labels-idx1-ubyte`), idx(8, [n], labels));
}

export function codeOf(fn: () => unknown): string | undefined {
  try {
    fn();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}
