/** Parameters: tensors that a module finds in its fields and an optimizer changes. */
import { makeError } from '../errors';
import { native, type Handle } from '../native';
import { handleOf, Tensor } from '../tensor';

export interface ParameterOptions {
  /** Default true. */
  readonly requiresGrad?: boolean | undefined;
}

/**
 * A leaf that shares the data of `data` and requires grad. As a field of a Module it is one of
 * its parameters. PyTorch: `torch.nn.Parameter`.
 *
 * @example
 * class Scale extends nn.Module {
 *   factor = new nn.Parameter(ones([1]));
 *   forward(x: Tensor) { return x.mul(this.factor); }
 * }
 */
export class Parameter extends Tensor {
  constructor(data: Tensor, options: ParameterOptions = {}) {
    if (!(data instanceof Tensor)) {
      throw makeError('ERR_TYPE', "Parameter: argument 'data' must be a Tensor");
    }
    for (const key of Object.keys(options)) {
      if (key !== 'requiresGrad') {
        throw makeError(
          'ERR_TYPE',
          `Parameter: unknown option '${key}' (options are requiresGrad)`,
        );
      }
    }
    const { requiresGrad = true } = options;
    if (requiresGrad && !data.isFloatingPoint()) {
      throw makeError(
        'ERR_DTYPE',
        `Parameter: only floating point tensors can require gradients, got ${data.dtype}; ` +
          'pass { requiresGrad: false }',
      );
    }
    // The handle directly: a parameter belongs to its module, not to the tidy() around it.
    super(native.ops['detach']?.(handleOf(data)) as Handle);
    if (requiresGrad) this.requiresGrad = true;
  }

  override toString(): string {
    return `Parameter containing:\n${super.toString()}`;
  }
}
