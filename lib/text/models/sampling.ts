/** Choosing the next token from logits: penalties, temperature, the likeliest few, a draw. */
import type { Generator } from '../../data/generator';
import { cumsum, rand, softmax, sort, topk, where } from '../../ops.gen';
import type { Tensor } from '../../tensor';

/** For this package: how {@link choose} chooses. */
export interface Sampling {
  /** The likeliest token, not a draw. */
  readonly greedy: boolean;
  readonly temperature: number;
  /** Draw among this many likeliest tokens; 0: all. */
  readonly topK: number;
  /** Draw among the fewest tokens that have this probability together; 1: all. */
  readonly topP: number;
  readonly repetitionPenalty: number;
  readonly generator: Generator | undefined;
}

/**
 * Makes tokens that occurred less likely. Keskar et al. 2019, "CTRL", section 4.1: positive logits
 * are divided by the penalty, negative ones multiplied.
 */
export function penalise(logits: Tensor, seen: Tensor, penalty: number): Tensor {
  const old = logits.gather(1, seen);
  return logits.scatter(1, seen, where(old.lt(0), old.mul(penalty), old.div(penalty)));
}

/**
 * The next token of each text.
 * @param logits [batch, vocabSize].
 * @param seen [batch, length]: the tokens so far.
 * @returns [batch], int64.
 */
export function choose(logits: Tensor, seen: Tensor, how: Sampling): Tensor {
  let scores = logits;
  if (how.repetitionPenalty !== 1) scores = penalise(scores, seen, how.repetitionPenalty);
  if (how.greedy) return scores.argmax(-1);
  scores = scores.to('float32');
  if (how.temperature !== 1) scores = scores.div(how.temperature);
  const vocabulary = scores.size(-1);
  const limited = how.topK > 0 && how.topK < vocabulary;
  // Likeliest first: then both limits are prefixes, and the draw is a position in them.
  const [values, tokens] = limited
    ? topk(scores, how.topK, -1)
    : sort(scores, { dim: -1, descending: true, stable: true });
  const probabilities = softmax(values, -1, { dtype: 'float64' });
  const sums = cumsum(probabilities, -1);
  const before = sums.sub(probabilities);
  // The likeliest always stays.
  const least = Math.max(how.topP, Number.MIN_VALUE);
  const kept = how.topP < 1 ? where(before.lt(least), probabilities, 0) : probabilities;
  const steps = how.topP < 1 ? cumsum(kept, -1) : sums;
  const total = steps.narrow(-1, steps.size(-1) - 1, 1);
  const drawn = draw(scores.size(0), how.generator).mul(total);
  // The first position whose sum is beyond the drawn number; rounding may not lead past the kept.
  const position = steps.le(drawn).sum({ dim: -1, keepdim: true });
  const last = kept.gt(0).sum({ dim: -1, keepdim: true }).sub(1);
  return tokens.gather(-1, position.minimum(last)).squeeze(-1);
}

/** One number in [0, 1) a text. */
function draw(batch: number, generator: Generator | undefined): Tensor {
  const make = (): Tensor => rand([batch, 1], { dtype: 'float64' });
  return generator === undefined ? make() : generator.use(make);
}
