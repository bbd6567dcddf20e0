/** Dropout layers: active in training, the identity in evaluation. */
import type { Tensor } from '../tensor';
import * as F from './functional/dropout';
import { Module } from './module';
import { bool, probability, readArguments } from './options';

export interface DropoutLayerOptions {
  /** Probability of becoming zero. Default 0.5. */
  readonly p?: number | undefined;
  /** Write the result over the input. Default false. */
  readonly inplace?: boolean | undefined;
}

type Arguments =
  [options?: DropoutLayerOptions] | [p: number, options?: { readonly inplace?: boolean }];

const spec = { p: probability(0.5), inplace: bool(false) };

/** Base of the dropout layers. */
abstract class DropoutBase extends Module {
  p: number;
  inplace: boolean;

  constructor(...args: Arguments) {
    super();
    const { p, inplace } = readArguments(new.target.name, spec, args, ['p']);
    this.p = p;
    this.inplace = inplace;
  }

  protected get options(): F.DropoutOptions {
    return { p: this.p, training: this.training, inplace: this.inplace };
  }

  abstract override forward(input: Tensor): Tensor;

  override extraRepr(): string {
    return `p=${this.p}, inplace=${this.inplace}`;
  }
}

/** Zeroes elements with probability p and scales the others by 1 / (1 - p). */
export class Dropout extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return this.training ? F.dropout(input, this.options) : input;
  }
}

/** Zeroes whole channels of [N, C, L] or [C, L]. */
export class Dropout1d extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return F.dropout1d(input, this.options);
  }
}

/** Zeroes whole channels of [N, C, H, W]. */
export class Dropout2d extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return F.dropout2d(input, this.options);
  }
}

/** Zeroes whole channels of [N, C, D, H, W] or [C, D, H, W]. */
export class Dropout3d extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return F.dropout3d(input, this.options);
  }
}

/** Dropout that keeps mean and variance of activations behind SELU. */
export class AlphaDropout extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return F.alphaDropout(input, this.options);
  }
}

/** Alpha dropout of whole channels. */
export class FeatureAlphaDropout extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return F.featureAlphaDropout(input, this.options);
  }
}
