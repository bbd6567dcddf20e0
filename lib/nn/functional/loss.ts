/** Losses. Rows of the op table: see their schemas. */
export { crossEntropy, mseLoss, nllLoss } from '../../ops.gen';
