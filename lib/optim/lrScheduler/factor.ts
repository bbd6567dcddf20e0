/** Rates that run through a number of epochs: constant, linear, polynomial. */
import type { Optimizer } from '../optimizer';
import { anyNumber, number } from '../options';
import { currentLrs, LRScheduler, readArguments, type SchedulerOptions } from './base';

const lastEpoch = number(-1, 'an integer >= -1', (v) => Number.isInteger(v) && v >= -1);
const totalIters = number(5, 'a number > 0', (v) => v > 0);

export interface ConstantLROptions extends SchedulerOptions {
  /** Factor until `totalIters`. Default 1/3. */
  readonly factor?: number;
  /** Default 5. */
  readonly totalIters?: number;
}

/** The rate times a factor until `totalIters` epochs are over. PyTorch: `ConstantLR`. */
export class ConstantLR extends LRScheduler {
  factor: number;
  totalIters: number;

  constructor(optimizer: Optimizer, options?: ConstantLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('ConstantLR', optimizer);
    const o = readArguments('ConstantLR', args, {
      positions: ['factor', 'totalIters'],
      optional: ['factor', 'totalIters'],
      specs: {
        factor: number(1 / 3, 'a number in [0, 1]', (v) => v >= 0 && v <= 1),
        totalIters,
        lastEpoch,
      },
    });
    this.factor = o['factor'] as number;
    this.totalIters = o['totalIters'] as number;
    this.begin('ConstantLR', o['lastEpoch'] as number);
  }

  override getLr(): number[] {
    if (this.lastEpoch === 0) return this.scaled(this.factor);
    if (this.lastEpoch !== this.totalIters) return currentLrs(this.optimizer);
    return this.scaled(1 / this.factor);
  }

  protected override closedFormLr(): number[] {
    const factor = this.lastEpoch >= this.totalIters ? 1 : this.factor;
    return this.baseLrs.map((lr) => lr * factor);
  }

  protected override get stateNames(): readonly string[] {
    return ['factor', 'totalIters', ...super.stateNames];
  }
}

export interface LinearLROptions extends SchedulerOptions {
  /** Factor of the first epoch. Default 1/3. */
  readonly startFactor?: number;
  /** Factor after `totalIters`. Default 1. */
  readonly endFactor?: number;
  /** Default 5. */
  readonly totalIters?: number;
}

/** The rate times a factor that changes linearly. PyTorch: `LinearLR`. */
export class LinearLR extends LRScheduler {
  startFactor: number;
  endFactor: number;
  totalIters: number;

  constructor(optimizer: Optimizer, options?: LinearLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('LinearLR', optimizer);
    const o = readArguments('LinearLR', args, {
      positions: ['startFactor', 'endFactor', 'totalIters'],
      optional: ['startFactor', 'endFactor', 'totalIters'],
      specs: {
        startFactor: number(1 / 3, 'a number in (0, 1]', (v) => v > 0 && v <= 1),
        endFactor: number(1, 'a number in [0, 1]', (v) => v >= 0 && v <= 1),
        totalIters,
        lastEpoch,
      },
    });
    this.startFactor = o['startFactor'] as number;
    this.endFactor = o['endFactor'] as number;
    this.totalIters = o['totalIters'] as number;
    this.begin('LinearLR', o['lastEpoch'] as number);
  }

  override getLr(): number[] {
    if (this.lastEpoch === 0) return this.scaled(this.startFactor);
    if (this.isInitial || this.lastEpoch > this.totalIters) return currentLrs(this.optimizer);
    const range = this.endFactor - this.startFactor;
    return this.scaled(
      1 + range / (this.totalIters * this.startFactor + (this.lastEpoch - 1) * range),
    );
  }

  protected override closedFormLr(): number[] {
    const done = Math.min(this.totalIters, this.lastEpoch) / this.totalIters;
    const factor = this.startFactor + (this.endFactor - this.startFactor) * done;
    return this.baseLrs.map((lr) => lr * factor);
  }

  protected override get stateNames(): readonly string[] {
    return ['startFactor', 'endFactor', 'totalIters', ...super.stateNames];
  }
}

export interface PolynomialLROptions extends SchedulerOptions {
  /** Epochs until the rate is 0. Default 5. */
  readonly totalIters?: number;
  /** Default 1. */
  readonly power?: number;
}

/** The rate falls to zero as a power of what is left. PyTorch: `PolynomialLR`. */
export class PolynomialLR extends LRScheduler {
  totalIters: number;
  power: number;

  constructor(optimizer: Optimizer, options?: PolynomialLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('PolynomialLR', optimizer);
    const o = readArguments('PolynomialLR', args, {
      positions: ['totalIters', 'power'],
      optional: ['totalIters', 'power'],
      specs: { totalIters, power: anyNumber(1), lastEpoch },
    });
    this.totalIters = o['totalIters'] as number;
    this.power = o['power'] as number;
    this.begin('PolynomialLR', o['lastEpoch'] as number);
  }

  override getLr(): number[] {
    if (this.isInitial || this.lastEpoch > this.totalIters) return currentLrs(this.optimizer);
    const left = 1 - this.lastEpoch / this.totalIters;
    const before = 1 - (this.lastEpoch - 1) / this.totalIters;
    return this.scaled((left / before) ** this.power);
  }

  protected override closedFormLr(): number[] {
    const left = 1 - Math.min(this.totalIters, this.lastEpoch) / this.totalIters;
    return this.baseLrs.map((lr) => lr * left ** this.power);
  }

  protected override get stateNames(): readonly string[] {
    return ['totalIters', 'power', ...super.stateNames];
  }
}
