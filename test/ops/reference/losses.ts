/** Losses over class indices. */
import { Nd } from '../support/nd';
import { logSoftmaxLine } from './softmax';

export interface ClassLossOptions {
  weight?: Nd;
  ignoreIndex?: number;
  reduction?: string;
  labelSmoothing?: number;
}

/** Sum or mean, or the values themselves. */
export function reduceLoss(loss: Nd, reduction = 'mean'): Nd {
  if (reduction === 'none') return loss;
  const total = loss.data.reduce((a, b) => a + b, 0);
  return Nd.scalar(reduction === 'sum' ? total : total / loss.data.length);
}

/** [N, C, ...] with classes in dimension 1 (or [C]): visits each target and its row of scores. */
function perTarget(
  input: Nd,
  target: Nd,
  fn: (row: number[], cls: number) => [loss: number, weight: number],
  reduction = 'mean',
): Nd {
  const classDim = input.ndim === 1 ? 0 : 1;
  const classes = input.shape[classDim] as number;
  let weights = 0;
  const loss = Nd.from(target.shape, (index) => {
    const at = (c: number): number => {
      const full = [...index];
      full.splice(classDim, 0, c);
      return input.at(full);
    };
    const row = Array.from({ length: classes }, (_, c) => at(c));
    const [value, weight] = fn(row, target.at(index));
    weights += weight;
    return value;
  });
  if (reduction !== 'mean') return reduceLoss(loss, reduction);
  return Nd.scalar(loss.data.reduce((a, b) => a + b, 0) / weights);
}

export function nllLoss(input: Nd, target: Nd, options: ClassLossOptions): Nd {
  const { weight, ignoreIndex = -100, reduction } = options;
  return perTarget(
    input,
    target,
    (row, cls) => {
      if (cls === ignoreIndex) return [0, 0];
      const w = weight?.data[cls] ?? 1;
      return [-w * (row[cls] as number), w];
    },
    reduction,
  );
}

export function crossEntropy(input: Nd, target: Nd, options: ClassLossOptions): Nd {
  const { weight, ignoreIndex = -100, reduction, labelSmoothing = 0 } = options;
  return perTarget(
    input,
    target,
    (scores, cls) => {
      if (cls === ignoreIndex) return [0, 0];
      const row = logSoftmaxLine(scores);
      const w = weight?.data[cls] ?? 1;
      const spread = row.reduce((n, v, c) => n - v * (weight?.data[c] ?? 1), 0) / row.length;
      const loss = -(1 - labelSmoothing) * w * (row[cls] as number) + labelSmoothing * spread;
      return [loss, w];
    },
    reduction,
  );
}
