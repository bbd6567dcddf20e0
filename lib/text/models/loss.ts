/** Losses of the language models. */
import { crossEntropy } from '../../nn/functional/loss';
import { cat, full } from '../../ops.gen';
import type { Tensor } from '../../tensor';

/** Label of a position that has no part in the loss. */
const ignored = -100;

export interface CausalLMOutput {
  /** [batch, length, vocabSize]. */
  readonly logits: Tensor;
  /** Mean over the labels, where labels were given. */
  readonly loss: Tensor | null;
}

/** Cross-entropy of each token given those before it: position i is scored against label i + 1. */
export function causalLoss(logits: Tensor, labels: Tensor): Tensor {
  const [batch = 0, length = 0, vocabulary = 0] = logits.shape;
  const none = full([batch, 1], ignored, { dtype: labels.dtype, device: labels.device });
  const next = cat([labels.narrow(1, 1, length - 1), none], 1);
  return crossEntropy(logits.view(batch * length, vocabulary), next.view(-1));
}

/** Cross-entropy of each position against its own label. */
export function tokenLoss(logits: Tensor, labels: Tensor): Tensor {
  return crossEntropy(logits.reshape(-1, logits.size(-1)), labels.reshape(-1));
}
