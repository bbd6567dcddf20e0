import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { arange, data, tensor, type Tensor } from '../../lib';
import { type Plan, Squares } from './fixtures/squares';
import { Shard } from './fixtures/stream';
import { codeOf, Numbers } from './helpers';

const { DataLoader } = data;
// The workers of these tests run TypeScript sources.
const workerOptions = { execArgv: ['--require', 'tsx/cjs'] };
const fixture = (name: string): string => join(__dirname, 'fixtures', name);

type Options = data.DataLoaderOptions<[Tensor, number, Tensor], [Tensor, Tensor, Tensor]>;

function make(plan: Plan, options: Options): data.DataLoader<[Tensor, number, Tensor]> {
  const more = options.numWorkers === 0 ? {} : { workerOptions };
  return new DataLoader(new Squares(plan), {
    workerModule: pathToFileURL(fixture('squares.ts')),
    workerData: plan,
    ...more,
    ...options,
  });
}

const show = (batch: Iterable<Tensor>): unknown => Array.from(batch, (t) => [t.dtype, t.toArray()]);

async function collect<B>(loader: AsyncIterable<B>): Promise<B[]> {
  const all: B[] = [];
  for await (const batch of loader) all.push(batch);
  return all;
}

describe('workers', () => {
  const options = { batchSize: 3, shuffle: true, seed: 3 };
  const expected = Array.from(make({ n: 20 }, { ...options, numWorkers: 0 }), show);

  test.each([1, 3])('%i deliver the same batches as none, blocking', (numWorkers) => {
    expect(Array.from(make({ n: 20 }, { ...options, numWorkers }), show)).toEqual(expected);
  });

  test('the same batches asynchronously, with more prefetching', async () => {
    const loader = make({ n: 20 }, { ...options, numWorkers: 2, prefetchFactor: 5 });
    expect((await collect(loader)).map(show)).toEqual(expected);
  });

  test('persistent workers: several passes, blocking and not, left early and resumed', async () => {
    const plain = make({ n: 20 }, { ...options, numWorkers: 0 });
    const passes = Array.from({ length: 4 }, () => Array.from(plain, show));
    const loader = make({ n: 20 }, { ...options, numWorkers: 2, persistentWorkers: true });
    expect(Array.from(loader, show)).toEqual(passes[0]);
    expect((await collect(loader)).map(show)).toEqual(passes[1]);
    for (const _ of loader) break;
    const state = loader.stateDict();
    expect(Array.from(loader, show)).toEqual(passes[3]);
    loader.loadStateDict(state);
    expect(Array.from(loader, show)).toEqual(passes[2]?.slice(1));
    await loader.close();
    expect(Array.from(loader, show)).toEqual(passes[3]);
    await loader.close();
  });

  test('a dataset that can be rebuilt needs no module', () => {
    const set = new data.TensorDataset(
      arange(10).view(5, 2),
      tensor([true, false, true, true, false]),
    );
    const batches = Array.from(new DataLoader(set, { batchSize: 2, numWorkers: 2, workerOptions }));
    expect(batches.map(show)).toEqual(Array.from(new DataLoader(set, { batchSize: 2 }), show));
  });

  test('streams are divided by the dataset; collateFn and workerInitFn come from the module', () => {
    const loader = new DataLoader<number, { samples: string; init: string; seed: bigint }>(
      new Shard(7),
      {
        batchSize: 2,
        numWorkers: 2,
        seed: 1,
        workerModule: fixture('stream.ts'),
        workerData: 7,
        workerOptions,
      },
    );
    const batches = [...loader];
    expect(batches.map((b) => b.samples)).toEqual(['0,2', '1,3', '4,6', '5']);
    expect(batches.map((b) => b.init)).toEqual(['0', '1', '0', '1']);
    expect((batches[1]?.seed as bigint) - (batches[0]?.seed as bigint)).toBe(1n);
    expect(batches[0]).toMatchObject({ when: new Map([['date', new Date(0)]]) });
    expect(data.getWorkerInfo()).toBeNull();
  });
});

describe('workers in trouble', () => {
  const failure = async (run: () => unknown): Promise<Error & { code: string }> => {
    try {
      await run();
    } catch (error) {
      return error as Error & { code: string };
    }
    throw new Error('nothing was thrown');
  };

  const plans: [string, Plan, RegExp, RegExp][] = [
    [
      'throws',
      { n: 9, throwAt: 4 },
      /worker 0 .*batch 2.*RangeError: sample 4 is broken/,
      /squares\.ts/,
    ],
    ['exits', { n: 9, exitAt: 4 }, /worker 0 exited unexpectedly with code 7/, /./],
    ['hangs', { n: 9, hangAt: 4 }, /of worker 0 did not come within 5000 ms/, /./],
  ];
  describe.each(plans)('one that %s', (_name, plan, message, stack) => {
    const timeout = plan.hangAt === undefined ? 0 : 5000;
    const options = { batchSize: 2, numWorkers: 2, timeout };

    test('is reported, blocking', async () => {
      const seen: unknown[] = [];
      const error = await failure(() => {
        for (const [, i] of make(plan, options)) seen.push(i.toArray());
      });
      expect(error.code).toBe('ERR_WORKER');
      expect(error.message).toMatch(message);
      expect(error.stack).toMatch(stack);
      if (timeout > 0) return;
      expect(seen).toEqual([
        [0, 1],
        [2, 3],
      ]);
    });

    test('is reported, asynchronously', async () => {
      const error = await failure(() => collect(make(plan, options)));
      expect(error.code).toBe('ERR_WORKER');
      expect(error.message).toMatch(message);
    });
  });

  test('the original error is the cause', async () => {
    const error = await failure(() => collect(make({ n: 3, throwAt: 0 }, { numWorkers: 1 })));
    expect(error.cause).toMatchObject({ name: 'RangeError', message: 'sample 0 is broken' });
  });

  test('one that runs out of memory', async () => {
    const options = {
      numWorkers: 1,
      workerOptions: { ...workerOptions, resourceLimits: { maxOldGenerationSizeMb: 100 } },
    };
    const error = await failure(() => collect(make({ n: 3, eatAt: 1 }, options)));
    expect(error.code).toBe('ERR_WORKER');
    expect(error.message).toMatch(/memory/);
  });

  test('one that runs out of memory while the main thread is blocked', () => {
    const options = {
      numWorkers: 1,
      workerOptions: { ...workerOptions, resourceLimits: { maxOldGenerationSizeMb: 100 } },
    };
    expect(() => [...make({ n: 3, eatAt: 1 }, options)]).toThrow(/worker 0 exited unexpectedly/);
  });

  test('modules that do not fit', () => {
    const run = (workerModule: string): unknown => {
      const set = new Numbers(3);
      return [...new DataLoader(set, { numWorkers: 1, workerModule, workerOptions })];
    };
    expect(() => run(fixture('nothing.ts'))).toThrow(/nothing\.ts/);
    expect(() => run(join(__dirname, 'helpers.ts'))).toThrow(/must export a dataset/);
    expect(codeOf(() => run(join(__dirname, 'helpers.ts')))).toBe('ERR_WORKER');
  });

  test('a process ends by itself with workers waiting', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--require', 'tsx/cjs', fixture('exit.ts')],
      { encoding: 'utf8', timeout: 30000, cwd: join(__dirname, '../..') },
    );
    expect([status, stdout, stderr]).toEqual([0, 'done\n', '']);
  });
});

describe('a process whose workers fail', () => {
  const program = (plan: object, ...rest: string[]): string[] => [
    '--require',
    'tsx/cjs',
    fixture('faulty.ts'),
    JSON.stringify({ n: 50, ...plan }),
    ...rest,
  ];
  const cwd = join(__dirname, '../..');
  const require = '/nowhere/missing.js';

  test.each([
    ['throws', 'blocking', { throwAt: 4 }, /sample 4 is broken[^]*In worker 0: [^]*squares\.ts/],
    ['throws', 'async', { throwAt: 4 }, /sample 4 is broken[^]*In worker 0: [^]*squares\.ts/],
    ['exits', 'blocking', { exitAt: 4 }, /worker 0 exited unexpectedly with code 7/],
    ['exits', 'async', { exitAt: 4 }, /worker 0 exited unexpectedly with code 7/],
    ['hangs', 'blocking', { hangAt: 4, timeout: 5000 }, /did not come within 5000 ms/],
    ['hangs', 'async', { hangAt: 4, timeout: 5000 }, /did not come within 5000 ms/],
    ['never starts', 'blocking', { require }, /worker 0 exited unexpectedly before it was ready/],
    ['never starts', 'async', { require }, /worker 0 failed and is gone: .*missing\.js/],
  ])('because one %s reports it and ends, %s', (_name, mode, plan, message) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, program(plan, mode), {
      encoding: 'utf8',
      timeout: 60_000,
      cwd,
    });
    expect(stdout).toMatch(message);
    expect([status, stderr]).toEqual([0, '']);
  });

  /** Interrupts the program while a worker hangs. */
  const interrupt = (...rest: string[]): Promise<[number | null, string | null, string]> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, program({ hangAt: 7 }, ...rest), { cwd });
      let output = '';
      child.stdout.on('data', (piece: Buffer) => {
        output += piece.toString();
        if (piece.toString().includes('first')) child.kill('SIGINT');
      });
      child.on('exit', (code, signal) => {
        resolve([code, signal, output]);
      });
    });

  test.each(['blocking', 'async'])('ends by Ctrl-C, %s', async (mode) => {
    expect(await interrupt(mode)).toEqual([null, 'SIGINT', 'first\n']);
  });

  test('ends by closing the loader in a handler of Ctrl-C', async () => {
    const [code, signal, output] = await interrupt('async', 'handler');
    expect([code, signal]).toEqual([0, null]);
    expect(output).toMatch(/the workers were closed/);
  });
});

describe('bad options', () => {
  const n = new Numbers(3);
  const cases: [string, () => unknown, string, string][] = [
    ['negative', () => new DataLoader(n, { numWorkers: -1 }), 'ERR_VALUE', 'numWorkers'],
    ['no module', () => new DataLoader(n, { numWorkers: 1 }), 'ERR_VALUE', 'workerModule'],
    [
      'module of another kind',
      () => new DataLoader(n, { numWorkers: 1, workerModule: 3 as never }),
      'ERR_TYPE',
      'workerModule',
    ],
    [
      'a function',
      () => new DataLoader(n, { numWorkers: 1, workerModule: 'x.js', collateFn: (s) => s }),
      'ERR_VALUE',
      "export 'collateFn'",
    ],
    ['timeout', () => new DataLoader(n, { timeout: 5 }), 'ERR_VALUE', 'numWorkers'],
    ['prefetch', () => new DataLoader(n, { prefetchFactor: 2 }), 'ERR_VALUE', 'numWorkers'],
    [
      'worker options',
      () =>
        new DataLoader(n, {
          numWorkers: 1,
          workerModule: 'x',
          workerOptions: { argv: [] } as never,
        }),
      'ERR_TYPE',
      "'argv'",
    ],
  ];
  test.each(cases)('%s', (_name, fn, code, text) => {
    expect(codeOf(fn)).toBe(code);
    expect(fn).toThrow(text);
  });
});
