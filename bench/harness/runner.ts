/** Timing protocol and result lines of the benchmark, as bench/README.md states them. */
import { appendFileSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';

import { cuda, memory, setNumThreads } from '../../lib';
import { currentDevice } from './data';
import { isEmulated, startDeviceClock } from './deviceClock';
import { calibrationMs, measureExternal } from './load';

export type Unit = 'GFLOP/s' | 'GB/s' | 'images/s' | 'tokens/s' | 's' | 'ms' | 'us' | 'ns' | 'MB';

/** One iteration, and what to compare between implementations. */
export interface Prepared {
  run: () => unknown;
  check?: () => number | number[];
}

export interface Workload {
  readonly name: string;
  readonly unit: Unit;
  /** FLOP, bytes or items of one iteration; for times, how many operations it holds. */
  readonly work: number;
  /** Nominal floating-point operations of one iteration, where the unit does not tell. */
  readonly flop?: number;
  readonly prepare: () => Prepared;
  /** Multiplies the target time: training steps need more samples. */
  readonly budget?: number;
  /** Left out of quick mode unless named. */
  readonly heavy?: boolean;
  /** Says nothing about a device. */
  readonly host?: boolean;
  /** Small enough for an emulated device, whatever `work` counts. */
  readonly emulated?: boolean;
}

/** A workload that measures itself and returns the fields of its line. */
export interface CustomWorkload {
  readonly name: string;
  readonly custom: (settings: Settings) => Record<string, unknown>;
  readonly heavy?: boolean;
  readonly host?: boolean;
}

export type AnyWorkload = Workload | CustomWorkload;

export interface Settings {
  readonly threads: number;
  readonly only: readonly RegExp[];
  /** Workloads were named. */
  readonly named: boolean;
  readonly quick: boolean;
  readonly list: boolean;
  readonly json: string | undefined;
  readonly device: string;
  /** Folder of the four MNIST files. */
  readonly mnist: string | undefined;
}

/** A shell pattern; a name without wildcards is a prefix. */
function toRegExp(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${escaped}${/[*?[]/.test(pattern) ? '$' : ''}`);
}

export function readSettings(argv: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      threads: { type: 'string', default: '2' },
      only: { type: 'string', default: '*' },
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      json: { type: 'string' },
      device: { type: 'string', default: 'cpu' },
      mnist: { type: 'string' },
    },
  });
  const threads = Number(values.threads);
  if (!Number.isInteger(threads) || threads < 1)
    throw new Error('--threads needs a positive integer');
  return {
    threads,
    only: values.only.split(',').map(toRegExp),
    named: values.only !== '*',
    quick: values.quick,
    list: values.list,
    json: values.json,
    device: values.device,
    mnist: values.mnist ?? process.env['MNIST_DIR'],
  };
}

const secondsOf: Partial<Record<Unit, number>> = { s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9 };

/** Nominal work of one iteration, which the roofline compares with the machine's peak. */
function nominalWork({ unit, work, flop }: Workload): Record<string, number> {
  if (flop !== undefined) return { flop };
  if (unit === 'GFLOP/s') return { flop: work };
  return unit === 'GB/s' ? { bytes: work } : {};
}

/** From seconds an iteration to the workload's unit. */
function inUnit(unit: Unit, work: number, seconds: number): number {
  const scale = secondsOf[unit];
  if (scale !== undefined) return seconds / work / scale;
  const amount = unit === 'GFLOP/s' || unit === 'GB/s' ? work / 1e9 : work;
  return amount / seconds;
}

export function significant(x: number, digits = 4): number {
  return Number(x.toPrecision(digits));
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}

/** Seconds that iterations took: by the clock until they were done, and what counts for a result. */
interface Took {
  readonly wall: number;
  readonly counted: number;
}

/** On a device what counts is the time between two events of its stream. */
function time(fn: () => unknown, times: number): Took {
  const clock = startDeviceClock();
  const start = process.hrtime.bigint();
  for (let i = 0; i < times; ++i) fn();
  const onDevice = clock?.stop();
  const wall = Number(process.hrtime.bigint() - start) / 1e9;
  return { wall, counted: onDevice ?? wall };
}

interface Warm {
  first: number;
  fastest: number;
}

function warmUp(run: () => unknown, quick: boolean): Warm {
  const start = process.hrtime.bigint();
  const first = time(run, 1).wall;
  let fastest = first;
  for (let n = 1; n < 1000; ++n) {
    const elapsed = Number(process.hrtime.bigint() - start) / 1e9;
    if (fastest > 2 || (elapsed >= (quick ? 0.05 : 0.3) && n >= (fastest > 0.1 ? 2 : 3))) break;
    fastest = Math.min(fastest, time(run, 1).wall);
  }
  return { first, fastest };
}

function measure(w: Workload, settings: Settings): Record<string, unknown> {
  const { quick } = settings;
  const { run, check } = w.prepare();
  const { first, fastest } = warmUp(run, quick);
  let inner = 1;
  while (inner * fastest < 0.005 && inner < 1 << 20) inner *= 2;
  const target = (quick ? 0.3 : 2) * (w.budget ?? 1);
  const samples: number[] = [];
  const { ext } = measureExternal(() => {
    let total = 0;
    while (samples.length < 5 || total < target) {
      const { wall, counted } = time(run, inner);
      total += wall;
      samples.push(counted / inner);
      if (total > (quick ? 3 : 60)) break;
    }
  });
  const best = Math.min(...samples);
  const median = medianOf(samples);
  return {
    unit: w.unit,
    value: significant(inUnit(w.unit, w.work, best)),
    best: significant(inUnit(w.unit, w.work, best)),
    median: significant(inUnit(w.unit, w.work, median)),
    best_ms: significant(best * 1e3),
    median_ms: significant(median * 1e3),
    first_ms: significant(first * 1e3),
    ...nominalWork(w),
    samples: samples.length,
    inner,
    ext,
    ...(check === undefined ? {} : { check: check() }),
  };
}

function cpuModel(): { model: string; isa: string[] } {
  const wanted = [
    'avx',
    'f16c',
    'fma',
    'avx2',
    'avx512f',
    'avx512_bf16',
    'amx_bf16',
    'asimd',
    'sve',
  ];
  let flags: string[] = [];
  try {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    flags = (/^(flags|Features)\s*:\s*(.*)$/m.exec(text)?.[2] ?? '').split(' ');
  } catch {
    // Not Linux: no flags.
  }
  return { model: cpus()[0]?.model ?? 'unknown', isa: wanted.filter((f) => flags.includes(f)) };
}

function describeDevice(): Record<string, unknown> {
  const device = currentDevice();
  if (device === 'cpu') return {};
  const gpu = cuda.getDeviceProperties(device as cuda.CudaDevice);
  return { device, gpu, clock: isEmulated() ? 'wall' : 'events' };
}

/** Floating-point operations or bytes that the emulator does in a second or so. */
const emulatorLimit = { 'GFLOP/s': 2e7, 'GB/s': 1.3e7 };

/** Why a workload is left out, or nothing. */
function reasonToSkip(w: AnyWorkload, settings: Settings): string | undefined {
  if (w.host === true && currentDevice() !== 'cpu') return 'measures the host';
  if (settings.quick && w.heavy === true && !settings.named) return 'not in quick mode';
  if (!isEmulated() || 'custom' in w || w.emulated === true) return undefined;
  const { unit } = w;
  const small = (unit === 'GFLOP/s' || unit === 'GB/s') && w.work <= emulatorLimit[unit];
  return small ? undefined : 'too large for an emulated device';
}

/** Runs what the settings name and prints one JSON line each. */
export function runAll(workloads: readonly AnyWorkload[], settings: Settings): void {
  const emit = (record: Record<string, unknown>): void => {
    const line = JSON.stringify(record);
    process.stdout.write(`${line}\n`);
    if (settings.json !== undefined) appendFileSync(settings.json, `${line}\n`);
  };
  const chosen = workloads.filter((w) => settings.only.some((p) => p.test(w.name)));
  if (settings.list) {
    for (const w of chosen) process.stdout.write(`${w.name}\n`);
    return;
  }
  setNumThreads(settings.threads);
  const { model, isa } = cpuModel();
  emit({
    header: true,
    peer: 'ampgrad',
    node: process.version,
    cpu: model,
    isa,
    cores: availableParallelism(),
    threads: settings.threads,
    ...describeDevice(),
    mode: settings.quick ? 'quick' : 'full',
    loadavg: loadavg().map((v) => significant(v, 3)),
  });
  for (const w of chosen) {
    const base = { peer: 'ampgrad', workload: w.name, threads: settings.threads };
    const skipped = reasonToSkip(w, settings);
    if (skipped !== undefined) {
      emit({ ...base, skipped });
      continue;
    }
    try {
      const before = calibrationMs();
      const record = 'custom' in w ? w.custom(settings) : measure(w, settings);
      emit({ ...base, ...record, cal_ms: [before, calibrationMs()].map((v) => significant(v, 3)) });
    } catch (error) {
      emit({ ...base, error: String(error) });
    }
    memory.emptyCache();
    if (currentDevice() !== 'cpu') cuda.emptyCache(currentDevice() as cuda.CudaDevice);
  }
}
