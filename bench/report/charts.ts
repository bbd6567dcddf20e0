/** Charts of a comparison: ratios by family of workloads, and parts of the peak. */
import type { TopLevelSpec } from 'vega-lite' with { 'resolution-mode': 'import' };

import { renderSvg } from '../harness/chart';
import { fractionOfPeak } from './peak';
import { type Compared, peersOf, type SavedRun } from './saved';
import { ratioTo, titleOf } from './tables';

interface Family {
  readonly file: string;
  readonly title: string;
  readonly names: RegExp;
}

const families: readonly Family[] = [
  { file: 'products', title: 'Matrix products', names: /^gem[mv]\./ },
  {
    file: 'elementwise',
    title: 'Elementwise, casts, reductions',
    names: /^(elem|cast|reduce)\./,
  },
  { file: 'network', title: 'Network operations', names: /^(nn|mem|conv|pool|bn)\./ },
  { file: 'training', title: 'Calls, training, processes', names: /^/ },
];

function ratioChart(run: SavedRun, family: Family, workloads: readonly Compared[]): TopLevelSpec {
  const values = workloads.flatMap((w) =>
    peersOf(run).flatMap((peer) => {
      const r = ratioTo(w, peer);
      return r === undefined ? [] : [{ workload: w.name, peer: titleOf(peer), ...r }];
    }),
  );
  const y = { field: 'workload', type: 'nominal', sort: null, title: null } as const;
  const yOffset = { field: 'peer' } as const;
  const color = { field: 'peer', type: 'nominal', title: null } as const;
  const scale = { type: 'log' } as const;
  const title = 'times as fast as the peer (logarithmic)';
  return {
    title: `${family.title}: ampgrad against its peers`,
    width: 520,
    height: { step: 11 },
    layer: [
      {
        data: { values },
        mark: 'rule',
        encoding: {
          y,
          yOffset,
          color,
          x: { field: 'lowest', type: 'quantitative', scale, title },
          x2: { field: 'highest' },
        },
      },
      {
        data: { values },
        mark: { type: 'point', filled: true, size: 45 },
        encoding: { y, yOffset, color, x: { field: 'ratio', type: 'quantitative', scale, title } },
      },
      { mark: { type: 'rule', strokeDash: [4, 3] }, encoding: { x: { datum: 1 } } },
    ],
  };
}

function peakChart(run: SavedRun): TopLevelSpec {
  const values = run.workloads.flatMap((w) => {
    const part = fractionOfPeak(w, run.peaks);
    const bound = w.flop === undefined ? 'bandwidth' : 'arithmetic';
    return part === undefined ? [] : [{ workload: w.name, part, bound }];
  });
  return {
    title: 'Part of the measured peak',
    width: 520,
    height: { step: 12 },
    data: { values },
    mark: 'bar',
    encoding: {
      y: { field: 'workload', type: 'nominal', sort: null, title: null },
      x: { field: 'part', type: 'quantitative', axis: { format: '%' }, title: null },
      color: { field: 'bound', type: 'nominal', title: 'bounded by' },
    },
  };
}

/** File names and SVG texts. The same run gives the same charts. */
export async function drawCharts(run: SavedRun): Promise<Map<string, string>> {
  const charts = new Map<string, string>();
  let rest = run.workloads;
  for (const family of families) {
    const members = rest.filter((w) => family.names.test(w.name));
    rest = rest.filter((w) => !family.names.test(w.name));
    if (members.length === 0) continue;
    charts.set(`${family.file}.svg`, await renderSvg(ratioChart(run, family, members)));
  }
  if (run.peaks.length > 0) charts.set('peak.svg', await renderSvg(peakChart(run)));
  return charts;
}
