/** Datasets of images. */
export { type IdxArray, readIdx, type ReadIdxOptions } from './idx';
export { FashionMNIST, KMNIST, MNIST, type MNISTOptions } from './mnist';
export { InMemoryImages, type VisionOptions } from './visionDataset';
