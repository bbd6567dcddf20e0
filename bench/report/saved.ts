/** A comparison as it is kept in a file: what every implementation reached, round by round. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** One result of one implementation in one round. */
export interface Sample {
  readonly best: number;
  readonly median: number;
  /** Cores that anything else on the machine used meanwhile. */
  readonly ext?: number;
}

export interface Compared {
  readonly name: string;
  readonly unit: string;
  /** Nominal work of one iteration and its fastest time, for the roofline. */
  readonly flop?: number;
  readonly bytes?: number;
  readonly bestMs?: number;
  readonly threads: number;
  readonly quick: boolean;
  /** By implementation; `null` where a round has no result. Rounds of all have the same order. */
  readonly samples: Readonly<Record<string, readonly (Sample | null)[]>>;
}

/** What the machine can do at most: see peak.ts. */
export interface Peak {
  readonly threads: number;
  /** Multiply-adds in registers, in GFLOP/s. */
  readonly gflops: Readonly<Record<string, number>>;
  /** Bytes moved, and GB/s of the best plain loop. */
  readonly bandwidth: readonly (readonly [number, number])[];
}

export interface SavedRun {
  /** The header lines of the implementations: versions, processor, settings. */
  readonly headers: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly peaks: readonly Peak[];
  readonly workloads: readonly Compared[];
}

export const self = 'ampgrad';

/** Implementations that ours is compared with, in the order they were named. */
export function peersOf(run: SavedRun): string[] {
  return Object.keys(run.headers).filter((name) => name !== self);
}

function mergeBy<T>(before: readonly T[], after: readonly T[], key: (item: T) => unknown): T[] {
  const fresh = new Map(after.map((item) => [key(item), item]));
  const kept = before.map((item) => fresh.get(key(item)) ?? item);
  const known = new Set(before.map(key));
  return [...kept, ...after.filter((item) => !known.has(key(item)))];
}

/** The best that was ever seen. */
function bestRates(before: Peak, after: Peak): Peak {
  const gflops = { ...before.gflops };
  for (const [type, rate] of Object.entries(after.gflops)) {
    gflops[type] = Math.max(gflops[type] ?? 0, rate);
  }
  const bandwidth = new Map(before.bandwidth);
  for (const [bytes, rate] of after.bandwidth) {
    bandwidth.set(bytes, Math.max(bandwidth.get(bytes) ?? 0, rate));
  }
  return { ...after, gflops, bandwidth: [...bandwidth].sort(([a], [b]) => a - b) };
}

function mergePeaks(before: readonly Peak[], after: readonly Peak[]): Peak[] {
  const merged = after.map((peak) => {
    const old = before.find((p) => p.threads === peak.threads);
    return old === undefined ? peak : bestRates(old, peak);
  });
  return mergeBy(before, merged, (peak) => peak.threads);
}

/** Workloads that were measured again replace what an earlier run says of them. */
export function merge(before: SavedRun, after: SavedRun): SavedRun {
  const [was, is] = [before, after].map((run) => run.headers[self]?.['cpu']);
  if (was !== is) throw new Error(`the saved run is of another processor: ${String(was)}`);
  return {
    headers: { ...before.headers, ...after.headers },
    peaks: mergePeaks(before.peaks, after.peaks),
    workloads: mergeBy(before.workloads, after.workloads, (w) => w.name),
  };
}

export function load(path: string): SavedRun {
  return JSON.parse(readFileSync(path, 'utf8')) as SavedRun;
}

/** Writes a run, over or into what the file holds. */
export function save(path: string, run: SavedRun): void {
  const whole = existsSync(path) ? merge(load(path), run) : run;
  const rows = (items: readonly unknown[]): string =>
    items.map((item) => `\n    ${JSON.stringify(item)}`).join(',');
  // A line an entry, so that a diff shows what was measured again.
  writeFileSync(
    path,
    `{
  "headers": ${JSON.stringify(whole.headers)},
  "peaks": [${rows(whole.peaks)}
  ],
  "workloads": [${rows(whole.workloads)}
  ]
}
`,
  );
}
