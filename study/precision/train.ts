/** One training run of the study: a task in one number format from one seed. */
import { amp, manualSeed, memory, nn, optim, type Tensor } from '../../lib';
import type { Mode, Run, Task, TaskRun } from './types';

const clipNorm = 1;
const points = 20;

function byteSum(tensors: Iterable<Tensor | null>): number {
  let sum = 0;
  for (const t of tensors) if (t !== null) sum += t.nbytes;
  return sum;
}

/** Linear warm-up, then a cosine down to zero. */
function learningRate(run: TaskRun, step: number): number {
  if (step < run.warmup) return (run.lr * (step + 1)) / run.warmup;
  const done = (step - run.warmup) / Math.max(run.steps - run.warmup, 1);
  return (run.lr * (1 + Math.cos(Math.PI * done))) / 2;
}

/** How a mode computes: the forward pass around `fn`, and whether losses are scaled. */
function arithmetic(mode: Mode) {
  const dtype = mode === 'amp-float16' ? 'float16' : 'bfloat16';
  const autocast = mode.startsWith('amp');
  return {
    scaler: new amp.GradScaler('cpu', { enabled: mode === 'amp-float16', growthInterval: 200 }),
    forward: <T>(fn: () => T): T => (autocast ? amp.autocast('cpu', { dtype }, fn) : fn()),
  };
}

/** What a step leaves behind for the record. */
interface Step {
  readonly loss: number;
  readonly skipped: boolean;
  readonly gradientBytes: number;
}

/** Bytes in use after a collection (`--expose-gc`): what is reachable, not what was just dropped. */
function liveBytes(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined)
    throw new Error('run with --expose-gc: bytes are measured after a collection');
  gc();
  return memory.stats().allocatedBytes;
}

/** What the graph of one forward pass holds. The pass is not trained on. */
function measureActivations(run: TaskRun, { forward }: ReturnType<typeof arithmetic>): number {
  const before = liveBytes();
  const loss = forward(() => run.loss(0));
  const bytes = liveBytes() - before;
  loss.dispose();
  return bytes;
}

function trainStep(
  run: TaskRun,
  step: number,
  optimizer: optim.AdamW,
  { scaler, forward }: ReturnType<typeof arithmetic>,
): Step {
  const parameters = [...run.model.parameters()];
  optimizer.paramGroups[0]!['lr'] = learningRate(run, step);
  optimizer.zeroGrad();
  const loss = forward(() => run.loss(step));
  scaler.scale(loss).backward();
  const gradientBytes = byteSum(parameters.map((p) => p.grad));
  scaler.unscale_(optimizer);
  nn.utils.clipGradNorm_(parameters, clipNorm);
  scaler.step(optimizer);
  const skipped = scaler.isEnabled() && scaler.lastStepSkipped(optimizer);
  scaler.update();
  return { loss: loss.item(), skipped, gradientBytes };
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Averages of `points` equal parts. */
function curveOf(losses: readonly number[]): number[] {
  const parts = Math.min(points, losses.length);
  return Array.from({ length: parts }, (_, i) =>
    mean(
      losses.slice(
        Math.floor((i * losses.length) / parts),
        Math.floor(((i + 1) * losses.length) / parts),
      ),
    ),
  );
}

/**
 * Trains and evaluates. The seed fixes weights, data order and dropout, so that runs of two modes with
 * one seed are a pair.
 */
export function train(task: Task, mode: Mode, seed: number, quick: boolean): Run {
  manualSeed(seed);
  const run = task.prepare(seed, quick);
  if (mode === 'pure-float16') run.model.half();
  const how = arithmetic(mode);
  const optimizer = new optim.AdamW(run.model.parameters(), {
    lr: run.lr,
    weightDecay: run.weightDecay,
  });
  const steps: Step[] = [];
  run.model.train();
  const activationBytes = measureActivations(run, how);
  memory.resetPeakStats();
  const start = performance.now();
  for (let step = 0; step < run.steps; ++step) steps.push(trainStep(run, step, optimizer, how));
  const msPerStep = (performance.now() - start) / run.steps;
  const peakBytes = memory.stats().peakAllocatedBytes;
  run.model.eval();
  const losses = steps.map((s) => s.loss);
  return {
    task: task.name,
    mode,
    seed,
    metric: how.forward(() => run.evaluate()),
    finalLoss: mean(losses.slice(-Math.max(1, Math.floor(losses.length / points)))),
    curve: curveOf(losses),
    skippedSteps: steps.filter((s) => s.skipped).length,
    nonFiniteSteps: losses.filter((l) => !Number.isFinite(l)).length,
    finalScale: how.scaler.isEnabled() ? how.scaler.getScale() : null,
    msPerStep,
    parameterBytes: byteSum(run.model.parameters()),
    gradientBytes: steps[0]!.gradientBytes,
    activationBytes,
    peakBytes,
  };
}
