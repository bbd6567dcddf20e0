/** Random numbers of transforms: all from the generator of the environment. */
import { rand, randint } from '../../ops.gen';

/** A number in [low, high). */
export function uniform(low = 0, high = 1): number {
  return low + (high - low) * rand([1], { dtype: 'float64' }).item();
}

/** An integer in [0, n). */
export function integerBelow(n: number): number {
  return n <= 1 ? 0 : randint(0, n, [1]).item();
}
