/** Normalisation: rows of the op table. */
export {
  batchNorm,
  groupNorm,
  instanceNorm,
  layerNorm,
  localResponseNorm,
  type LocalResponseNormOptions,
  rmsNorm,
} from '../../ops.gen';
