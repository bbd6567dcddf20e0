/** Linear and bilinear maps, and two linear maps with an activation between. */
import { opFunction, unwrap } from '../../call';
import type { Handle } from '../../native';
import { type Tensor, wrapTensor } from '../../tensor';
import { choice, readOptions } from '../options';

const linearFn = opFunction('linear');
const feedForwardFn = opFunction('feedForward');
const bilinearFn = opFunction('bilinear');

/** x A^T + b; input [..., in], weight [out, in], bias [out]. */
export function linear(input: Tensor, weight: Tensor, bias?: Tensor | null): Tensor {
  return wrapTensor(linearFn(unwrap(input), unwrap(weight), unwrap(bias)) as Handle);
}

/** y_k = x1^T A_k x2 + b_k; input1 [..., in1], input2 [..., in2], weight [out, in1, in2]. */
export function bilinear(
  input1: Tensor,
  input2: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
): Tensor {
  return wrapTensor(
    bilinearFn(unwrap(input1), unwrap(input2), unwrap(weight), unwrap(bias)) as Handle,
  );
}

/** What {@link feedForward} applies between its layers; 'geluTanh' is gelu's approximation by tanh. */
export type FeedForwardActivation = 'relu' | 'gelu' | 'geluTanh' | 'silu';

export interface FeedForwardOptions {
  /** Default 'relu'. */
  readonly activation?: FeedForwardActivation | undefined;
}

const feedForwardSpec = {
  activation: choice(['relu', 'gelu', 'geluTanh', 'silu'] as const, 'relu'),
};

/**
 * linear(activation(linear(input, weight1, bias1)), weight2, bias2), the two layers of a
 * transformer's block, in fewer passes over memory: activations are applied as products are stored,
 * and on CUDA also slopes and sums of bias gradients where cuBLASLt has epilogues for them. Source:
 * Vaswani et al. 2017, "Attention Is All You Need", section 3.3.
 *
 * Values and gradients are those of the three calls. float16 and bfloat16 are rounded once less: the
 * activation sees the sums of the first product before they are rounded.
 * @param input [..., in], float16, bfloat16, float32 or float64; the others have its dtype. Autocast
 * casts all five tensors as it does those of `linear`.
 * @param weight1 [hidden, in]
 * @param bias1 [hidden] or null
 * @param weight2 [out, hidden]
 * @param bias2 [out] or null
 * @returns [..., out]
 * @throws TensorError ERR_SHAPE for sizes that do not fit, ERR_DTYPE for several dtypes or integers,
 * ERR_DEVICE for several devices; RangeError ERR_VALUE for another activation.
 */
export function feedForward(
  input: Tensor,
  weight1: Tensor,
  bias1: Tensor | null | undefined,
  weight2: Tensor,
  bias2?: Tensor | null,
  options: FeedForwardOptions = {},
): Tensor {
  const { activation } = readOptions('feedForward', feedForwardSpec, options);
  return wrapTensor(
    feedForwardFn(
      unwrap(input),
      unwrap(weight1),
      unwrap(bias1),
      unwrap(weight2),
      unwrap(bias2),
      activation,
    ) as Handle,
  );
}
