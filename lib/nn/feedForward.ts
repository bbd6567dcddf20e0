/**
 * Two linear layers as one op, for blocks that own them as modules: only where nothing could tell the
 * difference. Layers that are hooked, replaced by others or overridden are called one by one.
 */
import type { Tensor } from '../tensor';
import { Dropout } from './dropout';
import { feedForward, type FeedForwardActivation } from './functional/linear';
import { hasGlobalHooks } from './hooks';
import { Linear } from './linear';
import { Module } from './module';

/** For this package: whether calling `module` runs the forward of `type` and nothing else. */
export function runsPlainly(module: Module, type: { readonly prototype: Module }): boolean {
  // A hook puts a forward of its own in front of that of the class.
  return (
    module.forward === type.prototype.forward &&
    module.call === Module.prototype.call &&
    !hasGlobalHooks()
  );
}

/** For this package: whether `dropout` returns what it gets, without anyone seeing it. */
export function dropsNothing(dropout: Module): boolean {
  if (!runsPlainly(dropout, Dropout)) return false;
  return !dropout.training || (dropout as Dropout).p === 0;
}

/** For this package: second(activation(first(x))), or undefined where it has to be three calls. */
export function fusedLayers(
  x: Tensor,
  first: Module,
  activation: FeedForwardActivation | undefined,
  second: Module,
): Tensor | undefined {
  if (activation === undefined) return undefined;
  if (!runsPlainly(first, Linear) || !runsPlainly(second, Linear)) return undefined;
  const [a, b] = [first as Linear, second as Linear];
  return feedForward(x, a.weight, a.bias, b.weight, b.bias, { activation });
}
