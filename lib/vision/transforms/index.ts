/** Transforms of images, in torchvision's names. */
export {
  Compose,
  ConvertImageDtype,
  Lambda,
  Normalize,
  type NormalizeOptions,
  PILToTensor,
  ToTensor,
} from './basic';
export { PixelBatch, Transform, type TransformLike } from './transform';
