/** Losses as modules: their options are fields, their weights buffers. */
import type { Tensor } from '../tensor';
import * as F from './functional/loss';
import { type FieldNames, Module } from './module';
import { Linear } from './linear';
import {
  badArgument,
  bool,
  factory,
  int,
  num,
  optionalInt,
  optionalTensor,
  type Read,
  readOptions,
  requiredInt,
  type Spec,
} from './options';

export type { LossOptions, Reduction } from './functional/loss';

/** Base of losses: they print nothing and keep how to reduce. */
export abstract class Loss extends Module {
  abstract readonly reduction: string;
}

/** The options of a spec, none required. */
export type Given<S extends Spec> = { readonly [K in keyof S]?: ReturnType<S[K]> | undefined };

/** A module that keeps the options of `S` and calls a function with tensors `A` and them. */
export type LossModule<A extends readonly unknown[], S extends Spec> = new (
  options?: Given<S>,
) => Loss & Read<S> & { forward(...args: A): Tensor };

/**
 * For this package: the class of a loss of `torch.nn.functional`. Tensors among its options are
 * buffers.
 */
export function lossOf<A extends readonly unknown[], S extends Spec>(
  spec: S,
  run: (...args: [...A, options: Read<S>]) => Tensor,
): LossModule<A, S> {
  class FunctionLoss extends Loss {
    static override readonly fieldNames: FieldNames = 'snake';

    declare readonly reduction: string;

    constructor(options: Given<S> = {}) {
      super();
      const read = readOptions(new.target.name, spec, options);
      for (const [name, value] of Object.entries(read)) {
        if (spec[name] === optionalTensor) this.registerBuffer(name, value as Tensor | null);
        else Object.assign(this, { [name]: value });
      }
    }

    override forward(...args: A): Tensor {
      const fields = this as unknown as Read<S>;
      const options: Partial<Record<keyof S, unknown>> = {};
      for (const name of Object.keys(spec) as (keyof S)[]) options[name] = fields[name];
      return run(...args, options as Read<S>);
    }
  }
  return FunctionLoss as never;
}

type Pair = [input: Tensor, target: Tensor];

export const weighted = { weight: optionalTensor, reduction: F.reduction };

const classes = { ...weighted, ignoreIndex: int(-100, -Infinity) };

/**
 * Negative log-likelihood of classes: input [N, C, ...] of log-probabilities, target [N, ...] of
 * class indices.
 */
export class NLLLoss extends lossOf<Pair, typeof classes>(classes, F.nllLoss) {}

export type NLLLossOptions = Given<typeof classes>;

/** The older name of {@link NLLLoss}, which takes inputs of any number of dimensions. */
export class NLLLoss2d extends NLLLoss {}

const smoothed = { ...classes, labelSmoothing: num(0) };

/**
 * Cross entropy of logits: input [N, C, ...], target [N, ...] of class indices or [N, C, ...] of
 * probabilities.
 */
export class CrossEntropyLoss extends lossOf<Pair, typeof smoothed>(smoothed, F.crossEntropy) {}

export type CrossEntropyLossOptions = Given<typeof smoothed>;

const plain = { reduction: F.reduction };

/** Squared difference. */
export class MSELoss extends lossOf<Pair, typeof plain>(plain, F.mseLoss) {}

/** Binary cross entropy of probabilities. */
export class BCELoss extends lossOf<Pair, typeof weighted>(weighted, F.binaryCrossEntropy) {}

const positive = { ...weighted, posWeight: optionalTensor };

/** Binary cross entropy of logits. */
export class BCEWithLogitsLoss extends lossOf<Pair, typeof positive>(
  positive,
  F.binaryCrossEntropyWithLogits,
) {}

const linearSpec = {
  outFeatures: ((layer, name, value) => {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n > 0)) {
      return value as number[];
    }
    throw badArgument(layer, name, 'an array of positive integers', value);
  }) as (layer: string, name: string, value: unknown) => readonly number[],
  bias: bool(false),
  ...factory,
  ...weighted,
  ignoreIndex: optionalInt(null, -Infinity),
  labelSmoothing: num(0),
};

export type LinearCrossEntropyLossOptions = Given<typeof linearSpec>;

/**
 * A linear layer without its output: cross entropy of the logits it makes of the input [N, inFeatures].
 * Targets [N, ...outFeatures] of class indices, or [N, C, ...outFeatures] of probabilities.
 */
export class LinearCrossEntropyLoss extends Loss {
  readonly reduction: F.Reduction;
  readonly numClasses: number;
  readonly outFeatures: readonly number[];
  readonly ignoreIndex: number | null;
  readonly labelSmoothing: number;
  readonly linear: Linear;
  weight: Tensor | null = null;

  constructor(inFeatures: number, numClasses: number, options: LinearCrossEntropyLossOptions = {}) {
    super();
    const name = new.target.name;
    const read = readOptions(name, linearSpec, options);
    this.numClasses = requiredInt(1)(name, 'numClasses', numClasses);
    if (read.weight !== null && read.weight.shape.join() !== String(numClasses)) {
      throw badArgument(name, 'weight', `of shape [${numClasses}]`, read.weight);
    }
    if (!(read.labelSmoothing >= 0 && read.labelSmoothing <= 1)) {
      throw badArgument(name, 'labelSmoothing', 'in [0, 1]', read.labelSmoothing, 'ERR_VALUE');
    }
    this.registerBuffer('weight', read.weight);
    this.reduction = read.reduction;
    this.outFeatures = read.outFeatures;
    this.ignoreIndex = read.ignoreIndex;
    this.labelSmoothing = read.labelSmoothing;
    const rows = read.outFeatures.reduce((a, b) => a * b, numClasses);
    const { bias, dtype, device } = read;
    this.linear = new Linear(inFeatures, rows, { bias, dtype, device });
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { linear, numClasses, outFeatures, reduction, ignoreIndex, labelSmoothing } = this;
    const weight = linear.weight.reshape([numClasses, ...outFeatures, linear.inFeatures]);
    return F.linearCrossEntropy(input, weight, target, {
      linearBias: linear.bias,
      weight: this.weight,
      reduction,
      ignoreIndex,
      labelSmoothing,
    });
  }
}
