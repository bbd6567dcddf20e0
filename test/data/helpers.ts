/** Small datasets for the tests of this folder. */
import { data, tensor, type Tensor } from '../../lib';

export class Numbers extends data.Dataset<number> {
  readonly length: number;

  constructor(n: number) {
    super();
    this.length = n;
  }

  getItem(index: number): number {
    return index;
  }
}

/** `[row, label]` samples that know no batched form. */
export class Rows extends data.Dataset<[Tensor, number]> {
  readonly length: number;

  constructor(n: number) {
    super();
    this.length = n;
  }

  getItem(index: number): [Tensor, number] {
    return [tensor([index, index + 0.5]), index * 10];
  }
}

export function codeOf(fn: () => unknown): string | undefined {
  try {
    fn();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}
