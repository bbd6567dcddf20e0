/** Linear and bilinear maps. */
import { opFunction, unwrap } from '../../call';
import { makeError } from '../../errors';
import type { Handle } from '../../native';
import { type Tensor, wrapTensor } from '../../tensor';

const linearFn = opFunction('linear');

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
  const [out = 0, in1 = 0, in2 = 0] = weight.shape;
  const lead = input1.shape.slice(0, -1);
  const fits =
    weight.ndim === 3 &&
    input1.size(-1) === in1 &&
    input2.size(-1) === in2 &&
    input2.ndim === input1.ndim &&
    lead.every((n, i) => n === input2.shape[i]);
  if (!fits) {
    throw makeError(
      'ERR_SHAPE',
      `bilinear: shapes [${input1.shape.join(', ')}], [${input2.shape.join(', ')}] and weight ` +
        `[${weight.shape.join(', ')}] do not fit: expected [..., in1], [..., in2], [out, in1, in2]`,
    );
  }
  // [rows, in1] x [in1, out * in2], then contract in2 with the second input.
  const rows = lead.reduce((a, b) => a * b, 1);
  const left = input1.reshape([rows, in1]).matmul(weight.transpose(0, 1).reshape([in1, out * in2]));
  const result = left
    .view([rows, out, in2])
    .matmul(input2.reshape([rows, in2, 1]))
    .reshape([...lead, out]);
  return bias === undefined || bias === null ? result : result.add(bias);
}
