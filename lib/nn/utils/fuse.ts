/** Batch normalisation folded into the layer before it, for inference. */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { onesLike, zerosLike } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import type { BatchNormBase } from '../batchnorm';
import type { ConvBase } from '../conv';
import type { Linear } from '../linear';
import { bool, readOptions } from '../options';
import { Parameter } from '../parameter';

/** Statistics and parameters of a batch normalisation. */
export interface BatchNormValues {
  readonly mean: Tensor;
  readonly variance: Tensor;
  readonly eps: number;
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
}

type Affine = readonly [weight: Parameter, bias: Parameter];

/** Weight and bias of a layer with the normalisation applied to its outputs. */
function fuse(weight: Tensor, bias: Tensor | null, bn: BatchNormValues, outputDim: number): Affine {
  return noGrad(() => {
    const { mean } = bn;
    const scale = (bn.weight ?? onesLike(mean)).mul(bn.variance.add(bn.eps).rsqrt());
    const shape = weight.shape.map((_, i) => (i === outputDim ? -1 : 1));
    const shifted = (bias ?? zerosLike(mean)).sub(mean).mul(scale);
    const moved = bn.bias === null ? shifted : shifted.add(bn.bias);
    return [
      new Parameter(weight.mul(scale.reshape(shape)).to(weight.dtype)),
      new Parameter(moved.to(bias?.dtype ?? weight.dtype)),
    ];
  });
}

/** Weight and bias of a convolution that also does what a batch normalisation behind it does. */
export function fuseConvBnWeights(
  weight: Tensor,
  bias: Tensor | null,
  bn: BatchNormValues,
  options: { readonly transpose?: boolean | undefined } = {},
): Affine {
  const { transpose } = readOptions('fuseConvBnWeights', { transpose: bool(false) }, options);
  return fuse(weight, bias, bn, transpose ? 1 : 0);
}

/** Weight and bias of a linear layer that also does what a batch normalisation behind it does. */
export function fuseLinearBnWeights(
  weight: Tensor,
  bias: Tensor | null,
  bn: BatchNormValues,
): Affine {
  return fuse(weight, bias, bn, 0);
}

function valuesOf(bn: BatchNormBase): BatchNormValues {
  const { runningMean: mean, runningVar: variance, eps, weight, bias } = bn;
  if (mean === null || variance === null) {
    throw makeError('ERR_VALUE', 'fuse: the normalisation keeps no running statistics');
  }
  return { mean, variance, eps, weight, bias };
}

function checkEval(name: string, layer: { training: boolean }, bn: BatchNormBase): void {
  if (layer.training || bn.training) {
    throw makeError('ERR_VALUE', `${name}: both modules must be in evaluation mode`);
  }
}

/** A copy of a convolution that also does what the batch normalisation behind it does. */
export function fuseConvBnEval<C extends ConvBase>(conv: C, bn: BatchNormBase): C {
  checkEval('fuseConvBnEval', conv, bn);
  const transposed = conv.constructor.name.startsWith('ConvTranspose');
  if (transposed && conv.groups !== 1) {
    throw makeError(
      'ERR_NOT_IMPLEMENTED',
      'fuseConvBnEval: transposed convolutions in groups are not supported',
    );
  }
  const [weight, bias] = fuse(conv.weight, conv.bias, valuesOf(bn), transposed ? 1 : 0);
  return Object.assign(conv.deepCopy(), { weight, bias });
}

/** A copy of a linear layer that also does what the batch normalisation behind it does. */
export function fuseLinearBnEval(linear: Linear, bn: BatchNormBase): Linear {
  checkEval('fuseLinearBnEval', linear, bn);
  const features = bn.runningMean?.numel() ?? linear.outFeatures;
  if (features !== linear.outFeatures && features !== 1) {
    throw makeError(
      'ERR_VALUE',
      `fuseLinearBnEval: the normalisation must have ${linear.outFeatures} features or 1, got ` +
        String(features),
    );
  }
  const [weight, bias] = fuse(linear.weight, linear.bias, valuesOf(bn), 0);
  return Object.assign(linear.deepCopy(), { weight, bias });
}
