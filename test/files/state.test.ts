import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

import {
  amp,
  dtypes,
  load,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  randn,
  safetensors,
  save,
  slice,
  tensor,
  type Tensor,
  zeros,
} from '../../lib';
import { bits, failure, fileMaker, golden, temporaryFolder } from './helpers';

const folder = temporaryFolder();
const file = fileMaker(folder);
const path = join(folder, 'state.safetensors');

function roundTrip<T>(value: T): T {
  save(value, path);
  return load(path) as T;
}

/** The file again, with another description of its values. */
function forge(change: (document: Record<string, unknown>) => unknown, sums = true): string {
  const source = readFileSync(path);
  const open = safetensors.safeOpen(path);
  const tensors: Record<string, Tensor> = {};
  for (const name of open.keys()) tensors[name] = open.getTensor(name);
  const text = open.metadata()['ampgrad'] as string;
  open.close();
  const changed = JSON.stringify(change(JSON.parse(text) as Record<string, unknown>));
  const table = (tensors['ampgrad.crc32'] as Tensor).dataSync() as Uint8Array;
  if (sums) Buffer.from(table.buffer).writeUInt32LE(crc32(changed));
  tensors['ampgrad.crc32'] = tensor(table);
  expect(source.length).toBeGreaterThan(0);
  return file(safetensors.save(tensors, { metadata: { ampgrad: changed } }));
}

describe('values', () => {
  test('everything plain', () => {
    const value = {
      text: 'naïve \u{1f600} \ud800 "quoted" \u2028',
      numbers: [0, -0, 1.5, NaN, Infinity, -Infinity, 5e-324, 2 ** 53],
      big: [0n, -(2n ** 200n)],
      flags: [true, false, null, undefined],
      map: new Map<unknown, unknown>([
        ['a', 1],
        [2, { b: [] }],
        [null, new Map()],
      ]),
      set: new Set([1, 'x']),
      date: new Date(1234567890123),
      empty: {},
      ['__proto__']: 3,
    };
    const back = roundTrip(value);
    expect(back).toEqual(value);
    expect(Object.is(back.numbers[1], -0)).toBe(true);
    expect(Object.keys(back)).toEqual(Object.keys(value));
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    for (const plain of [1, 'x', null, undefined, [], 7n]) expect(roundTrip(plain)).toEqual(plain);
  });

  test('typed arrays of every kind', () => {
    const arrays = [
      Uint8Array.of(1, 255),
      Uint8ClampedArray.of(3),
      Int8Array.of(-1),
      Int16Array.of(-300),
      Uint16Array.of(65535),
      Int32Array.of(-(2 ** 31)),
      Uint32Array.of(2 ** 32 - 1),
      BigInt64Array.of(-(2n ** 63n)),
      BigUint64Array.of(2n ** 64n - 1n),
      Float32Array.of(NaN, 0.1).subarray(1),
      Float64Array.of(0.1),
      new Uint8Array(),
    ];
    const back = roundTrip({ arrays });
    expect(back.arrays).toEqual(arrays);
    expect(back.arrays.map((a) => a.constructor.name)).toEqual(
      arrays.map((a) => a.constructor.name),
    );
    expect(roundTrip(Buffer.from('ab'))).toEqual(Uint8Array.of(97, 98));
  });

  test('tensors of every dtype, scalars, empty ones', () => {
    const value: Record<string, Tensor> = {};
    for (const dtype of dtypes) {
      value[dtype] = randn([3, 4]).abs().mul(50).to(dtype);
      value[`${dtype}0`] = tensor(1, { dtype });
      value[`${dtype}e`] = zeros([2, 0], { dtype });
    }
    const back = roundTrip(value);
    for (const [name, t] of Object.entries(value))
      expect(bits(back[name] as Tensor)).toEqual(bits(t));
    expect(bits(roundTrip(value['int64'] as Tensor))).toEqual(bits(value['int64'] as Tensor));
  });

  test('shared memory, views and identity', () => {
    const base = randn([4, 6]);
    const value = {
      base,
      again: base,
      transposed: base.t(),
      part: base.get(slice(1, 3), slice(0, 6, 2)),
      expanded: ones([1]).expand(5),
      alone: randn([100, 3]).get(7),
    };
    const back = roundTrip(value);
    for (const [name, t] of Object.entries(value)) {
      const other = back[name as keyof typeof value];
      expect(bits(other)).toEqual(bits(t));
      expect(other.stride()).toEqual(t.stride());
    }
    expect(back.again).toBe(back.base);
    expect(back.transposed.sharesStorage(back.base)).toBe(true);
    expect(back.alone.sharesStorage(back.base)).toBe(false);
    back.base.fill_(9);
    expect(back.part.toArray()).toEqual([
      [9, 9, 9],
      [9, 9, 9],
    ]);
    // A row is stored without the matrix around it.
    save({ alone: value.alone }, path);
    expect(readFileSync(path).length).toBeLessThan(600);
  });

  test('parameters and gradients wanted', () => {
    const p = new nn.Parameter(randn([2]));
    const frozen = new nn.Parameter(randn([2]), { requiresGrad: false });
    const grad = randn([2]).requiresGrad_();
    const back = roundTrip({ p, frozen, grad, derived: grad.mul(2) });
    expect(back.p).toBeInstanceOf(nn.Parameter);
    expect(back.p.requiresGrad).toBe(true);
    expect(back.frozen).toBeInstanceOf(nn.Parameter);
    expect(back.frozen.requiresGrad).toBe(false);
    expect(back.grad.requiresGrad).toBe(true);
    expect(back.grad).not.toBeInstanceOf(nn.Parameter);
    expect(back.derived.isLeaf).toBe(true);
    expect(bits(back.derived)).toEqual(bits(grad.mul(2)));
  });

  test('what cannot be saved is named by its path', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    let deep: unknown = 1;
    for (let i = 0; i < 2000; ++i) deep = [deep];
    expect(failure(() => save({ a: [() => 1] }, path))).toMatch(/ERR_TYPE.*'a\.0' is a function/);
    expect(failure(() => save({ a: Symbol('x') }, path))).toMatch(/ERR_TYPE.*'a'/);
    expect(failure(() => save({ m: new nn.Linear(1, 1) }, path))).toMatch(
      /ERR_TYPE.*'m' is a Linear, which cannot be saved; save its stateDict\(\)/,
    );
    expect(failure(() => save(loop, path))).toMatch(/ERR_TYPE.*'self' contains itself/);
    expect(failure(() => save(deep, path))).toMatch(/ERR_TYPE.*nested deeper than 1000/);
    expect(failure(() => save('x'.repeat(2 ** 25), path))).toMatch(/ERR_VALUE.*limit/);
    expect(failure(() => save(10n ** 200_000n, path))).toMatch(/ERR_TYPE.*100000 digits/);
    let fits: unknown = 1;
    for (let i = 0; i < 1000; ++i) fits = [fits];
    expect(failure(() => roundTrip(fits))).toBeUndefined();
  });
});

test('model, optimizer, scheduler and scaler come back to the bit', () => {
  manualSeed(1);
  const make = (): {
    model: nn.Sequential;
    optimizer: optim.AdamW;
    scheduler: optim.lrScheduler.LRScheduler;
    scaler: amp.GradScaler;
  } => {
    const model = new nn.Sequential(
      new nn.Linear(3, 4),
      new nn.BatchNorm1d(4),
      new nn.Linear(4, 1),
    );
    const optimizer = new optim.AdamW(model.parameters(), { lr: 0.1, amsgrad: true });
    const scheduler = new optim.lrScheduler.CosineAnnealingLR(optimizer, 7);
    return { model, optimizer, scheduler, scaler: new amp.GradScaler('cpu') };
  };
  const step = ({ model, optimizer, scheduler, scaler }: ReturnType<typeof make>): void => {
    optimizer.zeroGrad();
    scaler.scale((model.forward(ones([5, 3]).mul(0.3)) as Tensor).square().mean()).backward();
    scaler.step(optimizer);
    scaler.update();
    scheduler.step();
  };
  const states = (all: ReturnType<typeof make>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(all).map(([name, part]) => [name, part.stateDict()]));
  const one = make();
  for (let i = 0; i < 3; ++i) step(one);
  const back = roundTrip(states(one)) as Record<string, never>;
  const two = make();
  two.model.loadStateDict(back['model'] as never);
  two.optimizer.loadStateDict(back['optimizer'] as never);
  two.scheduler.loadStateDict(back['scheduler'] as never);
  two.scaler.loadStateDict(back['scaler'] as never);
  const flat = (v: unknown): unknown =>
    JSON.stringify(v, (_, x: unknown) =>
      typeof x === 'object' && x !== null && 'dataSync' in x ? bits(x as Tensor) : x,
    );
  expect(flat(states(two))).toBe(flat(states(one)));
  for (let i = 0; i < 3; ++i) {
    step(one);
    step(two);
  }
  expect(flat(states(two))).toBe(flat(states(one)));
  expect(noGrad(() => one.model.parameters().length)).toBe(6);
});

test('other readers of safetensors see the tensors under their paths', () => {
  const model = new nn.Linear(2, 3);
  save({ model: model.stateDict(), step: 3 }, path);
  const open = safetensors.safeOpen(path);
  expect(open.keys()).toEqual(['model.weight', 'model.bias', 'ampgrad.crc32']);
  expect(open.getTensor('model.weight').shape).toEqual([3, 2]);
  open.close();
});

describe('broken and foreign files', () => {
  test('every truncation, every changed byte', () => {
    save({ a: randn([3]), b: [1, 'x', new Uint8Array(3)] }, path);
    const good = readFileSync(path);
    for (let n = 0; n < good.length; n += 31) {
      expect(failure(() => load(file(good.subarray(0, n))))).toMatch(/^ERR_FILE/);
    }
    for (let i = 0; i < good.length; i += 5) {
      const bad = Buffer.from(good);
      bad[i] = (bad[i] as number) ^ 0x01;
      const text = failure(() => load(file(bad)));
      // The spaces that fill the header up may be any blank; nothing else goes unnoticed.
      if (text !== undefined || good[i] !== 0x20) expect(text).toMatch(/^ERR_FILE/);
    }
  });

  test('foreign files say what reads them', () => {
    expect(failure(() => load(join(golden, 'all.safetensors')))).toMatch(/safetensors\.loadFile/);
    expect(failure(() => load(join(golden, 'train.pt')))).toMatch(/loadTorch/);
    expect(failure(() => load(join(golden, 'fortran.npy')))).toMatch(/npy\.load/);
    expect(failure(() => load(join(folder, 'none')))).toMatch(/ERR_FILE.*ENOENT/);
    expect(failure(() => load(1 as never))).toMatch(/ERR_TYPE/);
    expect(failure(() => load(path, { device: 'tpu' as never }))).toMatch(/ERR_VALUE/);
  });

  test('forged descriptions', () => {
    save({ t: randn([4]), a: new Uint8Array(3) }, path);
    const tree = (node: unknown) => () => load(forge((d) => ({ ...d, tree: node })));
    const record =
      (...r: unknown[]) =>
      () =>
        load(forge((d) => ({ ...d, tensors: [r], tree: ['tensor', 0] })));
    expect(failure(() => load(forge((d) => d)))).toBeUndefined();
    expect(failure(() => load(forge((d) => ({ ...d, tree: 1 }), false)))).toMatch(/checksum/);
    expect(failure(() => load(forge(() => null)))).toMatch(/version undefined/);
    expect(failure(() => load(forge((d) => ({ ...d, version: 2 }))))).toMatch(/version 2/);
    expect(failure(() => load(forge((d) => ({ ...d, entries: ['x', 'y'] }))))).toMatch(
      /'x' is missing/,
    );
    for (const node of [
      {},
      [],
      ['x'],
      ['object', 'a'],
      ['object', 1, 2],
      ['map', 1],
      ['tensor', 9],
      ['tensor'],
      ['tensor', 'length'],
      ['typed', 'Uint8Array', 9],
      ['typed', 'Object', 1],
      ['typed', 'Float64Array', 1],
      ['bigint', '0x1'],
      ['number', 'evil'],
      ['date', 'x'],
      ['array', ['typed', 'Uint8Array', 1], ['typed', 'Uint8Array', 1]],
    ]) {
      expect(failure(tree(node))).toMatch(/ERR_FILE.*malformed/);
    }
    for (const r of [
      [0, [5], [1], 0, 'tensor'],
      [0, [2], [4], 0, 'tensor'],
      [0, [1], [1], 4, 'tensor'],
      [0, [-1], [1], 0, 'tensor'],
      [0, [1], [], 0, 'tensor'],
      [9, [1], [1], 0, 'tensor'],
      [0, [1], [1], 0, 'x'],
      [0, [1], [1], 0],
    ]) {
      expect(failure(record(...r))).toMatch(/ERR_FILE.*malformed/);
    }
    expect(failure(record(1, [1], [1], 0, 'grad'))).toMatch(/^ERR_/);
    const deep = JSON.parse('['.repeat(2000) + ']'.repeat(2000)) as unknown;
    expect(failure(tree(deep))).toMatch(/ERR_FILE.*nested deeper/);
  });
});
