/** Tables of ratios from a comparison: for the terminal and in Markdown. */
import { medianOf } from '../harness/runner';
import { fractionOfPeak } from './peak';
import { type Compared, peersOf, type Sample, type SavedRun, self } from './saved';

/** How much faster ampgrad is than a peer: above 1 it is faster (or smaller). */
export interface Ratio {
  readonly theirs: number;
  /** Of the best samples: the median over the rounds, and the range. */
  readonly ratio: number;
  readonly lowest: number;
  readonly highest: number;
  /** Of the median samples. */
  readonly medians: number;
}

const lowerIsBetter = new Set(['s', 'ms', 'us', 'ns', 'MB']);

export function ratioTo(w: Compared, peer: string): Ratio | undefined {
  const pairs = (w.samples[self] ?? []).flatMap((ours, round) => {
    const theirs = w.samples[peer]?.[round];
    return ours === null || theirs === undefined || theirs === null ? [] : [{ ours, theirs }];
  });
  if (pairs.length === 0) return undefined;
  const of = (key: 'best' | 'median'): number[] =>
    pairs.map(({ ours, theirs }) =>
      lowerIsBetter.has(w.unit) ? theirs[key] / ours[key] : ours[key] / theirs[key],
    );
  const best = of('best');
  return {
    theirs: medianOf(pairs.map(({ theirs }) => theirs.best)),
    ratio: medianOf(best),
    lowest: Math.min(...best),
    highest: Math.max(...best),
    medians: medianOf(of('median')),
  };
}

/** Median over the rounds of our best samples. */
export function ours(w: Compared): number {
  const present = (w.samples[self] ?? []).filter((s): s is Sample => s !== null);
  return medianOf(present.map((s) => s.best));
}

function amount(value: number): string {
  return value >= 10000 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(4);
}

function percent(fraction: number | undefined): string {
  return fraction === undefined ? '' : `${(100 * fraction).toFixed(0)}%`;
}

/** For the terminal. */
export function textTable(run: SavedRun): string {
  const peers = peersOf(run);
  const cell = (text: string, width: number): string => text.padStart(width);
  const head = peers.map(
    (peer) =>
      cell(peer, 11) +
      ['ratio', 'lowest', 'highest', 'medians'].map((title) => cell(title, 8)).join(''),
  );
  const rows = run.workloads.map((w) => {
    const cells = peers.map((peer) => {
      const r = ratioTo(w, peer);
      if (r === undefined) return ' '.repeat(43);
      const ratios = [r.ratio, r.lowest, r.highest, r.medians];
      return cell(amount(r.theirs), 11) + ratios.map((x) => cell(x.toFixed(2), 8)).join('');
    });
    const own = cell(amount(ours(w)), 11) + ` ${w.unit.padEnd(9)}`;
    const peak = cell(percent(fractionOfPeak(w, run.peaks)), 6);
    return `${w.name.padEnd(38)}${own}${peak}${cells.join('')}`.trimEnd();
  });
  const title = `${'workload'.padEnd(38)}${cell(self, 11)} ${'unit'.padEnd(9)}${cell('peak', 6)}`;
  return `${[title + head.join(''), ...rows].join('\n')}\n`;
}

const titles: Readonly<Record<string, string>> = {
  torch: 'PyTorch',
  'torch.malloc': 'PyTorch, tuned malloc',
  jax: 'JAX',
};

export function titleOf(peer: string): string {
  return titles[peer] ?? peer;
}

/** For docs/performance.md. */
export function markdownTable(run: SavedRun): string {
  const peers = peersOf(run);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const head = [
    ...['workload', 'unit', self, 'of peak'],
    ...peers.flatMap((p) => [titleOf(p), 'ratio (range)']),
  ];
  const rows = run.workloads.map((w) => {
    const cells = peers.flatMap((peer) => {
      const r = ratioTo(w, peer);
      if (r === undefined) return ['', ''];
      const range = `${r.lowest.toFixed(2)}-${r.highest.toFixed(2)}`;
      return [amount(r.theirs), `${r.ratio.toFixed(2)} (${range})`];
    });
    return [w.name, w.unit, amount(ours(w)), percent(fractionOfPeak(w, run.peaks)), ...cells];
  });
  return [head, head.map(() => '---'), ...rows].map(line).join('\n');
}
