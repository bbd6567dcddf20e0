/** Normalisation: rows of the op table. */
export {
  batchNorm,
  groupNorm,
  instanceNorm,
  layerNorm,
  localResponseNorm,
  type LocalResponseNormOptions,
  normalize,
  rmsNorm,
} from '../../ops.gen';
