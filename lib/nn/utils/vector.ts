/** Parameters as one vector. */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { cat } from '../../ops.gen';
import { Tensor } from '../../tensor';
import { badArgument } from '../options';

/** All parameters below each other in one vector. PyTorch: `parameters_to_vector`. */
export function parametersToVector(parameters: Iterable<Tensor>): Tensor {
  return cat(
    [...parameters].map((p) => p.reshape([-1])),
    0,
  );
}

/** Copies the parts of a vector into the parameters. PyTorch: `vector_to_parameters`. */
export function vectorToParameters(vector: Tensor, parameters: Iterable<Tensor>): void {
  if (!(vector instanceof Tensor)) {
    throw badArgument('vectorToParameters', 'vector', 'a Tensor', vector);
  }
  const list = [...parameters];
  const total = list.reduce((sum, p) => sum + p.numel(), 0);
  if (vector.ndim !== 1 || vector.numel() !== total) {
    throw makeError(
      'ERR_SHAPE',
      `vectorToParameters: argument 'vector' must have shape [${total}], got ` +
        `[${vector.shape.join(', ')}]`,
    );
  }
  noGrad(() => {
    let at = 0;
    for (const p of list) {
      p.copy_(vector.narrow(0, at, p.numel()).view(p.shape));
      at += p.numel();
    }
  });
}
