/** Tensors in files: safetensors, NumPy's formats, PyTorch's checkpoints, and a format of our own. */
export * as safetensors from './safetensors';
