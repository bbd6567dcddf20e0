/** Small networks to learn and test with. */
import { Conv2d, type FactoryOptions, Linear, MaxPool2d, Module } from '../../nn';
import { factory, int, readOptions } from '../../nn/options';
import { flatten, logSoftmax, relu } from '../../ops.gen';
import type { Tensor } from '../../tensor';

export interface SimpleNNOptions extends FactoryOptions {
  /** Numbers in one image. Default 784. */
  readonly inFeatures?: number | undefined;
  /** Default 10. */
  readonly numClasses?: number | undefined;
}

const simpleSpec = { inFeatures: int(784, 1), numClasses: int(10, 1), ...factory };

/** A perceptron of three layers (784-128-64-10) that ends in log-probabilities, for NLLLoss. */
export class SimpleNN extends Module {
  fc1: Linear;
  fc2: Linear;
  fc3: Linear;

  constructor(options: SimpleNNOptions = {}) {
    super();
    const { inFeatures, numClasses, ...place } = readOptions(new.target.name, simpleSpec, options);
    this.fc1 = new Linear(inFeatures, 128, place);
    this.fc2 = new Linear(128, 64, place);
    this.fc3 = new Linear(64, numClasses, place);
  }

  /** [N, ...] with inFeatures numbers an image, to log-probabilities [N, numClasses]. */
  override forward(images: Tensor): Tensor {
    let x = flatten(images, 1);
    x = relu(this.fc1.call(x));
    x = relu(this.fc2.call(x));
    return logSoftmax(this.fc3.call(x), 1);
  }
}

export interface LeNetOptions extends FactoryOptions {
  /** Default 1. */
  readonly inChannels?: number | undefined;
  /** Default 10. */
  readonly numClasses?: number | undefined;
}

const leNetSpec = { inChannels: int(1, 1), numClasses: int(10, 1), ...factory };

/**
 * LeNet-5 for images of 28x28, with ReLU and max-pooling. LeCun et al. 1998, "Gradient-Based
 * Learning Applied to Document Recognition".
 */
export class LeNet extends Module {
  conv1: Conv2d;
  conv2: Conv2d;
  pool = new MaxPool2d(2);
  fc1: Linear;
  fc2: Linear;
  fc3: Linear;

  constructor(options: LeNetOptions = {}) {
    super();
    const { inChannels, numClasses, ...place } = readOptions(new.target.name, leNetSpec, options);
    this.conv1 = new Conv2d(inChannels, 6, 5, { padding: 2, ...place });
    this.conv2 = new Conv2d(6, 16, 5, place);
    this.fc1 = new Linear(16 * 5 * 5, 120, place);
    this.fc2 = new Linear(120, 84, place);
    this.fc3 = new Linear(84, numClasses, place);
  }

  /** Scores of the classes: [N, inChannels, 28, 28] to [N, numClasses]. */
  override forward(images: Tensor): Tensor {
    let x = this.pool.call(relu(this.conv1.call(images)));
    x = flatten(this.pool.call(relu(this.conv2.call(x))), 1);
    x = relu(this.fc1.call(x));
    x = relu(this.fc2.call(x));
    return this.fc3.call(x);
  }
}
