/** Datasets of images. */
export {
  CIFAR10,
  CIFAR100,
  type CIFAR100Options,
  type CIFARFetchOptions,
  type CIFAROptions,
} from './cifar';
export { imageExtensions, ImageFolder, type ImageFolderOptions, loadImage } from './folder';
export { type IdxArray, readIdx, type ReadIdxOptions } from './idx';
export {
  EMNIST,
  type EMNISTOptions,
  type EMNISTSplit,
  FashionMNIST,
  type FetchOptions,
  KMNIST,
  MNIST,
  type MNISTOptions,
} from './mnist';
export { InMemoryImages, type VisionOptions } from './visionDataset';
