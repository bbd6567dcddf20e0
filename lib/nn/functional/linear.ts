/** Linear and bilinear maps. */
import { opFunction, unwrap } from '../../call';
import type { Handle } from '../../native';
import { type Tensor, wrapTensor } from '../../tensor';

const linearFn = opFunction('linear');
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
