/** Rates that rise and fall (Smith, 2017 and 2018), with the momentum going the other way. */
import { makeError } from '../../errors';
import { numberOf, type Optimizer, type ParamGroup } from '../optimizer';
import { anyNumber, flag, number, type OptionSpec } from '../options';
import { LRScheduler, perGroup, readArguments, type SchedulerOptions, setLr } from './base';

const lastEpoch = number(-1, 'an integer >= -1', (v) => Number.isInteger(v) && v >= -1);

const rates = (fallback: unknown): OptionSpec => ({
  default: fallback,
  check: (v) =>
    typeof v === 'number' || (Array.isArray(v) && v.every((x) => typeof x === 'number'))
      ? undefined
      : 'a number or one per parameter group',
});

const choice = (...values: string[]): OptionSpec => ({
  default: values[0],
  check: (v) => (values.includes(v as string) ? undefined : `one of ${values.join(', ')}`),
});

/** Whether the optimizer's momentum is the first of its betas; an error if it has none at all. */
function momentumIsBeta(where: string, optimizer: Optimizer): boolean {
  const { defaults } = optimizer;
  if (!('momentum' in defaults) && !('betas' in defaults)) {
    throw makeError(
      'ERR_VALUE',
      `${where}: the optimizer has neither momentum nor betas; pass cycleMomentum: false`,
    );
  }
  return 'betas' in defaults;
}

function setMomentum(group: ParamGroup, value: number, useBeta1: boolean): void {
  if (useBeta1) {
    const [, ...rest] = group['betas'] as number[];
    group['betas'] = [value, ...rest];
  } else {
    group['momentum'] = value;
  }
}

export interface CyclicLROptions extends SchedulerOptions {
  /** Lower bound of the rate. */
  readonly baseLr?: number | readonly number[];
  /** Upper bound of the rate. */
  readonly maxLr?: number | readonly number[];
  /** Steps of the rising half. Default 2000. */
  readonly stepSizeUp?: number;
  /** Steps of the falling half. Default: stepSizeUp. */
  readonly stepSizeDown?: number | null;
  /** Constant height, height halved every cycle, or height times gamma^step. Default 'triangular'. */
  readonly mode?: 'triangular' | 'triangular2' | 'exp_range';
  /** Default 1. */
  readonly gamma?: number;
  /** Height as a function of the cycle or the step; takes the place of `mode`. */
  readonly scaleFn?: ((x: number) => number) | null;
  /** What `scaleFn` gets. Default 'cycle'. */
  readonly scaleMode?: 'cycle' | 'iterations';
  /** Move momentum (or beta1) the other way. Default true. */
  readonly cycleMomentum?: boolean;
  /** Default 0.8. */
  readonly baseMomentum?: number | readonly number[];
  /** Default 0.9. */
  readonly maxMomentum?: number | readonly number[];
}

const cyclicSpecs = {
  baseLr: rates(undefined),
  maxLr: rates(undefined),
  stepSizeUp: number(2000, 'a number > 0', (v) => v > 0),
  stepSizeDown: {
    default: null,
    check: (v: unknown) =>
      v === null || (typeof v === 'number' && v >= 0) ? undefined : 'a number >= 0',
  },
  mode: choice('triangular', 'triangular2', 'exp_range'),
  gamma: anyNumber(1),
  scaleFn: {
    default: null,
    check: (v: unknown) => (v === null || typeof v === 'function' ? undefined : 'a function'),
  },
  scaleMode: choice('cycle', 'iterations'),
  cycleMomentum: flag(true),
  baseMomentum: rates(0.8),
  maxMomentum: rates(0.9),
  lastEpoch,
};

/** The rate runs between two bounds. Call `step()` after every batch. PyTorch: `CyclicLR`. */
export class CyclicLR extends LRScheduler {
  maxLrs: number[];
  totalSize: number;
  stepRatio: number;
  mode: string;
  gamma: number;
  scaleMode: string;
  cycleMomentum: boolean;
  useBeta1 = false;
  baseMomentums: number[] = [];
  maxMomentums: number[] = [];
  readonly #scaleFn: ((x: number) => number) | null;

  constructor(
    optimizer: Optimizer,
    baseLr: number | readonly number[],
    maxLr: number | readonly number[],
    options?: CyclicLROptions,
  );
  constructor(optimizer: Optimizer, options: CyclicLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('CyclicLR', optimizer);
    const o = readArguments('CyclicLR', args, {
      positions: ['baseLr', 'maxLr'],
      specs: cyclicSpecs,
    }) as unknown as Required<CyclicLROptions>;
    const baseLrs = perGroup('CyclicLR', 'baseLr', optimizer, o.baseLr);
    this.maxLrs = perGroup('CyclicLR', 'maxLr', optimizer, o.maxLr);
    if (o.lastEpoch === -1) {
      optimizer.paramGroups.forEach((group, i) => setLr(group, baseLrs[i] as number));
    }
    const down = o.stepSizeDown ?? o.stepSizeUp;
    this.totalSize = o.stepSizeUp + down;
    this.stepRatio = o.stepSizeUp / this.totalSize;
    this.mode = o.mode;
    this.gamma = o.gamma;
    this.#scaleFn = o.scaleFn;
    this.scaleMode =
      o.scaleFn !== null ? o.scaleMode : o.mode === 'exp_range' ? 'iterations' : 'cycle';
    this.cycleMomentum = o.cycleMomentum;
    if (o.cycleMomentum) this.#startMomentum(o);
    this.begin('CyclicLR', o.lastEpoch);
    this.baseLrs = baseLrs;
  }

  #startMomentum(o: Required<CyclicLROptions>): void {
    const { optimizer } = this;
    this.useBeta1 = momentumIsBeta('CyclicLR', optimizer);
    this.baseMomentums = perGroup('CyclicLR', 'baseMomentum', optimizer, o.baseMomentum);
    this.maxMomentums = perGroup('CyclicLR', 'maxMomentum', optimizer, o.maxMomentum);
    if (o.lastEpoch !== -1) return;
    optimizer.paramGroups.forEach((group, i) => {
      setMomentum(group, this.maxMomentums[i] as number, this.useBeta1);
      group['maxMomentum'] = this.maxMomentums[i];
      group['baseMomentum'] = this.baseMomentums[i];
    });
  }

  #height(x: number): number {
    if (this.#scaleFn !== null) return this.#scaleFn(x);
    if (this.mode === 'triangular2') return 1 / 2 ** (x - 1);
    return this.mode === 'exp_range' ? this.gamma ** x : 1;
  }

  override getLr(): number[] {
    const cycle = Math.floor(1 + this.lastEpoch / this.totalSize);
    const x = 1 + this.lastEpoch / this.totalSize - cycle;
    const position = x <= this.stepRatio ? x / this.stepRatio : (x - 1) / (this.stepRatio - 1);
    const scale = this.#height(this.scaleMode === 'cycle' ? cycle : this.lastEpoch);
    if (this.cycleMomentum) {
      this.optimizer.paramGroups.forEach((group, i) => {
        const high = this.maxMomentums[i] as number;
        const range = (high - (this.baseMomentums[i] as number)) * position;
        setMomentum(group, high - range * scale, this.useBeta1);
      });
    }
    return this.maxLrs.map((high, i) => {
      const low = this.baseLrs[i] as number;
      return low + (high - low) * position * scale;
    });
  }

  protected override get stateNames(): readonly string[] {
    return [
      ...['maxLrs', 'totalSize', 'stepRatio', 'mode', 'gamma', 'scaleMode', 'cycleMomentum'],
      ...['useBeta1', 'baseMomentums', 'maxMomentums', ...super.stateNames],
    ];
  }
}

export interface OneCycleLROptions extends SchedulerOptions {
  /** Highest rate. */
  readonly maxLr?: number | readonly number[];
  /** Steps of the cycle; or give `epochs` and `stepsPerEpoch`. */
  readonly totalSteps?: number | null;
  readonly epochs?: number | null;
  readonly stepsPerEpoch?: number | null;
  /** Share of the steps in which the rate rises. Default 0.3. */
  readonly pctStart?: number;
  /** Default 'cos'. */
  readonly annealStrategy?: 'cos' | 'linear';
  /** Move momentum (or beta1) the other way. Default true. */
  readonly cycleMomentum?: boolean;
  /** Default 0.85. */
  readonly baseMomentum?: number | readonly number[];
  /** Default 0.95. */
  readonly maxMomentum?: number | readonly number[];
  /** The first rate is maxLr / divFactor. Default 25. */
  readonly divFactor?: number;
  /** The last rate is the first / finalDivFactor. Default 1e4. */
  readonly finalDivFactor?: number;
  /** Fall back to the first rate before the last fall. Default false. */
  readonly threePhase?: boolean;
}

const count: OptionSpec = {
  default: null,
  check: (v) =>
    v === null || (typeof v === 'number' && Number.isInteger(v) && v > 0)
      ? undefined
      : 'a positive integer',
};

const oneCycleSpecs = {
  maxLr: rates(undefined),
  totalSteps: count,
  epochs: count,
  stepsPerEpoch: count,
  pctStart: number(0.3, 'a number in [0, 1]', (v) => v >= 0 && v <= 1),
  annealStrategy: choice('cos', 'linear'),
  cycleMomentum: flag(true),
  baseMomentum: rates(0.85),
  maxMomentum: rates(0.95),
  divFactor: anyNumber(25),
  finalDivFactor: anyNumber(1e4),
  threePhase: flag(false),
  lastEpoch,
};

interface Phase {
  readonly end: number;
  /** Names of values in the group. */
  readonly lr: readonly [string, string];
  readonly momentum: readonly [string, string];
}

function phasesOf(total: number, pctStart: number, three: boolean): Phase[] {
  const up: Phase = {
    end: pctStart * total - 1,
    lr: ['initialLr', 'maxLr'],
    momentum: ['maxMomentum', 'baseMomentum'],
  };
  if (!three) {
    return [
      up,
      { end: total - 1, lr: ['maxLr', 'minLr'], momentum: ['baseMomentum', 'maxMomentum'] },
    ];
  }
  return [
    up,
    {
      end: 2 * pctStart * total - 2,
      lr: ['maxLr', 'initialLr'],
      momentum: ['baseMomentum', 'maxMomentum'],
    },
    { end: total - 1, lr: ['initialLr', 'minLr'], momentum: ['maxMomentum', 'maxMomentum'] },
  ];
}

/** One rise and fall over all of training. Call `step()` after every batch. PyTorch: `OneCycleLR`. */
export class OneCycleLR extends LRScheduler {
  totalSteps: number;
  cycleMomentum: boolean;
  useBeta1 = false;
  readonly #phases: readonly Phase[];
  readonly #linear: boolean;

  constructor(optimizer: Optimizer, maxLr: number | readonly number[], options?: OneCycleLROptions);
  constructor(optimizer: Optimizer, options: OneCycleLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('OneCycleLR', optimizer);
    const o = readArguments('OneCycleLR', args, {
      positions: ['maxLr'],
      specs: oneCycleSpecs,
    }) as unknown as Required<OneCycleLROptions>;
    if (o.totalSteps === null && (o.epochs === null || o.stepsPerEpoch === null)) {
      throw makeError(
        'ERR_VALUE',
        "OneCycleLR: give either 'totalSteps' or both 'epochs' and 'stepsPerEpoch'",
      );
    }
    this.totalSteps = o.totalSteps ?? (o.epochs as number) * (o.stepsPerEpoch as number);
    this.#phases = phasesOf(this.totalSteps, o.pctStart, o.threePhase);
    this.#linear = o.annealStrategy === 'linear';
    this.cycleMomentum = o.cycleMomentum;
    this.#start(o);
    this.begin('OneCycleLR', o.lastEpoch);
  }

  #start(o: Required<OneCycleLROptions>): void {
    const { optimizer } = this;
    const maxLrs = perGroup('OneCycleLR', 'maxLr', optimizer, o.maxLr);
    if (o.cycleMomentum) this.useBeta1 = momentumIsBeta('OneCycleLR', optimizer);
    const high = perGroup('OneCycleLR', 'maxMomentum', optimizer, o.maxMomentum);
    const low = perGroup('OneCycleLR', 'baseMomentum', optimizer, o.baseMomentum);
    if (o.lastEpoch !== -1) return;
    optimizer.paramGroups.forEach((group, i) => {
      const first = (maxLrs[i] as number) / o.divFactor;
      group['initialLr'] = first;
      group['maxLr'] = maxLrs[i];
      group['minLr'] = first / o.finalDivFactor;
      if (!o.cycleMomentum) return;
      setMomentum(group, high[i] as number, this.useBeta1);
      group['maxMomentum'] = high[i];
      group['baseMomentum'] = low[i];
    });
  }

  #anneal(group: ParamGroup, names: readonly [string, string], pct: number): number {
    const start = numberOf(group[names[0]]);
    const end = numberOf(group[names[1]]);
    if (this.#linear) return (end - start) * pct + start;
    return end + ((start - end) / 2) * (Math.cos(Math.PI * pct) + 1);
  }

  override getLr(): number[] {
    const step = this.lastEpoch;
    if (step > this.totalSteps) {
      throw makeError(
        'ERR_VALUE',
        `OneCycleLR: step ${String(step)} is beyond the total of ${String(this.totalSteps)} steps`,
      );
    }
    const last = this.#phases.length - 1;
    const found = this.#phases.findIndex((p) => step <= p.end);
    const at = found < 0 ? last : found;
    const phase = this.#phases[at] as Phase;
    const start = at === 0 ? 0 : (this.#phases[at - 1] as Phase).end;
    const pct = (step - start) / (phase.end - start);
    return this.optimizer.paramGroups.map((group) => {
      const lr = this.#anneal(group, phase.lr, pct);
      if (this.cycleMomentum) {
        setMomentum(group, this.#anneal(group, phase.momentum, pct), this.useBeta1);
      }
      return lr;
    });
  }

  protected override get stateNames(): readonly string[] {
    return ['totalSteps', 'cycleMomentum', 'useBeta1', ...super.stateNames];
  }
}
