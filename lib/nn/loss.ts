/** Losses as modules: their options are fields, their weights buffers. */
import type { Tensor } from '../tensor';
import * as F from './functional/loss';
import { type FieldNames, Module } from './module';
import { int, num, optionalTensor, type Read, readOptions, type Spec } from './options';

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
