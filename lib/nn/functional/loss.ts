/** Losses. Rows of the op table under PyTorch's names. */
export { crossEntropy, mseLoss, nllLoss } from '../../ops.gen';

/** How the losses of the elements become the result. */
export type Reduction = 'none' | 'mean' | 'sum';
