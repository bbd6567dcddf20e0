import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import {
  Checkpoint,
  getRngState,
  manualSeed,
  nn,
  optim,
  rand,
  randn,
  save,
  type Tensor,
} from '../../lib';
import { bits, failure, temporaryFolder } from './helpers';
import { killTrials } from './programs/killTrials';

const folder = temporaryFolder();
const fresh = (): string => mkdtempSync(join(folder, 'c-'));
const names = (path: string): string[] => readdirSync(path).sort();

describe('resuming', () => {
  interface Run {
    step: number;
    losses: number[];
    hash: string;
  }
  const run = (where: string, to: number, die = 'no'): Run => {
    const program = join(__dirname, 'programs', 'resume.ts');
    const child = spawnSync(
      process.execPath,
      ['--require', 'tsx/cjs', program, where, String(to), die],
      { encoding: 'utf8', cwd: join(__dirname, '..', '..'), timeout: 60_000 },
    );
    if (die === 'die') expect(child.signal).toBe('SIGKILL');
    else if (child.status !== 0) throw new Error(child.stdout + child.stderr);
    return JSON.parse(child.stdout.trim().split('\n').at(-1) as string) as Run;
  };

  test('20 steps equal 10, a killed process, and 10 more: to the bit, with workers and scaler', () => {
    const whole = run(fresh(), 20);
    const where = fresh();
    const first = run(where, 10, 'die');
    const second = run(where, 20);
    expect([...first.losses, ...second.losses]).toEqual(whole.losses);
    expect(second).toEqual({ step: 20, losses: whole.losses.slice(10), hash: whole.hash });
    expect(second.losses).toHaveLength(10);
  });
});

describe('kill -9 while saving', () => {
  test('leaves a readable newest checkpoint', async () => {
    const result = await killTrials(4);
    expect(result.failures).toEqual([]);
  });
});

describe('Checkpoint', () => {
  const model = new nn.Linear(3, 2);
  const parts = { model, optimizer: new optim.SGD(model.parameters(), { lr: 0.1 }) };

  test('keeps the last and the best', () => {
    const where = join(fresh(), 'new', 'folder');
    const c = new Checkpoint(where, parts, { keepLast: 2, metric: 'acc', mode: 'max' });
    expect(c.list()).toEqual([]);
    expect(c.latest()).toBe(null);
    expect(c.best()).toBe(null);
    expect(c.load()).toBe(null);
    [0.1, 0.9, 0.5, NaN, 0.7].forEach((acc, step) => c.save({ step, metrics: { acc } }));
    expect(names(where)).toEqual(
      [1, 3, 4].map((n) => `checkpoint-${String(n).padStart(10, '0')}.safetensors`),
    );
    expect(c.best()).toBe(c.list()[0]);
    expect(c.latest()).toBe(c.list()[2]);
    // A process that starts later knows the best too.
    const again = new Checkpoint(where, parts, { keepLast: 1, metric: 'acc', mode: 'max' });
    again.save({ step: 5, metrics: { acc: 0.2 } });
    expect(again.list().map((p) => Number(basename(p).slice(11, 21)))).toEqual([1, 5]);
    again.save({ step: 6, metrics: { acc: 0.95 } });
    expect(again.list()).toHaveLength(1);
  });

  test('restores every part, the random generator, and what was added', () => {
    const c = new Checkpoint(fresh(), parts);
    manualSeed(3);
    rand([5]);
    const path = c.save({ step: 12, metrics: { loss: 0.5 }, extra: { epoch: 2, seen: [1n] } });
    const weight = bits(model.weight);
    const state = getRngState();
    const next = rand([4]).toArray();
    model.weight.setData(randn([2, 3]));
    expect(c.load()).toEqual({
      path,
      step: 12,
      metrics: { loss: 0.5 },
      extra: { epoch: 2, seen: [1n] },
    });
    expect(bits(model.weight as Tensor)).toEqual(weight);
    expect(getRngState()).toEqual(state);
    expect(rand([4]).toArray()).toEqual(next);
  });

  test('skips unreadable files, with a warning', () => {
    const where = fresh();
    const c = new Checkpoint(where, parts);
    const good = c.save({ step: 1 });
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const torn = join(where, 'checkpoint-0000000002.safetensors');
    writeFileSync(torn, readFileSync(good).subarray(0, -9));
    const flipped = readFileSync(good);
    flipped[flipped.length - 40] = (flipped[flipped.length - 40] as number) ^ 1;
    writeFileSync(join(where, 'checkpoint-0000000003.safetensors'), flipped);
    writeFileSync(join(where, 'checkpoint-0000000004.safetensors'), '');
    writeFileSync(join(where, 'checkpoint-x.safetensors'), '');
    expect(c.list()).toHaveLength(4);
    expect(c.latest()).toBe(good);
    expect(warn).toHaveBeenCalledTimes(3);
    warn.mockRestore();
    expect(failure(() => c.load({ path: torn }))).toMatch(/^ERR_FILE/);
  });

  test('what crashed writers left is deleted when it is old', () => {
    const where = fresh();
    const c = new Checkpoint(where, parts);
    const left = (name: string): string =>
      join(where, `.${name}-0000000001.safetensors.1-ab.ampgrad-tmp`);
    for (const path of [left('checkpoint'), left('other')]) {
      writeFileSync(path, 'half');
      utimesSync(path, 1, 1);
    }
    writeFileSync(left('checkpoint').replace('1-ab', '2-ab'), 'being written');
    c.save({ step: 1 });
    expect(names(where)).toHaveLength(3);
    expect(names(where)).not.toContain(basename(left('checkpoint')));
  });

  test('wrong parts, options and files', () => {
    const where = fresh();
    expect(failure(() => new Checkpoint(where, { model: 1 as never }))).toMatch(
      /ERR_TYPE.*'model'/,
    );
    expect(failure(() => new Checkpoint('', parts))).toMatch(/ERR_TYPE/);
    expect(failure(() => new Checkpoint(where, parts, { prefix: '../x' }))).toMatch(/ERR_VALUE/);
    expect(failure(() => new Checkpoint(where, parts, { keep: 1 } as never))).toMatch(/ERR_TYPE/);
    expect(failure(() => new Checkpoint(where, parts, { mode: 'low' as never }))).toMatch(
      /ERR_VALUE/,
    );
    const c = new Checkpoint(where, parts, { metric: 'loss' });
    expect(failure(() => c.save({ step: 1 }))).toMatch(/ERR_VALUE.*lacks 'loss'/);
    expect(failure(() => c.save({ step: -1 }))).toMatch(/ERR_VALUE/);
    expect(failure(() => c.save({ step: 1, metrics: { loss: 'low' as never } }))).toMatch(
      /ERR_TYPE/,
    );
    expect(failure(() => new Checkpoint(where, parts).best())).toMatch(/ERR_VALUE/);
    const path = c.save({ step: 1, metrics: { loss: 1 } });
    const less = new Checkpoint(where, { model });
    expect(failure(() => less.load())).toMatch(/ERR_VALUE.*part 'optimizer'/);
    const more = new Checkpoint(where, { ...parts, other: model });
    expect(failure(() => more.load())).toMatch(/ERR_VALUE.*no part 'other'/);
    save({ a: 1 }, path);
    expect(failure(() => c.load())).toMatch(/ERR_FILE.*not written by Checkpoint/);
    const file = join(fresh(), 'file');
    writeFileSync(file, '');
    expect(failure(() => new Checkpoint(file, parts).save({ step: 1 }))).toMatch(/ERR_FILE/);
  });
});
