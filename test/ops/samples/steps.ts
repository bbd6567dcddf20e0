/** Optimizer and scaler steps: called by their classes, which prepare the state. */
import type { Family, OpSpec } from '../support/sample';

function partOf(folder: string): OpSpec {
  return { samples: () => [], coveredBy: folder };
}

const optimizers = [
  'sgd',
  'adam',
  'rmsprop',
  'adagrad',
  'adadelta',
  'adamax',
  'nadam',
  'radam',
  'rprop',
  'asgd',
  'lion',
  'adafactor',
];

export const steps: Family = {
  ...Object.fromEntries(optimizers.map((name) => [`${name}Step_`, partOf('test/optim')])),
  multiTensorNorm: partOf('test/optim'),
  multiTensorScale_: partOf('test/optim'),
  ampUnscaleStep_: partOf('test/amp'),
  ampUpdateStep_: partOf('test/amp'),
};
