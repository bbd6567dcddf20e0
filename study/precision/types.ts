/** What the precision study is made of: tasks, number formats and the record of one run. */
import type { nn, Tensor } from '../../lib';

/** How the arithmetic of a run is done. */
export const modes = ['float32', 'amp-float16', 'amp-bfloat16', 'pure-float16'] as const;
export type Mode = (typeof modes)[number];

/** Everything a training run of a task needs; the same seed gives the same data and weights. */
export interface TaskRun {
  readonly model: nn.Module;
  /** Learning rate of AdamW, reached after `warmup` steps and lowered to zero by a cosine. */
  readonly lr: number;
  readonly weightDecay: number;
  readonly steps: number;
  readonly warmup: number;
  /** The loss of the batch of a step. */
  loss(step: number): Tensor;
  /** The figure of merit on held-out data. */
  evaluate(): number;
}

export interface Task {
  readonly name: string;
  /** What is trained on what, for the report. */
  readonly description: string;
  readonly metric: string;
  readonly higherIsBetter: boolean;
  prepare(seed: number, quick: boolean): TaskRun;
}

/** One run, as a line of JSON. */
export interface Run {
  readonly task: string;
  readonly mode: Mode;
  readonly seed: number;
  readonly metric: number;
  readonly finalLoss: number;
  /** Mean loss of every twentieth of the run. */
  readonly curve: readonly number[];
  readonly skippedSteps: number;
  readonly nonFiniteSteps: number;
  readonly finalScale: number | null;
  readonly msPerStep: number;
  readonly parameterBytes: number;
  readonly gradientBytes: number;
  /** Kept by the graph between forward and backward, weight casts included. */
  readonly activationBytes: number;
  readonly peakBytes: number;
}
