/** A dataset for the workers of the resume test: samples with random noise. */
import { data, randn, tensor, type Tensor } from '../../../lib';

export class Samples extends data.Dataset<[Tensor, Tensor]> {
  readonly length = 96;

  getItem(index: number): [Tensor, Tensor] {
    const x = randn([6])
      .mul(0.1)
      .add(index / 96);
    return [x, tensor([index % 7])];
  }
}

export function dataset(): Samples {
  return new Samples();
}
