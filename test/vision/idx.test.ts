import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';

import { vision } from '../../lib';
import { bytes, codeOf, idx, temporaryFolder } from './helpers';

const { readIdx } = vision.datasets;
const folder = temporaryFolder();
let count = 0;

function file(content: Uint8Array): string {
  const path = join(folder, `f${count++}`);
  writeFileSync(path, content);
  return path;
}

describe('readIdx', () => {
  test('every element type, big-endian', () => {
    const one = Buffer.alloc(8);
    one.writeDoubleBE(-1.5);
    expect(readIdx(file(idx(0x0e, [1], one))).data).toEqual(Float64Array.of(-1.5));
    expect(readIdx(file(idx(0x0d, [1], Buffer.from('3fc00000', 'hex')))).data).toEqual(
      Float32Array.of(1.5),
    );
    expect(readIdx(file(idx(0x0c, [1], Buffer.from('fffffffe', 'hex')))).data).toEqual(
      Int32Array.of(-2),
    );
    expect(readIdx(file(idx(0x0b, [2], Buffer.from('0102fffe', 'hex')))).data).toEqual(
      Int16Array.of(258, -2),
    );
    expect(readIdx(file(idx(0x09, [1], Buffer.from('ff', 'hex')))).data).toEqual(Int8Array.of(-1));
    const whole = readIdx(file(idx(0x08, [2, 3], bytes(6))));
    expect(whole.shape).toEqual([2, 3]);
    expect(whole.dtype).toBe('uint8');
    expect(whole.data).toEqual(bytes(6));
  });

  test('gzip, also of an empty array', () => {
    const array = readIdx(file(gzipSync(idx(8, [10, 200], bytes(2000)))));
    expect(array.data).toEqual(bytes(2000));
    expect(readIdx(file(gzipSync(idx(8, [0], bytes(0))))).shape).toEqual([0]);
  });

  const good = idx(8, [4, 100], bytes(400));
  const huge = idx(8, [4294967295, 4294967295, 4294967295], bytes(10));
  const flipped = Buffer.from(gzipSync(good));
  flipped[flipped.length - 6] ^= 0xff;
  const bomb = Buffer.concat([
    Buffer.from('1f8b0800000000000003', 'hex'),
    deflateRawSync(Buffer.concat([idx(8, [10], bytes(10)), Buffer.alloc(50_000_000)])),
    Buffer.alloc(8),
  ]);
  const cases: [string, () => string, RegExp][] = [
    ['truncated', () => file(good.subarray(0, -1)), /truncated/],
    ['truncated header', () => file(good.subarray(0, 7)), /truncated/],
    ['empty file', () => file(Buffer.alloc(0)), /truncated/],
    ['trailing bytes', () => file(Buffer.concat([good, Buffer.of(0)])), /oversized/],
    ['foreign magic', () => file(Buffer.from('\x89PNG\r\n\x1a\nabcdefgh')), /not an IDX file/],
    ['unknown type', () => file(idx(0x0a, [1], bytes(1))), /not an IDX file/],
    ['no dimensions', () => file(Buffer.from('00000800', 'hex')), /not an IDX file/],
    ['hostile sizes', () => file(huge), /truncated/],
    ['hostile sizes in gzip', () => file(gzipSync(huge)), /truncated/],
    ['truncated gzip', () => file(gzipSync(good).subarray(0, -20)), /truncated/],
    ['truncated content of gzip', () => file(gzipSync(good.subarray(0, -1))), /truncated/],
    ['trailing bytes in gzip', () => file(gzipSync(Buffer.concat([good, good]))), /oversized/],
    ['a gzip that expands without end', () => file(bomb), /oversized/],
    ['corrupt gzip', () => file(flipped), /gzip/],
    ['gzip of something else', () => file(gzipSync(Buffer.from('hello world'))), /not an IDX file/],
    ['missing', () => join(folder, 'nothing'), /ENOENT/],
    [
      'a folder',
      () => {
        mkdirSync(join(folder, 'sub'), { recursive: true });
        return join(folder, 'sub');
      },
      /not a regular file/,
    ],
  ];
  test.each(cases)('%s is an error', (_name, make, text) => {
    const path = make();
    expect(codeOf(() => readIdx(path))).toBe('ERR_FILE');
    expect(() => readIdx(path)).toThrow(text);
    expect(() => readIdx(path)).toThrow(path);
  });

  test('limits and arguments', () => {
    expect(codeOf(() => readIdx(file(good), { maxBytes: 399 }))).toBe('ERR_FILE');
    expect(codeOf(() => readIdx(3 as never))).toBe('ERR_TYPE');
  });
});
