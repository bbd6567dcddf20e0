/** What implementations are compared by: the mean absolute value of results and gradients. */
import { noGrad, type Tensor } from '../../lib';

export function meanAbs(t: Tensor): number {
  return noGrad(() => t.detach().double().abs().mean().item());
}

/** Output (or loss) and gradients of one forward and backward pass over `leaves`. */
export function forwardBackward(
  forward: () => Tensor,
  dy: Tensor | null,
  leaves: readonly Tensor[],
): { run: () => Tensor; check: () => number[] } {
  const run = (): Tensor => {
    for (const leaf of leaves) leaf.grad = null;
    const y = forward();
    y.backward(dy);
    return y;
  };
  return {
    run,
    check: () => [run(), ...leaves.map((leaf) => leaf.grad as Tensor)].map(meanAbs),
  };
}
