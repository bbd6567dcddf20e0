/** Rates that fall by a factor: at regular intervals, at milestones, in every epoch. */
import { makeError } from '../../errors';
import type { Optimizer } from '../optimizer';
import { anyNumber, number, show } from '../options';
import {
  currentLrs,
  LRScheduler,
  readArguments,
  type SchedulerOptions,
  type SchedulerStateDict,
} from './base';

const lastEpoch = number(-1, 'an integer >= -1', (v) => Number.isInteger(v) && v >= -1);

export interface StepLROptions extends SchedulerOptions {
  /** Epochs between two decays. */
  readonly stepSize?: number;
  /** Default 0.1. */
  readonly gamma?: number;
}

/** Multiplies the rate by gamma every `stepSize` epochs. PyTorch: `StepLR`. */
export class StepLR extends LRScheduler {
  stepSize: number;
  gamma: number;

  constructor(optimizer: Optimizer, stepSize: number, options?: StepLROptions);
  constructor(optimizer: Optimizer, stepSize: number, gamma: number, options?: StepLROptions);
  constructor(optimizer: Optimizer, options: StepLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('StepLR', optimizer);
    const o = readArguments('StepLR', args, {
      positions: ['stepSize', 'gamma'],
      optional: ['gamma'],
      specs: {
        stepSize: number(undefined, 'an integer > 0', (v) => Number.isInteger(v) && v > 0),
        gamma: anyNumber(0.1),
        lastEpoch,
      },
    });
    this.stepSize = o['stepSize'] as number;
    this.gamma = o['gamma'] as number;
    this.begin('StepLR', o['lastEpoch'] as number);
  }

  override getLr(): number[] {
    if (this.lastEpoch === 0 || this.lastEpoch % this.stepSize !== 0) {
      return currentLrs(this.optimizer);
    }
    return this.scaled(this.gamma);
  }

  protected override closedFormLr(): number[] {
    const factor = this.gamma ** Math.floor(this.lastEpoch / this.stepSize);
    return this.baseLrs.map((lr) => lr * factor);
  }

  protected override get stateNames(): readonly string[] {
    return ['stepSize', 'gamma', ...super.stateNames];
  }
}

export interface MultiStepLROptions extends SchedulerOptions {
  /** Epochs at which the rate falls; a repeated one counts as often. */
  readonly milestones?: readonly number[];
  /** Default 0.1. */
  readonly gamma?: number;
}

/** Multiplies the rate by gamma at each milestone. PyTorch: `MultiStepLR`. */
export class MultiStepLR extends LRScheduler {
  /** How often each epoch is a milestone. */
  milestones: Map<number, number>;
  gamma: number;

  constructor(optimizer: Optimizer, milestones: readonly number[], options?: MultiStepLROptions);
  constructor(
    optimizer: Optimizer,
    milestones: readonly number[],
    gamma: number,
    options?: MultiStepLROptions,
  );
  constructor(optimizer: Optimizer, options: MultiStepLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('MultiStepLR', optimizer);
    const o = readArguments('MultiStepLR', args, {
      positions: ['milestones', 'gamma'],
      optional: ['gamma'],
      specs: {
        milestones: {
          default: undefined,
          check: (v) =>
            Array.isArray(v) && v.every((m) => Number.isInteger(m))
              ? undefined
              : 'a list of integers',
        },
        gamma: anyNumber(0.1),
        lastEpoch,
      },
    });
    this.milestones = new Map();
    for (const m of o['milestones'] as number[]) {
      this.milestones.set(m, (this.milestones.get(m) ?? 0) + 1);
    }
    this.gamma = o['gamma'] as number;
    this.begin('MultiStepLR', o['lastEpoch'] as number);
  }

  override getLr(): number[] {
    const count = this.milestones.get(this.lastEpoch);
    return count === undefined ? currentLrs(this.optimizer) : this.scaled(this.gamma ** count);
  }

  protected override closedFormLr(): number[] {
    let passed = 0;
    for (const [m, count] of this.milestones) if (m <= this.lastEpoch) passed += count;
    return this.baseLrs.map((lr) => lr * this.gamma ** passed);
  }

  protected override get stateNames(): readonly string[] {
    return ['milestones', 'gamma', ...super.stateNames];
  }

  override stateDict(): SchedulerStateDict {
    return { ...super.stateDict(), milestones: Object.fromEntries(this.milestones) };
  }

  override loadStateDict(dict: Readonly<SchedulerStateDict>): void {
    const { milestones, ...rest } = dict;
    super.loadStateDict(rest);
    if (milestones === undefined) return;
    if (typeof milestones !== 'object' || milestones === null) {
      throw makeError(
        'ERR_TYPE',
        `MultiStepLR: loadStateDict: 'milestones' must be an object, got ${show(milestones)}`,
      );
    }
    const pairs =
      Symbol.iterator in milestones
        ? (milestones as Iterable<[number, number]>)
        : Object.entries(milestones);
    this.milestones = new Map([...pairs].map(([epoch, count]) => [Number(epoch), Number(count)]));
  }
}

export interface ExponentialLROptions extends SchedulerOptions {
  readonly gamma?: number;
}

/** Multiplies the rate by gamma every epoch. PyTorch: `ExponentialLR`. */
export class ExponentialLR extends LRScheduler {
  gamma: number;

  constructor(optimizer: Optimizer, gamma: number, options?: ExponentialLROptions);
  constructor(optimizer: Optimizer, options: ExponentialLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('ExponentialLR', optimizer);
    const o = readArguments('ExponentialLR', args, {
      positions: ['gamma'],
      specs: { gamma: number(undefined, 'a number', () => true), lastEpoch },
    });
    this.gamma = o['gamma'] as number;
    this.begin('ExponentialLR', o['lastEpoch'] as number);
  }

  override getLr(): number[] {
    return this.isInitial ? currentLrs(this.optimizer) : this.scaled(this.gamma);
  }

  protected override closedFormLr(): number[] {
    return this.baseLrs.map((lr) => lr * this.gamma ** this.lastEpoch);
  }

  protected override get stateNames(): readonly string[] {
    return ['gamma', ...super.stateNames];
  }
}
