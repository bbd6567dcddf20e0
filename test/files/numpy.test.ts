import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';

import { arange, dtypes, npy, npz, randn, tensor, type Tensor, zeros } from '../../lib';
import { bytesSource, collect } from '../../lib/files/io';
import { ZipReader } from '../../lib/files/zip/reader';
import { ZipWriter } from '../../lib/files/zip/writer';
import { bits, failure, fileMaker, golden, temporaryFolder } from './helpers';

const folder = temporaryFolder();
const file = fileMaker(folder);
const stored = join(golden, 'arrays.npz');
const grid = arange(24).reshape([2, 3, 4]);

/** A .npy file of version 1.0 with this header. */
function raw(header: string, data: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  head.writeUInt16LE(header.length, 8);
  return Buffer.concat([head, Buffer.from(header, 'latin1'), data]);
}

describe('.npy and .npz that NumPy wrote', () => {
  test.each([stored, join(golden, 'compressed.npz')])('%s', (path) => {
    const t = npz.load(path);
    expect(t['c']?.dtype).toBe('float32');
    expect(t['c']?.toArray()).toEqual(grid.float().div(3).toArray());
    expect(t['fortran']?.dtype).toBe('int64');
    expect(t['fortran']?.stride()).toEqual([1, 2, 6]);
    expect(t['fortran']?.toArray()).toEqual(grid.toArray());
    expect(t['big_f8']?.toArray()).toEqual(grid.double().div(3).toArray());
    expect(t['big_i2']?.dtype).toBe('int16');
    expect(t['big_i2']?.toArray()).toEqual(grid.toArray());
    expect(t['half']?.dataSync()).toEqual(Uint16Array.of(0x2e66, 0xfc00, 0x7e00));
    expect(t['bool']?.toArray()).toEqual([[true, false]]);
    expect(t['scalar']?.toArray()).toBe(7);
    expect(t['empty']?.shape).toEqual([0, 3]);
    expect(t['int8']?.toArray()).toEqual([-128, 127]);
    expect(npz.load(readFileSync(path))['int8']?.dtype).toBe('int8');
  });

  test('single arrays, all versions', () => {
    expect(npy.load(join(golden, 'fortran.npy')).toArray()).toEqual(grid.toArray());
    const third = grid.float().div(3).toArray();
    expect(npy.load(join(golden, 'version2.npy')).toArray()).toEqual(third);
    expect(npy.load(readFileSync(join(golden, 'version3.npy'))).toArray()).toEqual(third);
  });

  test('objects, records and foreign dtypes are refused', () => {
    const of = (name: string): string | undefined => failure(() => npy.load(join(golden, name)));
    expect(of('object.npy')).toMatch(/ERR_DTYPE.*Python objects \('\|O'\)/);
    expect(of('record.npy')).toMatch(/ERR_DTYPE.*records/);
    expect(of('unsigned.npy')).toMatch(/ERR_DTYPE.*'<u4'/);
  });
});

describe('writing', () => {
  const tensors: Record<string, Tensor> = { view: randn([4, 6]).t(), empty: zeros([3, 0]) };
  for (const dtype of dtypes) {
    if (dtype !== 'bfloat16') tensors[dtype] = randn([3, 5]).abs().mul(50).to(dtype);
    if (dtype !== 'bfloat16') tensors[`${dtype}0`] = tensor(1, { dtype });
  }

  test('.npy comes back to the bit', () => {
    for (const [name, t] of Object.entries(tensors)) {
      const path = join(folder, `${name}.npy`);
      npy.save(t, path);
      expect(bits(npy.load(path))).toEqual(bits(t));
      const encoded = npy.encode(t);
      expect(encoded).toEqual(new Uint8Array(readFileSync(path)));
      expect((encoded.length - t.nbytes) % 64).toBe(0);
    }
  });

  test.each([false, true])('.npz comes back to the bit, compressed: %s', (compressed) => {
    const path = join(folder, 'out.npz');
    npz.save(tensors, path, { compressed });
    const back = npz.load(path);
    expect(Object.keys(back)).toEqual(Object.keys(tensors));
    for (const [name, t] of Object.entries(tensors)) {
      expect(bits(back[name] as Tensor)).toEqual(bits(t));
    }
    expect(npz.encode(tensors, { compressed })).toEqual(new Uint8Array(readFileSync(path)));
  });

  test('bfloat16 and wrong values are refused', () => {
    expect(failure(() => npy.encode(zeros([1], { dtype: 'bfloat16' })))).toMatch(/ERR_DTYPE/);
    expect(failure(() => npy.save(1 as never, 'x'))).toMatch(/ERR_TYPE/);
    expect(failure(() => npz.save({ a: 1 as never }, 'x'))).toMatch(/ERR_TYPE.*'a'/);
    expect(failure(() => npz.encode({}, { level: 1 } as never))).toMatch(/ERR_TYPE.*'level'/);
  });
});

describe('broken .npy', () => {
  const good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
  const eight = new Uint8Array(8);
  const cases: [string, Uint8Array, RegExp][] = [
    ['no bytes', new Uint8Array(), /truncated/],
    ['another format', new Uint8Array(100), /not a \.npy file/],
    ['a later version', raw(good, eight).fill(4, 6, 7), /version 4\.0/],
    ['a truncated header', raw(good).subarray(0, 30), /truncated inside the header/],
    ['truncated elements', raw(good, new Uint8Array(7)), /truncated: shape \[2\] of float32/],
    ['more bytes', raw(good, new Uint8Array(9)), /oversized/],
    ['a huge shape', raw(good.replace('2,', '999999999999999, 999999999999999')), /truncated/],
    ['a huge empty shape', raw(good.replace('2,', '0, 9999999999999999')), /./],
    ['a negative size', raw(good.replace('2,', '-2,')), /expected '\)'/],
    ['no dict', raw('[1, 2]'), /expected '\{'/],
    ['code', raw(good.replace('False', '__import__("os")')), /expected True or False/],
    ['a missing key', raw("{'descr': '<f4'}"), /it needs/],
    ['a repeated key', raw("{'descr': '<f4', 'descr': '<f4'}"), /'descr' is there twice/],
    ['an unknown key', raw("{'x': 1}"), /expected 'descr'/],
    ['more after the dict', raw(`${good}x`, eight), /nothing more/],
    ['many dimensions', raw(good.replace('2,', '1,'.repeat(65))), /more than 64/],
  ];
  test.each(cases)('%s', (_, content, message) => {
    expect(failure(() => npy.load(file(content)))).toMatch(message);
    expect(failure(() => npy.load(content))).toMatch(/^ERR_(FILE|SHAPE|VALUE|RANGE): /);
  });

  test('a header that claims 4 GB', () => {
    const head = Buffer.from('\x93NUMPY\x02\x00\xff\xff\xff\xff{', 'latin1');
    expect(failure(() => npy.load(head))).toMatch(/ERR_FILE.*too large/);
  });
});

describe('broken archives', () => {
  const archive = (add: (zip: ZipWriter) => void): Buffer =>
    Buffer.from(
      collect((sink) => {
        const zip = new ZipWriter(sink);
        add(zip);
        zip.finish();
      }),
    );
  const one = (): Buffer => archive((zip) => zip.add('a.npy', npy.encode(zeros([100])), true));
  const central = (b: Buffer): number => b.readUInt32LE(b.length - 22 + 16);

  test('no archive, a truncated one', () => {
    expect(failure(() => npz.load(file('text')))).toMatch(/ERR_FILE.*not a ZIP archive/);
    const good = readFileSync(stored);
    for (let n = 0; n < good.length; n += 97) {
      expect(failure(() => npz.load(good.subarray(0, n)))).toMatch(/^ERR_FILE/);
    }
  });

  test('every changed byte is an error or changes nothing', () => {
    const good = one();
    for (let i = 0; i < good.length; ++i) {
      const bad = Buffer.from(good);
      bad[i] = (bad[i] as number) ^ 0xff;
      const text = failure(() => expect(npz.load(bad)).toBeDefined());
      if (text !== undefined) expect(text).toMatch(/^ERR_(FILE|DTYPE)/);
    }
  });

  test('a bomb: more than is allowed, than is claimed, than is possible', () => {
    const bomb = archive((zip) => zip.add('a.npy', new Uint8Array(5e7), true));
    expect(bomb.length).toBeLessThan(1e5);
    expect(failure(() => npz.load(bomb, { maxBytes: 1e6 }))).toMatch(
      /ERR_FILE.*more than the limit/,
    );
    const before = process.memoryUsage().arrayBuffers;
    const lies = Buffer.from(bomb);
    lies.writeUInt32LE(1000, central(lies) + 24);
    expect(failure(() => npz.load(lies))).toMatch(/ERR_FILE.*longer than its directory says/);
    const boasts = Buffer.from(bomb);
    boasts.writeUInt32LE(0xfffffffe, central(boasts) + 24);
    expect(failure(() => npz.load(boasts))).toMatch(/ERR_FILE.*more than deflate can do/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6);
  });

  test('entries that overlap, that come twice, that are no arrays', () => {
    const two = archive((zip) => {
      zip.add('a.npy', npy.encode(zeros([4])), false);
      zip.add('b.npy', npy.encode(zeros([4])), false);
    });
    const overlap = Buffer.from(two);
    const second = central(two) + 46 + 5;
    overlap.writeUInt32LE(0, second + 42);
    expect(failure(() => npz.load(overlap))).toMatch(/ERR_FILE.*overlaps/);
    const twice = Buffer.from(two);
    twice.write('a', second + 46);
    expect(failure(() => npz.load(twice))).toMatch(/ERR_FILE.*there twice/);
    expect(
      failure(() => npz.load(archive((zip) => zip.add('x', new Uint8Array(1), false)))),
    ).toMatch(/ERR_FILE.*'x' is not an array/);
  });

  test('encryption and other methods', () => {
    const b = one();
    b.writeUInt16LE(1, central(b) + 8);
    expect(failure(() => npz.load(b))).toMatch(/ERR_FILE.*encrypted/);
    const m = one();
    m.writeUInt16LE(12, central(m) + 10);
    expect(failure(() => npz.load(m))).toMatch(/ERR_FILE.*compression method 12/);
  });

  test('64-bit fields: more than 65535 entries', () => {
    const many = archive((zip) => {
      for (let i = 0; i < 70000; ++i) zip.add(String(i), Uint8Array.of(i & 255), false);
    });
    const reader = new ZipReader(bytesSource('archive', many));
    expect(reader.entries.size).toBe(70000);
    const last = reader.entries.get('69999');
    expect(last && reader.read(last, 10)).toEqual(Uint8Array.of(69999 & 255));
  });

  test('64-bit sizes in the extra field', () => {
    // The form in which NumPy and others write sizes that they do not know in advance.
    const content = Buffer.from('hello');
    const packed = deflateRawSync(content);
    const plain = archive((zip) => zip.add('a', content, true));
    const at = central(plain);
    const extra = Buffer.alloc(20);
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(16, 2);
    extra.writeBigUInt64LE(5n, 4);
    extra.writeBigUInt64LE(BigInt(packed.length), 12);
    const directory = Buffer.from(plain.subarray(at, plain.length - 22));
    directory.writeUInt32LE(0xffffffff, 20);
    directory.writeUInt32LE(0xffffffff, 24);
    directory.writeUInt16LE(20, 30);
    const end = Buffer.from(plain.subarray(plain.length - 22));
    end.writeUInt32LE(directory.length + 20, 12);
    const wide = Buffer.concat([plain.subarray(0, at), directory, extra, end]);
    const reader = new ZipReader(bytesSource('archive', wide));
    const entry = reader.entries.get('a');
    expect(entry && Buffer.from(reader.read(entry, 10)).toString()).toBe('hello');
    extra.writeBigUInt64LE(2n ** 60n, 4);
    const absurd = Buffer.concat([plain.subarray(0, at), directory, extra, end]);
    expect(failure(() => new ZipReader(bytesSource('archive', absurd)))).toMatch(/ERR_FILE/);
  });
});
