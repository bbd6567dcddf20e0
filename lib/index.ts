/** ampgrad: tensors, automatic differentiation and mixed-precision training for Node.js. */
import './functions/convert';

export * as amp from './amp';
export * from './anomaly';
export * from './ops.gen';
export * from './functions/creation';
export * from './functions/contraction';
export {
  bernoulli,
  multinomial,
  type MultinomialOptions,
  normal,
  type NormalOptions,
  randintLike,
} from './functions/distributions';
export * from './functions/extrema';
export * from './functions/numeric';
export * from './functions/order';
export * from './functions/linalg';
export {
  atleast1d,
  atleast2d,
  atleast3d,
  linspace,
  narrow,
  randint,
  where,
} from './functions/overloads';
export * from './functions/statistics';
export { type Index, Slice, slice } from './functions/indexing';
export * from './functions/split';
export { type NewOptions, type ToOptions } from './functions/convert';
export * from './autograd';
export {
  checkpoint,
  checkpointSequential,
  type CheckpointOptions,
  type CheckpointStep,
} from './checkpoint';
export { callOp, type Named, opSchemas } from './call';
export * from './numberFormats';
export { type Device, type DType, dtypes, type Scalar, type TypedArray } from './dtype';
export { type CodedError, type ErrorCode, TensorError } from './errors';
export { backends } from './backends';
export * as cuda from './cuda';
export * as data from './data';
export * as files from './files';
export * as linalg from './linalg';
export {
  Checkpoint,
  load,
  loadTorch,
  type LoadTorchOptions,
  npy,
  npz,
  safetensors,
  save,
} from './files';
export * as memory from './memory';
export { keep, tidy } from './memory';
export * as nn from './nn';
export { type NativeArgument, type OpSchema } from './native';
export * as optim from './optim';
export { getPrintOptions, type PrintOptions, setPrintOptions } from './print';
export * from './random';
export { type BackwardOptions, type NestedArray, type RemovableHandle, Tensor } from './tensor';
export * as text from './text';
export { getDefaultDevice, setDefaultDevice } from './defaultDevice';
export { getNumThreads, setNumThreads } from './threads';
export * as vision from './vision';
