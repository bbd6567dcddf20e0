/** What the examples of models share: options, a training step with mixed precision, progress. */
import { parseArgs } from 'node:util';

import { SingleBar } from 'cli-progress';

import { amp, type Device, nn, noGrad, type optim, type Tensor } from '../lib';

const precisions = ['off', 'float16', 'bfloat16'] as const;

export type Precision = (typeof precisions)[number];

/** The options of every example; each gives its own defaults. */
export interface CommonOptions {
  readonly epochs: number;
  /** At most this many steps. */
  readonly steps: number;
  readonly seed: number;
  readonly batchSize: number;
  readonly lr: number;
  readonly amp: Precision;
  readonly device: Device;
  /** A few seconds instead of minutes: what CI runs. */
  readonly quick: boolean;
  /** What stands behind the options. */
  readonly rest: readonly string[];
}

type Defaults = Pick<CommonOptions, 'epochs' | 'batchSize' | 'lr'> & Partial<CommonOptions>;

const usage =
  'options: --epochs N --steps N --seed N --batch-size N --lr X --amp off|float16|bfloat16 ' +
  '--device cpu|cuda:0 --quick';

function readNumber(name: string, text: string, integer = true): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0 && (!integer || Number.isInteger(value))) return value;
  throw new RangeError(`--${name} must be a number of at least 0, got '${text}'`);
}

/** Reads the command line; `full` are the defaults, `quick` those of `--quick`. */
export function readOptions(full: Defaults, quick: Partial<Defaults>): CommonOptions {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      epochs: { type: 'string' },
      steps: { type: 'string' },
      seed: { type: 'string', default: '0' },
      'batch-size': { type: 'string' },
      lr: { type: 'string' },
      amp: { type: 'string', default: 'off' },
      device: { type: 'string', default: 'cpu' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  if (!precisions.includes(values.amp as Precision)) {
    throw new RangeError(`--amp must be one of ${precisions.join(', ')}, got '${values.amp}'`);
  }
  const defaults = values.quick ? { ...full, ...quick } : full;
  const number = (name: string, text: string | undefined, fallback: number, integer = true) =>
    text === undefined ? fallback : readNumber(name, text, integer);
  return {
    epochs: number('epochs', values.epochs, defaults.epochs),
    steps: number('steps', values.steps, defaults.steps ?? Infinity),
    seed: readNumber('seed', values.seed),
    batchSize: number('batch-size', values['batch-size'], defaults.batchSize),
    lr: number('lr', values.lr, defaults.lr, false),
    amp: values.amp as Precision,
    device: values.device as Device,
    quick: values.quick,
    rest: positionals,
  };
}

/** Runs steps in the chosen precision: float16 with loss scaling, which bfloat16 does not need. */
export class Stepper {
  readonly #scaler: amp.GradScaler | undefined;
  readonly #kind: 'cpu' | 'cuda';

  constructor(
    private readonly optimizer: optim.Optimizer,
    private readonly options: CommonOptions,
    /** Gradients are clipped to this norm. */
    private readonly maxNorm = Infinity,
  ) {
    this.#kind = options.device.startsWith('cuda') ? 'cuda' : 'cpu';
    if (options.amp === 'float16') this.#scaler = new amp.GradScaler(this.#kind);
  }

  /** Runs `fn` in autocast, where it is on. */
  forward<T>(fn: () => T): T {
    const { amp: precision } = this.options;
    if (precision === 'off') return fn();
    return amp.autocast(this.#kind, { dtype: precision }, fn);
  }

  /** One step on the loss that `fn` computes; returns it as a number. */
  step(fn: () => Tensor): number {
    this.optimizer.zeroGrad();
    const loss = this.forward(fn);
    if (this.#scaler === undefined) {
      loss.backward();
      this.#clip();
      this.optimizer.step();
    } else {
      this.#scaler.scale(loss).backward();
      if (this.maxNorm < Infinity) this.#scaler.unscale_(this.optimizer);
      this.#clip();
      this.#scaler.step(this.optimizer);
      this.#scaler.update();
    }
    return loss.item();
  }

  #clip(): void {
    if (this.maxNorm === Infinity) return;
    const parameters = this.optimizer.paramGroups.flatMap((group) => group.params);
    nn.utils.clipGradNorm_(parameters, this.maxNorm);
  }
}

/** A progress bar on a terminal, nothing elsewhere. */
export function makeBar(title: string, total: number, unit: string): Progress {
  return new Progress(title, total, unit);
}

export class Progress {
  readonly #bar: SingleBar;
  readonly #start = performance.now();
  #sum = 0;
  #count = 0;
  #items = 0;

  constructor(title: string, total: number, unit: string) {
    this.#bar = new SingleBar({
      format: `${title} {bar} {value}/{total} | loss {loss} | {rate} ${unit}/s`,
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
      noTTYOutput: false,
    });
    this.#bar.start(total, 0, { loss: '-', rate: '-' });
  }

  /** Notes a step with its loss and number of items. */
  add(loss: number, items: number): void {
    this.#sum += loss;
    this.#count += 1;
    this.#items += items;
    const rate = Math.round(this.rate);
    this.#bar.increment(1, { loss: this.loss.toFixed(4), rate });
  }

  /** Mean loss so far. */
  get loss(): number {
    return this.#sum / Math.max(this.#count, 1);
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** Items a second. */
  get rate(): number {
    return this.#items / this.seconds;
  }

  stop(): void {
    this.#bar.stop();
  }
}

/** Share of right answers: `predict` gives logits [N, classes] of one batch. */
export function accuracy<B>(
  batches: Iterable<B>,
  predict: (batch: B) => { readonly logits: Tensor; readonly labels: Tensor },
): number {
  let right = 0;
  let total = 0;
  noGrad(() => {
    for (const batch of batches) {
      const { logits, labels } = predict(batch);
      right += logits.argmax(1).eq(labels).sum().item();
      total += labels.numel();
    }
  });
  return right / total;
}

/** Prints the result as the last line, one JSON object. */
export function report(options: CommonOptions, result: Readonly<Record<string, unknown>>): void {
  const { seed, amp: precision, device } = options;
  const rounded = Object.entries(result).map(([key, value]) => [
    key,
    typeof value === 'number' ? Number(value.toPrecision(5)) : value,
  ]);
  const peakRssMB = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(
    JSON.stringify({
      seed,
      amp: precision,
      device,
      ...(Object.fromEntries(rounded) as object),
      peakRssMB,
    }),
  );
}
