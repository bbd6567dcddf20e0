/** The program of a loading worker: makes its dataset, then loads the batches it is asked for. */
import { extname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { workerData } from 'node:worker_threads';

import '../../index';
import { makeError } from '../../errors';
import { manualSeed } from '../../random';
import { type Dataset } from '../dataset';
import { type CollateFn, Fetcher, withBatchStream } from '../fetch';
import { grouped, groupedAsync } from '../groups';
import { checkFunction, describe } from '../options';
import { setWorkerInfo } from './info';
import {
  decode,
  describeError,
  encode,
  type Encoded,
  modulesOf,
  type Reply,
  type Task,
  transfersOf,
  type WorkerRecipe,
  type WorkerSetup,
} from './protocol';

const { args, ...setup } = workerData as WorkerSetup & { args: Encoded };

function send(reply: Reply, transfers: ArrayBuffer[] = []): void {
  setup.port.postMessage(reply, transfers);
  Atomics.add(setup.signal, 0, 1);
  Atomics.notify(setup.signal, 0);
}

type Exports = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Exports {
  return typeof value === 'object' && value !== null;
}

/** An export by name, also where a CommonJS module was imported and hides in the default export. */
function pick(module: Exports, name: string): unknown {
  const whole = module.default;
  if (isObject(whole) && whole.__esModule === true) return whole[name];
  if (module[name] !== undefined && name !== 'default') return module[name];
  if (isObject(whole) && whole[name] !== undefined) return whole[name];
  return name === 'default' ? whole : undefined;
}

const modules = new Map<string, Exports>();

/** Whether a hook of `require`, such as tsx's, knows what `import` does not: sources in TypeScript. */
function isRequired(url: string): boolean {
  const extension = url.startsWith('file:') ? extname(fileURLToPath(url)) : '';
  return /^\.[cm]?ts$/.test(extension) && require.extensions[extension] !== undefined;
}

function requireModule(url: string): Exports {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- only its hooks know the file
  return require(fileURLToPath(url)) as Exports;
}

async function loadModule(module: string): Promise<Exports> {
  let loaded = modules.get(module);
  if (loaded === undefined) {
    const url = /^(file|data|node):/.test(module) ? module : pathToFileURL(module).href;
    loaded = isRequired(url) ? requireModule(url) : ((await import(url)) as Exports);
    modules.set(module, loaded);
  }
  return loaded;
}

function make(recipe: Omit<WorkerRecipe, 'args'>, values: unknown[]): unknown {
  const module = modules.get(recipe.module) as Exports;
  const name = recipe.export;
  const made =
    name === undefined ? (pick(module, 'dataset') ?? pick(module, 'default')) : pick(module, name);
  if (typeof made !== 'function') {
    if (isObject(made) && name === undefined) return made;
    throw makeError(
      'ERR_TYPE',
      `DataLoader: '${recipe.module}' must export a dataset, or a function that makes one, as ` +
        `${name === undefined ? "'dataset' or default" : `'${name}'`}, got ${describe(made)}`,
    );
  }
  if (recipe.construct === true) return new (made as new (...a: unknown[]) => unknown)(...values);
  return (made as (...a: unknown[]) => unknown)(...values);
}

function pickFunction<F>(module: Exports, name: string): F | undefined {
  return checkFunction(setup.recipe.module, name, pick(module, name) as F | undefined);
}

class WorkerLoop {
  readonly #dataset: Dataset<unknown>;
  readonly #fetcher: Fetcher;
  readonly #init: ((id: number) => unknown) | undefined;
  #seed = 0n;
  #stream: Iterator<unknown[]> | AsyncIterator<unknown[]> | undefined;
  #started = false;

  constructor(dataset: unknown, module: Exports) {
    this.#dataset = dataset as Dataset<unknown>;
    this.#init = pickFunction(module, 'workerInitFn');
    const batched = setup.batchSize !== null;
    this.#fetcher = new Fetcher(
      this.#dataset,
      pickFunction<CollateFn>(module, 'collateFn'),
      batched,
    );
  }

  async run(task: Task): Promise<void> {
    if (task.kind === 'begin') {
      await this.#begin(task.seed);
      return;
    }
    const { pass, index, indices } = task;
    try {
      const batch = await (indices === undefined
        ? this.#next()
        : withBatchStream(this.#seed, index, () => this.#fetcher.fetch(indices)));
      if (batch === undefined && indices === undefined) {
        send({ kind: 'end', pass, index });
        return;
      }
      const encoded = encode(batch);
      send({ kind: 'batch', pass, index, batch: encoded }, transfersOf(encoded));
    } catch (error) {
      send({ kind: 'error', pass, index, error: describeError(error) });
    }
  }

  async #begin(seed: bigint): Promise<void> {
    this.#seed = seed;
    await this.#stream?.return?.();
    const own = BigInt.asUintN(64, seed + BigInt(setup.id));
    manualSeed(own);
    const { id, numWorkers } = setup;
    setWorkerInfo({ id, numWorkers, seed: own, dataset: this.#dataset });
    if (!this.#started) await this.#init?.(id);
    this.#started = true;
    this.#stream = undefined;
  }

  /** The next batch of a stream; undefined at its end. */
  async #next(): Promise<unknown> {
    if (this.#stream === undefined) {
      const source = this.#dataset as unknown as Iterable<unknown> & AsyncIterable<unknown>;
      const size = setup.batchSize ?? 1;
      this.#stream =
        typeof source[Symbol.iterator] === 'function'
          ? grouped(source, size, setup.dropLast)[Symbol.iterator]()
          : groupedAsync(source, size, setup.dropLast)[Symbol.asyncIterator]();
    }
    const { done, value } = await this.#stream.next();
    if (done === true) return undefined;
    const group = value as unknown[];
    return setup.batchSize === null
      ? this.#fetcher.convert(group[0])
      : this.#fetcher.collate(group);
  }
}

async function main(): Promise<void> {
  send({ kind: 'ready' });
  const module = await loadModule(setup.recipe.module);
  await Promise.all(modulesOf(args).map(loadModule));
  const values = decode(args, make) as unknown[];
  const loop = new WorkerLoop(await make(setup.recipe, values), module);
  let queue: Promise<void> = Promise.resolve();
  setup.port.on('message', (task: Task) => {
    queue = queue.then(() => loop.run(task)).catch(fail);
  });
}

function fail(error: unknown): void {
  send({ kind: 'failed', error: describeError(error) });
}

process.on('exit', (code) => {
  send({ kind: 'exit', code });
});
process.on('uncaughtException', (error) => {
  fail(error);
  process.exit(1);
});
main().catch(fail);
