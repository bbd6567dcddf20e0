/**
 * Dense linear algebra with the functions of `torch.linalg`, for float32 and float64, batched, with
 * derivatives. The work is done by LAPACK (OpenBLAS), which is opened on first use.
 *
 * Matrices that are singular, not positive definite or not finite raise a TensorError with the code
 * ERR_LINALG; the functions whose names end with Ex report them in a tensor instead.
 */
export * from './linalg.gen';
export { vectorNorm, type VectorNormOptions } from './ops.gen';
