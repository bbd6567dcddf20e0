/** Tensors in files: safetensors, NumPy's formats, PyTorch's checkpoints, and a format of our own. */
export * as safetensors from './safetensors';
export * as npy from './numpy/npy';
export * as npz from './numpy/npz';
export { loadTorch, type LoadTorchOptions } from './torch/load';
export { load, type LoadOptions } from './state/load';
export { save } from './state/save';
export {
  Checkpoint,
  type CheckpointInfo,
  type CheckpointLoadOptions,
  type CheckpointFolderOptions,
  type RestoredCheckpoint,
  type Stateful,
} from './checkpoint';
