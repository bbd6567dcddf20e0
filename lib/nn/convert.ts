/** Conversion of a module's tensors in place, so that optimizers keep hold of the parameters. */
import { noGrad } from '../autograd';
import type { Tensor } from '../tensor';
import type { Module } from './module';

export function convertModule<M extends Module>(module: M, convert: (t: Tensor) => Tensor): M {
  noGrad(() => {
    for (const p of module.parameters()) {
      // setData would refuse a gradient of another dtype, so it steps aside.
      const { grad } = p;
      const data = convert(p);
      if (data === p) continue;
      p.grad = null;
      p.setData(data);
      if (grad !== null) p.grad = convert(grad);
    }
    for (const b of module.buffers()) {
      const data = convert(b);
      if (data !== b) b.setData(data);
    }
  });
  return module;
}
