import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  dtypes,
  files,
  randn,
  safetensors,
  slice,
  tensor,
  type Tensor,
  TensorError,
  zeros,
} from '../../lib';
import { bits, failure, fileMaker, golden, temporaryFolder } from './helpers';

const folder = temporaryFolder();
const file = fileMaker(folder);
const all = join(golden, 'all.safetensors');

/** A file with this header. */
function raw(header: unknown, data: Uint8Array = new Uint8Array(), length?: bigint): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([head, json, data]);
}

const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32'): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe('reading what the reference library wrote', () => {
  test('every dtype', () => {
    const t = safetensors.loadFile(all);
    expect(t['i64']?.dataSync()).toEqual(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 0n));
    expect(t['i32']?.toArray()).toEqual([[-(2 ** 31)], [2 ** 31 - 1]]);
    expect(t['i16']?.toArray()).toEqual([-32768, 32767]);
    expect(t['i8']?.toArray()).toEqual([-128, 127, 5]);
    expect(t['u8']?.toArray()).toEqual([0, 255, 7]);
    expect(t['bool']?.toArray()).toEqual([true, false, true]);
    expect(t['f64']?.toArray()).toEqual([
      [0, -0, 0.5],
      [Infinity, NaN, -0.75],
    ]);
    for (const [name, dtype] of [
      ['f32', 'float32'],
      ['f16', 'float16'],
      ['bf16', 'bfloat16'],
    ] as const) {
      expect(t[name]?.dtype).toBe(dtype);
      expect(t[name]?.toArray()).toEqual(t['f64']?.toArray());
    }
    expect(t['scalar']?.shape).toEqual([]);
    expect(t['scalar']?.item()).toBe(3.25);
    expect(t['empty']?.shape).toEqual([2, 0, 3]);
    expect(t['naïve.名']?.toArray()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
  });

  test('tensors can be computed with and outlive the others', () => {
    const { f32 } = safetensors.loadFile(all) as { f32: Tensor };
    expect(f32.add_(1).get(0).toArray()).toEqual([1, 1, 1.5]);
    expect(safetensors.load(readFileSync(all))['i8']?.toArray()).toEqual([-128, 127, 5]);
  });

  test('keys, metadata, single tensors, slices', () => {
    const open = safetensors.safeOpen(all);
    expect(open.keys()).toContain('naïve.名');
    expect(open.has('f32')).toBe(true);
    expect(open.metadata()).toEqual({ format: 'pt', note: 'a "b"' });
    const whole = open.getTensor('naïve.名');
    const part = open.getSlice('naïve.名');
    expect(part.shape).toEqual([2, 3]);
    expect(part.storedDtype).toBe('F32');
    for (const index of [
      [1],
      [-1],
      [slice(1)],
      [slice(-1, null)],
      [slice(5, 9)],
      [slice(null, null, 2)],
      ['0:1, 1:'],
      [null, 0],
      ['...', 2],
      [1, 2],
      [tensor([1, 0])],
    ] as const) {
      expect(part.get(...index).toArray()).toEqual(whole.get(...index).toArray());
    }
    expect(open.getSlice('scalar').get().item()).toBe(3.25);
    expect(failure(() => part.get(2))).toMatch(/ERR_RANGE.*index 2 is out of bounds/);
    expect(failure(() => open.getTensor('nothing'))).toMatch(/ERR_VALUE.*'nothing'/);
    open.close();
    expect(failure(() => open.getTensor('f32'))).toMatch(/ERR_FILE.*was closed/);
  });

  test('a dtype that ampgrad lacks is named with its tensor', () => {
    const path = join(golden, 'float8.safetensors');
    expect(failure(() => safetensors.loadFile(path))).toMatch(/ERR_DTYPE.*'f8' has dtype F8_E4M3/);
    const open = safetensors.safeOpen(path);
    expect(open.getTensor('w').shape).toEqual([2, 3]);
    expect(failure(() => open.getTensor('f8'))).toMatch(/ERR_DTYPE.*'f8'/);
    expect(failure(() => open.getSlice('f8').get(0))).toMatch(/ERR_DTYPE.*'f8'/);
    open.close();
  });
});

describe('writing', () => {
  test('every dtype and shape comes back to the bit', () => {
    const tensors: Record<string, Tensor> = {};
    for (const dtype of dtypes) {
      tensors[dtype] = randn([3, 5])
        .mul(50)
        .to(dtype === 'uint8' ? 'int32' : dtype)
        .to(dtype);
      tensors[`${dtype} scalar`] = tensor(1, { dtype });
      tensors[`${dtype} empty`] = zeros([0, 4], { dtype });
    }
    tensors['view'] = randn([4, 6])
      .t()
      .get(slice(1, 5, 2));
    tensors['__proto__x'] = zeros([1]);
    const path = join(folder, 'written.safetensors');
    safetensors.saveFile(tensors, path, { metadata: { format: 'pt', empty: '' } });
    const back = safetensors.loadFile(path);
    expect(Object.keys(back).sort()).toEqual(Object.keys(tensors).sort());
    for (const [name, t] of Object.entries(tensors)) {
      expect(bits(back[name] as Tensor)).toEqual(bits(t));
    }
    const open = safetensors.safeOpen(path);
    expect(open.metadata()).toEqual({ format: 'pt', empty: '' });
    open.close();
    expect(safetensors.save(tensors, { metadata: { format: 'pt', empty: '' } })).toEqual(
      new Uint8Array(readFileSync(path)),
    );
  });

  test('the data begin at a multiple of eight and hold the widest elements first', () => {
    const out = safetensors.save({ a: zeros([1], { dtype: 'int8' }), b: zeros([1]) });
    expect((8 + Number(Buffer.from(out).readBigUInt64LE(0))) % 8).toBe(0);
    expect(Buffer.from(out).toString('latin1', 8)).toMatch(/^\{"b":.*"a":/);
  });

  test('replaces the old file and leaves no other', () => {
    const path = join(folder, 'twice.safetensors');
    safetensors.saveFile({ a: zeros([2]) }, path);
    safetensors.saveFile(new Map([['b', zeros([3])]]), path);
    expect(Object.keys(safetensors.loadFile(path))).toEqual(['b']);
    expect(readdirSync(folder).filter((name) => name.endsWith('tmp'))).toEqual([]);
  });

  test('an unwritable path, a wrong value', () => {
    const t = zeros([1]);
    expect(failure(() => safetensors.saveFile({ t }, join(folder, 'no', 'x')))).toMatch(
      /ERR_FILE.*cannot be written \(ENOENT\)/,
    );
    expect(failure(() => safetensors.saveFile({ t: 1 as never }, 'x'))).toMatch(/ERR_TYPE.*'t'/);
    expect(failure(() => safetensors.saveFile({ __metadata__: t }, 'x'))).toMatch(/ERR_TYPE/);
    expect(failure(() => safetensors.saveFile(t as never, 'x'))).toMatch(/ERR_TYPE/);
    expect(failure(() => safetensors.save({}, { metadata: { a: 1 as never } }))).toMatch(
      /ERR_TYPE.*'a'/,
    );
    expect(failure(() => safetensors.saveFile({ t }, ''))).toMatch(/ERR_TYPE/);
    expect(safetensors.load(safetensors.save({}))).toEqual({});
  });
});

describe('broken files', () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['no bytes', new Uint8Array(), /truncated: 0 bytes are no header/],
    ['half a length', new Uint8Array(5), /truncated/],
    ['an oversized header', raw('{}', undefined, 100_000_001n), /header too large/],
    ['a huge header', raw('{}', undefined, 2n ** 64n - 1n), /header too large/],
    ['a truncated header', raw('{}', undefined, 99_000_000n), /truncated: its header claims/],
    ['an empty header', raw(''), /does not begin with '\{'/],
    ['a space before the header', raw(' {}'), /does not begin with '\{'/],
    ['an array', raw('[]'), /does not begin/],
    ['deep nesting', raw(`{"a":${'['.repeat(1e6)}`), /expected '\{'/],
    ['no end', raw('{"a'), /expected the end of a string/],
    ['more after the end', raw('{}x'), /expected nothing more.*got 'x'/],
    ['a control character', raw('{"a\n":1}'), /malformed string/],
    ['bytes that are not UTF-8', raw('{}').fill(0xff, 9, 10), /not UTF-8/],
    ['a tensor that is a number', raw({ a: 1 }), /expected '\{'/],
    ['no fields', raw({ a: {} }), /'a' needs the fields/],
    ['one offset', raw({ a: { dtype: 'F32', shape: [], data_offsets: [0] } }), /needs the fields/],
    ['three offsets', raw({ a: { data_offsets: [0, 1, 2] } }), /at most 2 integers/],
    ['an unknown field', raw({ a: { x: 1 } }), /unknown field 'x' of tensor 'a'/],
    ['a fraction', raw({ a: { shape: [1.5] } }), /expected '\]'/],
    ['a negative size', raw({ a: { shape: [-1] } }), /non-negative integer/],
    ['a leading zero', raw('{"a":{"shape":[01]}}'), /non-negative integer/],
    ['a huge size', raw({ a: { shape: [2 ** 60] } }), /non-negative integer below/],
    [
      'a repeated tensor',
      raw('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}}'),
      /'a' is there twice/,
    ],
    [
      'a repeated tensor, escaped',
      raw('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}'),
      /'a' is there twice/,
    ],
    ['a repeated field', raw('{"a":{"dtype":"U8","dtype":"U8"}}'), /'dtype' is there twice/],
    ['metadata that are no strings', raw({ __metadata__: { a: 1 } }), /expected a string/],
    ['an unknown dtype', raw({ a: entry(0, 0, [0], 'Q9') }), /unknown dtype 'Q9' of tensor 'a'/],
    ['a range outside', raw({ a: entry(0, 8) }, new Uint8Array(4)), /claims bytes 0 to 8/],
    ['a range backwards', raw({ a: entry(4, 0, [0]) }, new Uint8Array(4)), /claims bytes 4 to 0/],
    ['a hole at the start', raw({ a: entry(4, 8) }, new Uint8Array(8)), /leaves a hole before/],
    [
      'a hole between',
      raw({ a: entry(0, 4), b: entry(8, 12) }, new Uint8Array(12)),
      /'b' leaves a hole/,
    ],
    ['an overlap', raw({ a: entry(0, 8), b: entry(4, 12) }, new Uint8Array(12)), /'b' overlaps/],
    [
      'the same range twice',
      raw({ a: entry(0, 8), b: entry(0, 8) }, new Uint8Array(8)),
      /overlaps/,
    ],
    [
      'bytes after the last',
      raw({ a: entry(0, 4) }, new Uint8Array(5)),
      /end at byte 4 of the data/,
    ],
    [
      'a wrong size',
      raw({ a: entry(0, 8, [3]) }, new Uint8Array(8)),
      /\[3\] and dtype F32 needs 12 bytes/,
    ],
    [
      'a size that wraps',
      raw({ a: entry(0, 0, [2 ** 52, 2 ** 52]) }),
      /needs .* bytes, its range has 0/,
    ],
  ];
  test.each(cases)('%s', (_, content, message) => {
    for (const read of [
      () => safetensors.load(content),
      () => safetensors.loadFile(file(content)),
      () => safetensors.safeOpen(file(content)),
    ]) {
      const text = failure(read) as string;
      expect(text).toMatch(/^ERR_FILE: safetensors file '/);
      expect(text).toMatch(message);
    }
  });

  test('every truncation of a good file', () => {
    const good = readFileSync(all);
    for (let n = 0; n < good.length; n += 7) {
      expect(failure(() => safetensors.load(good.subarray(0, n)))).toMatch(/^ERR_FILE/);
    }
  });

  test('a claim of many bytes allocates none', () => {
    const before = process.memoryUsage().arrayBuffers;
    const claims = raw({ a: entry(0, 2 ** 40) });
    for (let i = 0; i < 20; ++i) failure(() => safetensors.load(claims));
    failure(() => safetensors.load(raw('{}', undefined, 100_000_000n)));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  test('not a file', () => {
    expect(failure(() => safetensors.loadFile(folder))).toMatch(/ERR_FILE.*not a regular file/);
    expect(failure(() => safetensors.loadFile(join(folder, 'none')))).toMatch(/ERR_FILE.*ENOENT/);
    expect(failure(() => safetensors.loadFile(1 as never))).toMatch(/ERR_TYPE/);
    expect(failure(() => safetensors.load('x' as never))).toMatch(/ERR_TYPE/);
    expect(failure(() => safetensors.loadFile(all, { devise: 'cpu' } as never))).toMatch(
      /ERR_TYPE/,
    );
    expect(() => safetensors.loadFile(folder)).toThrow(TensorError);
  });

  test('bool elements beyond 1, a name like a prototype', () => {
    const header = `{"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`;
    const out = safetensors.load(raw(header, Uint8Array.of(2, 0, 9)));
    expect(out['b']?.toArray()).toEqual([true, false]);
    expect(out['b']?.sum().item()).toBe(1);
    expect(Object.keys(out)).toEqual(['b', '__proto__']);
    expect(Object.getPrototypeOf(out)).toBe(Object.prototype);
  });

  test('data that are not aligned', () => {
    const header = { a: entry(0, 1, [1], 'U8'), b: entry(1, 9, [2]) };
    const data = Buffer.alloc(9);
    data.writeFloatLE(1.5, 1);
    data.writeFloatLE(-2, 5);
    expect(safetensors.load(raw(header, data))['b']?.toArray()).toEqual([1.5, -2]);
  });
});

describe('a sharded model', () => {
  const a = randn([2, 2]);
  const b = randn([3]);
  safetensors.saveFile({ a }, join(folder, 'one.safetensors'));
  safetensors.saveFile({ b, extra: a }, join(folder, 'two.safetensors'));
  const index = (map: unknown): string =>
    file(JSON.stringify({ metadata: { total_size: 28 }, weight_map: map }), '.json');
  const good = index({ a: 'one.safetensors', b: 'two.safetensors' });

  test('all at once and tensor by tensor', () => {
    const out = safetensors.loadSharded(good);
    expect(Object.keys(out)).toEqual(['a', 'b']);
    expect(bits(out['b'] as Tensor)).toEqual(bits(b));
    const open = files.safetensors.safeOpen(good);
    expect(open.keys()).toEqual(['a', 'b']);
    expect(open.metadata()).toEqual({ total_size: '28' });
    expect(bits(open.getTensor('a'))).toEqual(bits(a));
    expect(open.getSlice('b').get(slice(1)).toArray()).toEqual(b.get(slice(1)).toArray());
    open.close();
    expect(failure(() => open.getTensor('b'))).toMatch(/ERR_FILE.*was closed/);
  });

  test('wrong indices', () => {
    for (const name of ['../one.safetensors', '/etc/passwd', '..', 'a\\b', '', 1]) {
      expect(failure(() => safetensors.loadSharded(index({ a: name })))).toMatch(
        /ERR_FILE.*same folder/,
      );
    }
    expect(failure(() => safetensors.loadSharded(index({ z: 'one.safetensors' })))).toMatch(
      /ERR_FILE.*'one.safetensors' has no tensor 'z'/,
    );
    expect(failure(() => safetensors.loadSharded(index(null)))).toMatch(/ERR_FILE.*weight_map/);
    const broken = join(folder, 'broken.json');
    writeFileSync(broken, '{');
    expect(failure(() => safetensors.safeOpen(broken))).toMatch(/ERR_FILE.*not JSON/);
  });
});
