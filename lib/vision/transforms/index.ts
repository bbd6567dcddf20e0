/** Transforms of images, in torchvision's names. */
export {
  type AffineInterpolation,
  type Fill,
  RandomAffine,
  type RandomAffineOptions,
  RandomRotation,
  type RandomRotationOptions,
} from './affine';
export { RandAugment, type RandAugmentOptions } from './augment';
export {
  Compose,
  ConvertImageDtype,
  Lambda,
  Normalize,
  type NormalizeOptions,
  PILToTensor,
  ToTensor,
} from './basic';
export {
  ColorJitter,
  type ColorJitterOptions,
  Grayscale,
  type Jitter,
  RandomApply,
  RandomChoice,
  RandomGrayscale,
  RandomInvert,
  RandomOrder,
} from './color';
export {
  type Borders,
  CenterCrop,
  Pad,
  type Padding,
  type PaddingMode,
  type PadOptions,
  RandomCrop,
  type RandomCropOptions,
  RandomErasing,
  type RandomErasingOptions,
  RandomHorizontalFlip,
  RandomVerticalFlip,
  type Size,
} from './geometry';
export { CutMix, type MixOptions, MixUp } from './mix';
export {
  type InterpolationMode,
  RandomResizedCrop,
  type RandomResizedCropOptions,
  Resize,
  type ResizeOptions,
} from './resize';
export { PixelBatch, Transform, type TransformLike } from './transform';
