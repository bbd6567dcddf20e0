/**
 * Checkpoints of a training run: everything that has a state, in one file a step, written so that a
 * crash at any moment leaves the newest file readable.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { checkInteger, checkKeys, checkNumber, checkWord, describe } from '../data/options';
import { type Device } from '../dtype';
import { makeError } from '../errors';
import { getRngState, type RngState, setRngState } from '../random';
import { checkPath, fileError, temporarySuffix, writeAtomic } from './io';
import { load, readNotes, verify } from './state/load';
import { writeState } from './state/save';

/** Something whose state can be saved: a module, an optimizer, a scheduler, a scaler, a loader. */
export interface Stateful {
  stateDict(): unknown;
  loadStateDict(state: never): unknown;
}

export interface CheckpointFolderOptions {
  /** Checkpoints to keep beside the best; older ones are deleted. Default 3. */
  readonly keepLast?: number | undefined;
  /** The metric, among those given to `save`, by which the best checkpoint is kept. Default: none. */
  readonly metric?: string | undefined;
  /** Whether a lower or a higher metric is better. Default `'min'`. */
  readonly mode?: 'min' | 'max' | undefined;
  /** How file names begin. Default `'checkpoint'`. */
  readonly prefix?: string | undefined;
}

/** What goes into a checkpoint beside the parts. */
export interface CheckpointInfo {
  /** Number of the checkpoint, such as optimizer steps done: the order of checkpoints. */
  readonly step: number;
  /** Measurements at this step. */
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  /** Anything else that `save()` can write. */
  readonly extra?: unknown;
}

/** What {@link Checkpoint.load} gives back. */
export interface RestoredCheckpoint {
  readonly path: string;
  readonly step: number;
  readonly metrics: Record<string, number>;
  readonly extra: unknown;
}

export interface CheckpointLoadOptions {
  /** Default: the newest readable one. */
  readonly path?: string | undefined;
  /** Where tensors are read to, before the parts copy them. Default `'cpu'`. */
  readonly device?: Device | undefined;
}

const kind = 'checkpoint';
const notesName = 'ampgrad.checkpoint';
const where = 'Checkpoint';
const suffix = '.safetensors';
// What a crashed process was writing is deleted when nobody can be writing it any more.
const abandonedAfter = 3_600_000;

interface Saved {
  readonly parts: Record<string, unknown>;
  readonly rng: RngState;
  readonly step: number;
  readonly metrics: Record<string, number>;
  readonly extra: unknown;
}

function checkParts(parts: unknown): asserts parts is Readonly<Record<string, Stateful>> {
  if (typeof parts !== 'object' || parts === null || Array.isArray(parts)) {
    throw makeError(
      'ERR_TYPE',
      `${where}: argument 'parts' must be an object of what has a state, got ${describe(parts)}`,
    );
  }
  for (const [name, part] of Object.entries(parts)) {
    const p = part as Partial<Stateful> | null | undefined;
    if (typeof p?.stateDict === 'function' && typeof p.loadStateDict === 'function') continue;
    throw makeError(
      'ERR_TYPE',
      `${where}: part '${name}' must have stateDict() and loadStateDict(), got ${describe(part)}`,
    );
  }
}

/**
 * Saves and restores a training run: model, optimizer, scheduler, scaler, loader position (anything
 * with `stateDict` and `loadStateDict`), and the random generator. A run that resumes from a checkpoint
 * goes on as if it had never stopped, to the bit.
 *
 * @example
 * const checkpoint = new Checkpoint('runs/a', { model, optimizer, scheduler, scaler, loader });
 * let step = checkpoint.load()?.step ?? 0;
 * for (const batch of loader) {
 *   train(batch);
 *   if (++step % 100 === 0) checkpoint.save({ step, metrics: { loss } });
 * }
 */
export class Checkpoint {
  readonly folder: string;
  readonly #parts: Readonly<Record<string, Stateful>>;
  readonly #keepLast: number;
  readonly #metric: string | undefined;
  readonly #mode: 'min' | 'max';
  readonly #prefix: string;

  constructor(
    folder: string,
    parts: Readonly<Record<string, Stateful>>,
    options: CheckpointFolderOptions = {},
  ) {
    checkPath(where, folder);
    checkParts(parts);
    checkKeys(where, options, ['keepLast', 'metric', 'mode', 'prefix']);
    this.folder = folder;
    this.#parts = { ...parts };
    this.#keepLast = checkInteger(where, 'keepLast', options.keepLast ?? 3, 1);
    this.#mode = checkWord(where, 'mode', options.mode ?? 'min', ['min', 'max']);
    const { metric, prefix = 'checkpoint' } = options;
    if (metric !== undefined && typeof metric !== 'string') {
      throw makeError('ERR_TYPE', `${where}: 'metric' must be a string, got ${describe(metric)}`);
    }
    if (typeof prefix !== 'string' || !/^[\w.-]{1,100}$/.test(prefix)) {
      throw makeError(
        'ERR_VALUE',
        `${where}: 'prefix' must be of letters, digits, '_', '-' and '.', got ${describe(prefix)}`,
      );
    }
    this.#metric = metric;
    this.#prefix = prefix;
  }

  #names(): string[] {
    try {
      return readdirSync(this.folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return [];
      throw fileError(kind, this.folder, `cannot be listed (${code ?? 'unknown'})`);
    }
  }

  #stepOf(name: string): number | undefined {
    const start = `${this.#prefix}-`;
    if (!name.startsWith(start) || !name.endsWith(suffix)) return undefined;
    const digits = name.slice(start.length, -suffix.length);
    return /^\d{10,16}$/.test(digits) ? Number(digits) : undefined;
  }

  /** Paths of the checkpoints, oldest first; whether they are readable is not looked at. */
  list(): string[] {
    return this.#names()
      .map((name) => [name, this.#stepOf(name)] as const)
      .filter((item): item is [string, number] => item[1] !== undefined)
      .sort(([, a], [, b]) => a - b)
      .map(([name]) => join(this.folder, name));
  }

  /** Writes a checkpoint, deletes those that are not to be kept, and returns the path. */
  save(info: CheckpointInfo): string {
    checkKeys(`${where}.save`, info, ['step', 'metrics', 'extra']);
    const step = checkInteger(`${where}.save`, 'step', info.step, 0);
    const metrics = { ...info.metrics };
    for (const [name, value] of Object.entries(metrics)) {
      if (typeof value === 'number') continue;
      const what = `metric '${name}' must be a number, got ${describe(value)}`;
      throw makeError('ERR_TYPE', `${where}.save: ${what}`);
    }
    if (this.#metric !== undefined && !Object.hasOwn(metrics, this.#metric)) {
      throw makeError('ERR_VALUE', `${where}.save: 'metrics' lacks '${this.#metric}'`);
    }
    const parts = Object.fromEntries(
      Object.entries(this.#parts).map(([name, part]) => [name, part.stateDict()]),
    );
    const value: Saved = { parts, rng: getRngState(), step, metrics, extra: info.extra };
    const path = join(this.folder, `${this.#prefix}-${String(step).padStart(10, '0')}${suffix}`);
    const notes = { [notesName]: JSON.stringify({ step, metrics }) };
    const produce = writeState(`${where}.save`, value, notes);
    try {
      mkdirSync(this.folder, { recursive: true });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw fileError(kind, this.folder, `cannot be made (${code ?? 'unknown'})`);
    }
    writeAtomic(kind, path, produce);
    this.#prune(path);
    return path;
  }

  /** The metric of a file; undefined if it has none or cannot be read. */
  #metricOf(path: string): number | undefined {
    if (this.#metric === undefined) return undefined;
    try {
      const notes = JSON.parse(readNotes(path)[notesName] ?? '{}') as {
        metrics?: Record<string, unknown>;
      };
      const value = notes.metrics?.[this.#metric];
      return typeof value === 'number' ? value : undefined;
    } catch {
      return undefined; // An unreadable file is no candidate; `latest` says the same.
    }
  }

  /** Candidates for the best, best first. NaN, which JSON stores as null, never is. */
  #ranked(): string[] {
    const sign = this.#mode === 'min' ? 1 : -1;
    return this.list()
      .map((path) => [path, this.#metricOf(path)] as const)
      .filter((item): item is [string, number] => item[1] !== undefined)
      .sort(([, a], [, b]) => sign * (a - b))
      .map(([path]) => path);
  }

  /** Deletes what is neither among the last nor the best, and what crashed writers left. */
  #prune(written: string): void {
    const paths = this.list();
    const kept = new Set([...paths.slice(-this.#keepLast), written]);
    const [best] = this.#ranked();
    if (best !== undefined) kept.add(best);
    for (const path of paths) if (!kept.has(path)) rmSync(path, { force: true });
    for (const name of this.#names()) {
      if (!name.startsWith(`.${this.#prefix}-`) || !name.endsWith(temporarySuffix)) continue;
      const path = join(this.folder, name);
      const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Infinity };
      if (Date.now() - mtimeMs > abandonedAfter) rmSync(path, { force: true });
    }
  }

  #firstReadable(paths: readonly string[]): string | null {
    for (const path of paths) {
      try {
        verify(path);
        return path;
      } catch (error) {
        const { code, message } = error as Error & { code?: string };
        if (code !== 'ERR_FILE') throw error;
        process.emitWarning(`${where}: skipped an unreadable file: ${message}`);
      }
    }
    return null;
  }

  /** The newest checkpoint whose checksums fit; others are skipped with a warning. */
  latest(): string | null {
    return this.#firstReadable(this.list().reverse());
  }

  /** The readable checkpoint with the best metric. @throws RangeError ERR_VALUE without `metric`. */
  best(): string | null {
    if (this.#metric === undefined) {
      throw makeError('ERR_VALUE', `${where}.best: the option 'metric' was not given`);
    }
    return this.#firstReadable(this.#ranked());
  }

  /** Restores all parts and the random generator; null if there is no checkpoint. */
  load(options: CheckpointLoadOptions = {}): RestoredCheckpoint | null {
    checkKeys(`${where}.load`, options, ['path', 'device']);
    const path = options.path ?? this.latest();
    if (path === null) return null;
    const saved = load(path, { device: options.device }) as Partial<Saved> | null;
    const states = saved?.parts;
    if (
      typeof states !== 'object' ||
      states === null ||
      saved?.rng === undefined ||
      saved.step === undefined
    ) {
      throw fileError(kind, path, 'was not written by Checkpoint');
    }
    for (const name of Object.keys(this.#parts)) {
      if (!Object.hasOwn(states, name)) {
        throw makeError('ERR_VALUE', `${where}.load: '${path}' has no part '${name}'`);
      }
    }
    for (const name of Object.keys(states)) {
      if (!Object.hasOwn(this.#parts, name)) {
        throw makeError(
          'ERR_VALUE',
          `${where}.load: '${path}' has a part '${name}' that this Checkpoint was not given`,
        );
      }
    }
    for (const [name, part] of Object.entries(this.#parts))
      part.loadStateDict(states[name] as never);
    // Last: restoring a part may draw numbers.
    setRngState(saved.rng);
    const { step, metrics = {}, extra } = saved;
    checkNumber(`${where}.load`, 'step', step, 0);
    return { path, step, metrics, extra };
  }
}
