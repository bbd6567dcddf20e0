/** Settings of what computes. PyTorch: `torch.backends`. */
import { makeError } from './errors';
import { native } from './native';

type Flag =
  'allowTf32' | 'allowFp16ReducedPrecisionReduction' | 'allowBf16ReducedPrecisionReduction';

function write(name: Flag, value: boolean): void {
  if (typeof value !== 'boolean') {
    const got = JSON.stringify(value);
    throw makeError('ERR_TYPE', `backends.cuda.matmul.${name} must be a boolean, got ${got}`);
  }
  native.setMatmulFlag(name, value);
}

/** How matrix products on CUDA devices compute. All are off: products are exact to float32. */
class MatmulSettings {
  /** Round float32 operands to TF32 (10 bits of mantissa), for Tensor Cores. Default false. */
  get allowTf32(): boolean {
    return native.matmulFlag('allowTf32');
  }
  set allowTf32(value: boolean) {
    write('allowTf32', value);
  }

  /** Add the parts of a sum of float16 in float16. Default false (PyTorch: true). */
  get allowFp16ReducedPrecisionReduction(): boolean {
    return native.matmulFlag('allowFp16ReducedPrecisionReduction');
  }
  set allowFp16ReducedPrecisionReduction(value: boolean) {
    write('allowFp16ReducedPrecisionReduction', value);
  }

  /** Add the parts of a sum of bfloat16 in bfloat16. Default false (PyTorch: true). */
  get allowBf16ReducedPrecisionReduction(): boolean {
    return native.matmulFlag('allowBf16ReducedPrecisionReduction');
  }
  set allowBf16ReducedPrecisionReduction(value: boolean) {
    write('allowBf16ReducedPrecisionReduction', value);
  }
}

export const backends = { cuda: { matmul: new MatmulSettings() } } as const;
