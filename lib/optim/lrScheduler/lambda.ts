/** Rates given by functions of the epoch. */
import { makeError } from '../../errors';
import { numberOf, type Optimizer } from '../optimizer';
import { number, type OptionSpec } from '../options';
import { currentLrs, LRScheduler, readArguments, type SchedulerOptions } from './base';

export type LrLambda = (epoch: number) => number;

export interface LambdaLROptions extends SchedulerOptions {
  /** One function for all groups, or one per group. */
  readonly lrLambda?: LrLambda | readonly LrLambda[];
}

const specs = {
  lrLambda: {
    default: undefined,
    check: (v) =>
      typeof v === 'function' || (Array.isArray(v) && v.every((f) => typeof f === 'function'))
        ? undefined
        : 'a function or a list of functions, one per parameter group',
  } satisfies OptionSpec,
  lastEpoch: number(-1, 'an integer >= -1', (v) => Number.isInteger(v) && v >= -1),
};

function read(where: string, optimizer: Optimizer, args: readonly unknown[]): [LrLambda[], number] {
  const o = readArguments(where, args, { positions: ['lrLambda'], specs });
  const count = optimizer.paramGroups.length;
  const given = o['lrLambda'] as LrLambda | LrLambda[];
  const list = Array.isArray(given) ? given : new Array<LrLambda>(count).fill(given);
  if (list.length !== count) {
    throw makeError(
      'ERR_VALUE',
      `${where}: expected ${String(count)} functions, one per parameter group, got ${String(list.length)}`,
    );
  }
  return [list, o['lastEpoch'] as number];
}

/** The base rate times `lrLambda(epoch)`. PyTorch: `LambdaLR`. */
export class LambdaLR extends LRScheduler {
  /** Not part of the state dict. */
  readonly lrLambdas: readonly LrLambda[];

  constructor(
    optimizer: Optimizer,
    lrLambda: LrLambda | readonly LrLambda[],
    options?: SchedulerOptions,
  );
  constructor(optimizer: Optimizer, options: LambdaLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('LambdaLR', optimizer);
    const [lambdas, lastEpoch] = read('LambdaLR', optimizer, args);
    this.lrLambdas = lambdas;
    this.begin('LambdaLR', lastEpoch);
  }

  override getLr(): number[] {
    return this.baseLrs.map((lr, i) => lr * (this.lrLambdas[i] as LrLambda)(this.lastEpoch));
  }
}

/** The current rate times `lrLambda(epoch)`. PyTorch: `MultiplicativeLR`. */
export class MultiplicativeLR extends LRScheduler {
  /** Not part of the state dict. */
  readonly lrLambdas: readonly LrLambda[];

  constructor(
    optimizer: Optimizer,
    lrLambda: LrLambda | readonly LrLambda[],
    options?: SchedulerOptions,
  );
  constructor(optimizer: Optimizer, options: LambdaLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('MultiplicativeLR', optimizer);
    const [lambdas, lastEpoch] = read('MultiplicativeLR', optimizer, args);
    this.lrLambdas = lambdas;
    this.begin('MultiplicativeLR', lastEpoch);
  }

  override getLr(): number[] {
    if (this.isInitial) return currentLrs(this.optimizer);
    return this.optimizer.paramGroups.map(
      (g, i) => numberOf(g.lr) * (this.lrLambdas[i] as LrLambda)(this.lastEpoch),
    );
  }
}
