/** Images: datasets, models and transforms, `ampgrad/vision`. */
export * as datasets from './datasets';
export { Image, type ImageMode } from './image';
export * as models from './models';
export * as transforms from './transforms';
