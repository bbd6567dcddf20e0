import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { loadTorch, nn, npy, optim, type Tensor, zeros } from '../../lib';
import { collect } from '../../lib/files/io';
import { Unpickler } from '../../lib/files/torch/unpickler';
import { ZipWriter } from '../../lib/files/zip/writer';
import { failure, golden } from './helpers';

const path = (name: string): string => join(golden, name);

/** A checkpoint with this pickle. */
function archive(
  pickle: Uint8Array | string,
  storages: Record<string, Uint8Array> = {},
): Uint8Array {
  return collect((sink) => {
    const zip = new ZipWriter(sink);
    const bytes = typeof pickle === 'string' ? Buffer.from(pickle, 'latin1') : pickle;
    zip.add('x/data.pkl', bytes, false);
    for (const [key, content] of Object.entries(storages)) zip.add(`x/data/${key}`, content, false);
    zip.finish();
  });
}

const proto = '\x80\x02';

/** A pickle of one tensor on storage '0'. */
function tensorPickle(
  offset: number,
  shape: string,
  stride: string,
  type = 'FloatStorage',
): string {
  const id = `(X\x07\0\0\0storagectorch\n${type}\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ`;
  return `${proto}ctorch._utils\n_rebuild_tensor_v2\n(${id}K${String.fromCharCode(offset)}(${shape}t(${stride}t\x89NtR.`;
}

describe('what torch.save wrote', () => {
  test.each([2, 3, 4, 5])('nested values, protocol %d', (protocol) => {
    const v = loadTorch(path(`nested${String(protocol)}.pt`)) as Record<string, never>;
    const t = v as unknown as Record<string, Tensor>;
    for (const [name, dtype] of Object.entries(v['dtypes'] as unknown as Record<string, Tensor>)) {
      expect(dtype.dtype).toBe(name);
      expect(dtype.double().toArray()).toEqual(name === 'bool' ? [0, 1, 1] : [0, 1, 100]);
    }
    expect(t['base']?.get(1).toArray()).toEqual([4, 5, 6, 7]);
    expect(t['transposed']?.stride()).toEqual([1, 4]);
    expect(t['transposed']?.toArray()).toEqual(t['base']?.t().toArray());
    expect(t['part']?.toArray()).toEqual([
      [4, 6],
      [8, 10],
    ]);
    expect(t['part']?.sharesStorage(t['base'] as Tensor)).toBe(true);
    expect(t['expanded']?.stride()).toEqual([0, 0]);
    expect(t['scalar']?.item()).toBe(2.5);
    expect(t['empty']?.shape).toEqual([0, 3]);
    expect(t['parameter']).toBeInstanceOf(nn.Parameter);
    expect(t['parameter']?.requiresGrad).toBe(true);
    expect(t['frozen']).toBeInstanceOf(nn.Parameter);
    expect(t['frozen']?.requiresGrad).toBe(false);
    expect(t['wants']?.requiresGrad).toBe(true);
    expect(v['numbers']).toEqual([
      1,
      -1,
      255,
      65536,
      2 ** 40,
      2n ** 70n,
      -(2n ** 70n),
      0.1,
      Infinity,
    ]);
    expect(v['same']).toBe(v['numbers']);
    expect(v['tuple']).toEqual([1, ['a', null]]);
    expect(v['text']).toBe('naïve \u{1f600}');
    expect(v['bytes']).toEqual(Uint8Array.of(0, 255));
    expect(v['array']).toEqual(Uint8Array.of(97, 98));
    expect(v['flags']).toEqual([true, false, null]);
    expect(v['set']).toEqual(new Set([1, 2]));
    expect(v['by_number']).toEqual(
      new Map([
        [0, 'a'],
        [1, 'b'],
      ]),
    );
    expect(Object.keys(v['ordered'] as object)).toEqual(['z', 'a']);
    expect(v['size']).toEqual([3, 4]);
    expect(v['dtype']).toBe('float16');
    expect(v['device']).toBe('cuda:1');
    expect(Object.getOwnPropertyDescriptor(v, '__proto__')?.value).toBe(1);
    expect(Object.getPrototypeOf(v)).toBe(Object.prototype);
  });

  test('the state dict of a model and its optimizer', () => {
    const v = loadTorch(readFileSync(path('train.pt'))) as {
      model: nn.StateDict;
      optimizer: { state: Map<number, Record<string, Tensor>>; param_groups: { lr: number }[] };
    };
    const model = new nn.Sequential(
      new nn.Linear(3, 4),
      new nn.BatchNorm1d(4),
      new nn.Linear(4, 2),
    );
    expect(model.loadStateDict(v.model)).toEqual({ missingKeys: [], unexpectedKeys: [] });
    expect(v.optimizer.param_groups[0]?.lr).toBe(0.001);
    expect(v.optimizer.state.get(0)?.['exp_avg']?.shape).toEqual([4, 3]);
    expect(new optim.Adam(model.parameters(), {})).toBeDefined();
  });

  test('formats and dtypes that are refused, with the reason', () => {
    expect(failure(() => loadTorch(path('legacy.pt')))).toMatch(
      /ERR_FILE.*before PyTorch 1\.6.*save it again/,
    );
    expect(failure(() => loadTorch(path('complex.pt')))).toMatch(/ERR_DTYPE.*ComplexFloatStorage/);
    expect(failure(() => loadTorch(path('sparse.pt')))).toMatch(/ERR_FILE.*_rebuild_sparse_tensor/);
    expect(failure(() => loadTorch(path('module.pt')))).toMatch(
      /ERR_FILE.*'torch\.nn\.modules\.container\.Sequential'/,
    );
    expect(failure(() => loadTorch(npy.encode(zeros([1]))))).toMatch(/ERR_FILE.*not a ZIP archive/);
    expect(failure(() => loadTorch(3 as never))).toMatch(/ERR_TYPE/);
  });
});

describe('malicious files', () => {
  test('calls of os.system and eval are named and not made', () => {
    expect(failure(() => loadTorch(path('attack.pt')))).toMatch(
      /ERR_FILE.*'posix\.system'.*nothing was executed/,
    );
    expect(failure(() => loadTorch(path('eval.pt')))).toMatch(
      /ERR_FILE.*'(__builtin__|builtins)\.eval'/,
    );
    expect(existsSync('/tmp/ampgrad-was-attacked')).toBe(false);
  });

  test.each([
    ['cos\nsystem\n', 'os.system'],
    ['\x8c\x02os\x8c\x06system\x93', 'os.system'],
    ['cnumpy.core.multiarray\nscalar\n', 'numpy.core.multiarray.scalar'],
    ['ctorch\n__proto__\n', 'torch.__proto__'],
    ['c\nconstructor\n', '.constructor'],
    ['ctorch.hub\nload\n', 'torch.hub.load'],
  ])('the name %j', (code, name) => {
    expect(failure(() => loadTorch(archive(`${proto}${code}.`)))).toContain(`'${name}'`);
  });

  const broken: [string, string, RegExp][] = [
    ['an empty pickle', '', /truncated/],
    ['no end', proto, /truncated/],
    ['nothing to return', `${proto}.`, /a value is missing/],
    ['protocol 0', 'I1\n.', /opcode 0x49 is not supported/],
    ['protocol 9', '\x80\x09.', /protocol 9/],
    ['INST', `${proto}(ios\nsystem\n.`, /opcode 0x69/],
    ['an extension', `${proto}\x82\x01.`, /opcode 0x82/],
    ['a mark that is missing', `${proto}t.`, /a mark is missing/],
    ['a string beyond the end', `${proto}X\xff\xff\xff\x7f.`, /truncated/],
    ['bytes beyond the end', `${proto}\x8e${'\xff'.repeat(8)}.`, /truncated/],
    ['an integer of many bytes', `${proto}\x8b\xff\xff\xff\xff.`, /an integer of 4294967295 bytes/],
    ['a memo that is not there', `${proto}h\x05.`, /nothing was stored as 5/],
    ['an append to a dict', `${proto}}Na.`, /no list/],
    ['an item of a list', `${proto}]NNs.`, /no dict/],
    ['a key without a value', `${proto}}(Nu.`, /a key without a value/],
    ['a call of a list', `${proto}])R.`, /no function/],
    ['a call of a dtype', `${proto}ctorch\nfloat32\n)R.`, /'torch\.float32' cannot be called/],
    ['attributes of a list', `${proto}]}b.`, /no OrderedDict/],
    ['a persistent id that is a number', `${proto}K\x01Q.`, /persistent id/],
    ['a function as value', `${proto}cbuiltins\nset\n.`, /'builtins\.set' itself is not data/],
    ['a storage that is missing', tensorPickle(0, 'K\x01', 'K\x01'), /storage '0' is missing/],
  ];
  test.each(broken)('%s', (_, pickle, message) => {
    const text = failure(() => loadTorch(archive(pickle)));
    expect(text).toMatch(/^ERR_(FILE|TYPE): PyTorch checkpoint/);
    expect(text).toMatch(message);
  });

  test('tensors outside their storage', () => {
    const storages = { 0: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer) };
    const load = (...args: Parameters<typeof tensorPickle>): unknown =>
      loadTorch(archive(tensorPickle(...args), storages));
    expect((load(1, 'K\x03', 'K\x01') as Tensor).toArray()).toEqual([2, 3, 4]);
    expect((load(0, '', '') as Tensor).item()).toBe(1);
    expect(failure(() => load(1, 'K\x04', 'K\x01'))).toMatch(
      /ERR_FILE.*does not fit in storage '0' of 4/,
    );
    expect(failure(() => load(200, 'K\x01', 'K\x01'))).toMatch(/ERR_FILE.*does not fit/);
    expect(failure(() => load(0, 'K\x02', 'K\xff'))).toMatch(/ERR_FILE.*does not fit/);
    expect(failure(() => load(0, 'K\x02', 'J\xff\xff\xff\xff'))).toMatch(/ERR_FILE.*malformed/);
    expect(failure(() => load(0, 'K\x02', ''))).toMatch(/ERR_FILE.*malformed/);
    expect(failure(() => load(0, 'K\x04', 'K\x01', 'DoubleStorage'))).toMatch(/does not fit.*of 2/);
    const huge = '\x8a\x07\xff\xff\xff\xff\xff\xff\x0f';
    expect(failure(() => load(0, `${huge}${huge}`, 'K\x00K\x00'))).toMatch(/^ERR_/);
  });

  test('deep nesting, memo bombs, opcode bombs: bounded', () => {
    const deep = `${proto}${']'.repeat(1e5)}${'a'.repeat(1e5 - 1)}.`;
    expect(failure(() => loadTorch(archive(deep)))).toMatch(/ERR_FILE.*nested deeper than 1000/);
    // Each list holds the one before twice: 2^60 elements, if they were not shared.
    let laughs = `${proto}]q\x00`;
    for (let i = 1; i <= 60; ++i) {
      const last = String.fromCharCode(i - 1);
      laughs += `](h${last}h${last}eq${String.fromCharCode(i)}`;
    }
    const out = loadTorch(archive(`${laughs}.`)) as unknown[];
    expect(out[0]).toBe(out[1]);
    const self = loadTorch(archive(`${proto}]q\x00h\x00a.`)) as unknown[];
    expect(self[0]).toBe(self);
    expect(failure(() => loadTorch(archive(proto + 'N'.repeat(5_000_001))))).toMatch(
      /more than 5000000 opcodes/,
    );
  });

  test('lists of endless text in the place of names and arguments', () => {
    // As above, but where something asks for a string.
    let laughs = `]q\x00`;
    for (let i = 1; i <= 60; ++i) {
      const last = String.fromCharCode(i - 1);
      laughs += `](h${last}h${last}eq${String.fromCharCode(i)}`;
    }
    const deep = `${']'.repeat(2e4)}${'a'.repeat(2e4 - 1)}`;
    const list = 'h\x3c';
    for (const built of [laughs, `${deep}q\x3c`]) {
      const load = (pickle: string): string | undefined =>
        failure(() => loadTorch(archive(`${proto}${built}${pickle}.`)));
      expect(load(`${list}X\x01\0\0\0a\x93`)).toMatch(/ERR_FILE.*not a string/);
      expect(load(`X\x01\0\0\0a${list}\x93`)).toMatch(/ERR_FILE.*not a string/);
      expect(load(`ctorch\ndevice\nX\x04\0\0\0cuda${list}\x86R`)).toMatch(
        /ERR_FILE.*torch\.device/,
      );
      expect(load(`ctorch.serialization\n_get_layout\n${list}\x85R`)).toMatch(
        /ERR_FILE.*_get_layout/,
      );
      expect(load(`${list}Q`)).toMatch(/ERR_FILE.*persistent id/);
      expect(load(`ctorch\nSize\n${list}\x85R`)).toMatch(/ERR_FILE/);
    }
  });

  test.each([
    ['OBJ', '(cbuiltins\nset\no.'],
    ['INST', '(ios\nsystem\n.'],
    ['EXT1', '\x82\x01.'],
    ['EXT2', '\x83\x01\x00.'],
    ['EXT4', '\x84\x01\x00\x00\x00.'],
    ['NEWOBJ_EX', 'cbuiltins\nset\n)}\x92.'],
    ['BINPERSID of a tuple', '(X\x07\0\0\0storage)tQ.'],
    ['NEXT_BUFFER', '\x97.'],
    ['READONLY_BUFFER', 'N\x98.'],
    ['BUILD of a set', 'cbuiltins\nset\n)R}b.'],
    ['REDUCE with a list', 'cbuiltins\nset\n]R.'],
    ['BINUNICODE8 of 2^63 bytes', `\x8d${'\0'.repeat(7)}\x80.`],
    ['BYTEARRAY8 of 2^40 bytes', '\x96\0\0\0\0\0\x01\0\0.'],
    ['a pop of nothing', '0.'],
    ['a memo of nothing', '\x94.'],
    ['bytes as a name', 'C\x02osC\x06system\x93.'],
  ])('%s is refused', (_name, pickle) => {
    expect(failure(() => loadTorch(archive(`\x80\x04${pickle}`)))).toMatch(/^ERR_FILE/);
  });

  test('copies of one list over and over: bounded', () => {
    const list = `](${'N'.repeat(100_000)}eq\x00`;
    const copies = 'cbuiltins\nset\nh\x00\x85R0'.repeat(100);
    expect(failure(() => loadTorch(archive(`${proto}${list}${copies}N.`)))).toMatch(
      /copies too much/,
    );
  });

  test('every truncation and every changed byte of a good file', () => {
    const good = readFileSync(path('train.pt'));
    for (let n = 0; n < good.length; n += 211) {
      expect(failure(() => loadTorch(good.subarray(0, n)))).toMatch(/^ERR_FILE/);
    }
    // Below the checksum: the unpickler sees the changed bytes.
    const options = {
      fail: (what: string) => Object.assign(new Error(what), { code: 'ERR_FILE' }) as never,
      findGlobal: () => undefined,
      persistentLoad: () => null,
    };
    const pickle = Buffer.from(
      `${proto}}q\x00(X\x01\0\0\0a](K\x01K\x02M\x03\x00eX\x01\0\0\0b\x8a\x02\x01\x02\x86u.`,
      'latin1',
    );
    for (let i = 0; i < pickle.length; ++i) {
      for (let b = 0; b < 256; ++b) {
        const bad = Buffer.from(pickle);
        bad[i] = b;
        const text = failure(() => new Unpickler(bad, options).run());
        if (text !== undefined) expect(text).toMatch(/^ERR_FILE/);
      }
    }
  });
});
