/** The safetensors format of Hugging Face: named tensors, no code. */
export {
  load,
  loadFile,
  type LoadFileOptions,
  loadSharded,
  SafeFile,
  safeOpen,
  SafeSlice,
} from './read';
export { save, saveFile, type SaveFileOptions } from './write';
