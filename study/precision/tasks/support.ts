/** What the tasks share: batches in an order that only the seed decides. */
import { noGrad, randperm, tensor, type Tensor } from '../../../lib';

/**
 * Rows of a data set, batch after batch: `batch(k)` gives the indices of step k; every pass is shuffled
 * anew. Drawn at once, so that the order does not depend on what the model draws.
 */
export function batchOrder(rows: number, batchSize: number, steps: number): Tensor[] {
  const order: Tensor[] = [];
  const each = Math.floor(rows / batchSize);
  let shuffled = randperm(rows);
  for (let step = 0; step < steps; ++step) {
    const at = step % each;
    if (step > 0 && at === 0) shuffled = randperm(rows);
    order.push(shuffled.narrow(0, at * batchSize, batchSize));
  }
  return order;
}

/** The part of right answers of a classifier on held-out rows. */
export function accuracy(
  rows: number,
  batchSize: number,
  logits: (from: number, count: number) => Tensor,
  labels: Tensor,
): number {
  return noGrad(() => {
    let right = 0;
    for (let from = 0; from < rows; from += batchSize) {
      const count = Math.min(batchSize, rows - from);
      const predicted = logits(from, count).argmax(1);
      right += predicted
        .eq(labels.narrow(0, from, count))
        .sum()
        .item();
    }
    return right / rows;
  });
}

/** A matrix of token ids from rows of equal length. */
export function idMatrix(rows: readonly (readonly number[])[]): Tensor {
  return tensor(rows, { dtype: 'int64' });
}
