/** Batch normalisation folded into the layer before it, for inference. */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { onesLike, zerosLike } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import type { BatchNormBase } from '../batchnorm';
import type { ConvBase } from '../conv';
import type { Linear } from '../linear';
import { Parameter } from '../parameter';

interface Affine {
  readonly weight: Parameter;
  readonly bias: Parameter;
}

/** Weight and bias of the layer with the normalisation applied to its outputs. */
function fuse(weight: Tensor, bias: Tensor | null, bn: BatchNormBase, outputDim: number): Affine {
  const { runningMean: mean, runningVar: variance } = bn;
  if (mean === null || variance === null) {
    throw makeError('ERR_VALUE', 'fuse: the normalisation keeps no running statistics');
  }
  return noGrad(() => {
    const scale = (bn.weight ?? onesLike(mean)).mul(variance.add(bn.eps).rsqrt());
    const shape = weight.shape.map((_, i) => (i === outputDim ? -1 : 1));
    const shifted = (bias ?? zerosLike(mean)).sub(mean).mul(scale);
    return {
      weight: new Parameter(weight.mul(scale.reshape(shape)).to(weight.dtype)),
      bias: new Parameter((bn.bias === null ? shifted : shifted.add(bn.bias)).to(weight.dtype)),
    };
  });
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
  const out = conv.deepCopy();
  return Object.assign(out, fuse(conv.weight, conv.bias, bn, transposed ? 1 : 0));
}

/** A copy of a linear layer that also does what the batch normalisation behind it does. */
export function fuseLinearBnEval(linear: Linear, bn: BatchNormBase): Linear {
  checkEval('fuseLinearBnEval', linear, bn);
  return Object.assign(linear.deepCopy(), fuse(linear.weight, linear.bias, bn, 0));
}
