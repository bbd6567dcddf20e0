/** Images: datasets and transforms, `ampgrad/vision`. */
export * as datasets from './datasets';
export { Image, type ImageMode } from './image';
export * as transforms from './transforms';
