/** The report of the study: tables in Markdown and charts in SVG from the records of its runs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import type { TopLevelSpec } from 'vega-lite' with { 'resolution-mode': 'import' };

import { renderSvg } from '../../bench/harness/chart';
import { published } from './published';
import { deviation, halfInterval, mean, median } from './statistics';
import { type Mode, modes, type Run, type Task } from './types';

const titles: Record<Mode, string> = {
  float32: 'float32',
  'amp-float16': 'float16 AMP, scaler',
  'amp-bfloat16': 'bfloat16 AMP',
  'pure-float16': 'pure float16, no scaling',
};

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function plusMinus(values: readonly number[], digits: number): string {
  const spread = values.length > 1 ? ` ± ${deviation(values).toFixed(digits)}` : '';
  return `${mean(values).toFixed(digits)}${spread}`;
}

function megabytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

/** Differences to float32 seed by seed: weights, data order and dropout of a pair are the same. */
function pairedDifference(runs: readonly Run[], mode: Mode): string {
  const differences = runs
    .filter((r) => r.mode === mode)
    .map((r) => {
      const base = runs.find((b) => b.mode === 'float32' && b.seed === r.seed);
      return r.metric - (base?.metric ?? NaN);
    });
  const half = halfInterval(differences);
  const interval = Number.isNaN(half) ? '' : ` (95%: ± ${half.toFixed(4)})`;
  return `${mean(differences).toFixed(4)}${interval}`;
}

function accuracyTable(task: Task, runs: readonly Run[]): string {
  const rows = modes.map((mode) => {
    const of = runs.filter((r) => r.mode === mode);
    return [
      titles[mode],
      plusMinus(
        of.map((r) => r.metric),
        4,
      ),
      mode === 'float32' ? '' : pairedDifference(runs, mode),
      plusMinus(
        of.map((r) => r.finalLoss),
        4,
      ),
      of.map((r) => r.skippedSteps).join(', '),
      of.map((r) => r.nonFiniteSteps).join(', '),
      of.map((r) => r.finalScale ?? '-').join(', '),
    ];
  });
  return table(
    [
      '',
      task.metric,
      'difference to float32',
      'final training loss',
      'skipped steps',
      'non-finite losses',
      'final scale',
    ],
    rows,
  );
}

function costTable(runs: readonly Run[]): string {
  const rows = modes.map((mode) => {
    const of = runs.filter((r) => r.mode === mode);
    const first = of[0]!;
    return [
      titles[mode],
      median(of.map((r) => r.msPerStep)).toFixed(1),
      megabytes(first.parameterBytes),
      megabytes(first.gradientBytes),
      megabytes(first.activationBytes),
      megabytes(median(of.map((r) => r.peakBytes))),
    ];
  });
  return table(
    ['', 'ms a step', 'parameters MB', 'gradients MB', 'activations MB', 'peak MB'],
    rows,
  );
}

function curveChart(task: Task, runs: readonly Run[]): TopLevelSpec {
  const values = runs.flatMap((r) =>
    r.curve.map((loss, i) => ({
      mode: titles[r.mode],
      part: ((i + 1) / r.curve.length) * 100,
      loss: Number.isFinite(loss) ? Number(loss.toFixed(5)) : null,
    })),
  );
  return {
    title: `${task.name}: training loss, mean of the seeds and their range`,
    width: 480,
    height: 260,
    data: { values },
    encoding: {
      x: { field: 'part', type: 'quantitative', title: 'training done (%)' },
      color: { field: 'mode', type: 'nominal', title: null, sort: Object.values(titles) },
    },
    layer: [
      {
        mark: { type: 'errorband', extent: 'stdev' },
        encoding: { y: { field: 'loss', type: 'quantitative', title: 'loss' } },
      },
      {
        mark: { type: 'line' },
        encoding: { y: { aggregate: 'mean', field: 'loss', type: 'quantitative' } },
      },
    ],
  };
}

function metricChart(task: Task, runs: readonly Run[]): TopLevelSpec {
  return {
    title: `${task.name}: ${task.metric} of each seed`,
    width: 480,
    height: 160,
    data: { values: runs.map((r) => ({ mode: titles[r.mode], metric: r.metric })) },
    mark: { type: 'point', filled: true, size: 70 },
    encoding: {
      x: { field: 'metric', type: 'quantitative', title: task.metric, scale: { zero: false } },
      y: { field: 'mode', type: 'nominal', title: null, sort: Object.values(titles) },
      color: { field: 'mode', type: 'nominal', legend: null, sort: Object.values(titles) },
    },
  };
}

async function chart(folder: string, name: string, spec: TopLevelSpec): Promise<string> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.svg`), await renderSvg(spec));
  return `![${name}](${basename(folder)}/${name}.svg)`;
}

async function section(task: Task, runs: readonly Run[], folder: string): Promise<string> {
  const curve = await chart(folder, `${task.name}-loss`, curveChart(task, runs));
  const metric = await chart(folder, `${task.name}-metric`, metricChart(task, runs));
  return [
    `## ${task.name}`,
    task.description,
    accuracyTable(task, runs),
    costTable(runs),
    curve,
    metric,
  ].join('\n\n');
}

export interface Circumstances {
  readonly seeds: number;
  readonly quick: boolean;
  readonly cpu: string;
  readonly threads: number;
  readonly node: string;
}

function introduction(c: Circumstances): string {
  return [
    '# Precision study',
    '<!-- Written by `npm run study:precision`. -->',
    [
      'The same models, data order, initial weights and dropout in four number formats. Everything is',
      `**scaled down and ran on a CPU** (${c.cpu}, ${String(c.threads)} threads, Node ${c.node}): float16 and`,
      'bfloat16 operands with float32 accumulation, as Tensor Cores compute up to the order of',
      `summation. ${String(c.seeds)} seeds${c.quick ? ', quick mode: too short to judge accuracy' : ''}.`,
    ].join('\n'),
    [
      '- **float16 AMP**: float32 weights, `autocast`, `GradScaler`. **bfloat16 AMP**: `autocast` alone.',
      '- **pure float16** is the negative control: weights, activations and gradients in float16, no',
      '  scaling, no master weights. The optimizer still computes and keeps its state in float32.',
      '- AdamW, warm-up, cosine to zero, gradients clipped to norm 1, in every format the same.',
      '- ± is the standard deviation over seeds; differences are paired by seed, with the 95% interval of',
      '  their mean (Student). An interval that holds 0 means: no difference detected with these seeds.',
      '- Activations: what the graph holds between forward and backward. Peak: the most that tensors',
      '  reserved during training, optimizer state included.',
    ].join('\n'),
  ].join('\n\n');
}

/** Where charts and records go. */
export function folderOf(path: string): string {
  return join(dirname(path), basename(path, '.md'));
}

/** Writes the report and, in a folder beside it, its charts. */
export async function writeReport(
  path: string,
  tasks: readonly Task[],
  runs: readonly Run[],
  circumstances: Circumstances,
): Promise<void> {
  const folder = folderOf(path);
  const parts = [introduction(circumstances)];
  for (const task of tasks) {
    parts.push(
      await section(
        task,
        runs.filter((r) => r.task === task.name),
        folder,
      ),
    );
  }
  parts.push(published);
  writeFileSync(path, `${parts.join('\n\n')}\n`);
}
