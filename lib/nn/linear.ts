/** Linear maps. */
import { empty } from '../ops.gen';
import type { Tensor } from '../tensor';
import { bilinear, linear } from './functional/linear';
import { calculateFanInAndFanOut, kaimingUniform_, uniform_ } from './init';
import { Module } from './module';
import { bool, type FactoryOptions, factory, readOptions, requiredInt } from './options';
import { Parameter } from './parameter';

/** Returns its input, whatever the arguments it is made with. */
export class Identity extends Module {
  constructor(..._args: unknown[]) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return input;
  }
}

export interface LinearOptions extends FactoryOptions {
  /** Add a learned bias. Default true. */
  readonly bias?: boolean | undefined;
}

const spec = { bias: bool(true), ...factory };

/**
 * y = x A^T + b. Input [..., inFeatures], output [..., outFeatures]; weight [outFeatures,
 * inFeatures] and bias start as U(-1/sqrt(inFeatures), 1/sqrt(inFeatures)).
 */
export class Linear extends Module {
  readonly inFeatures: number;
  readonly outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    const name = new.target.name;
    const { bias, dtype, device } = readOptions(name, spec, options);
    this.inFeatures = requiredInt()(name, 'inFeatures', inFeatures);
    this.outFeatures = requiredInt()(name, 'outFeatures', outFeatures);
    this.weight = new Parameter(empty([outFeatures, inFeatures], { dtype, device }));
    this.bias = bias ? new Parameter(empty([outFeatures], { dtype, device })) : null;
    this.resetParameters();
  }

  /** Draws new initial values. */
  resetParameters(): void {
    kaimingUniform_(this.weight, { a: Math.sqrt(5) });
    if (this.bias === null) return;
    const { fanIn } = calculateFanInAndFanOut(this.weight);
    const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
    uniform_(this.bias, -bound, bound);
  }

  override forward(input: Tensor): Tensor {
    return linear(input, this.weight, this.bias);
  }

  override extraRepr(): string {
    const { inFeatures, outFeatures } = this;
    return `inFeatures=${inFeatures}, outFeatures=${outFeatures}, bias=${this.bias !== null}`;
  }
}

/** y_k = x1^T A_k x2 + b_k with weight [outFeatures, in1Features, in2Features]. */
export class Bilinear extends Module {
  readonly in1Features: number;
  readonly in2Features: number;
  readonly outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(
    in1Features: number,
    in2Features: number,
    outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    const name = new.target.name;
    const { bias, dtype, device } = readOptions(name, spec, options);
    this.in1Features = requiredInt(1)(name, 'in1Features', in1Features);
    this.in2Features = requiredInt()(name, 'in2Features', in2Features);
    this.outFeatures = requiredInt()(name, 'outFeatures', outFeatures);
    const size = [outFeatures, in1Features, in2Features];
    this.weight = new Parameter(empty(size, { dtype, device }));
    this.bias = bias ? new Parameter(empty([outFeatures], { dtype, device })) : null;
    this.resetParameters();
  }

  resetParameters(): void {
    const bound = 1 / Math.sqrt(this.in1Features);
    uniform_(this.weight, -bound, bound);
    if (this.bias !== null) uniform_(this.bias, -bound, bound);
  }

  override forward(input1: Tensor, input2: Tensor): Tensor {
    return bilinear(input1, input2, this.weight, this.bias);
  }

  override extraRepr(): string {
    return (
      `in1Features=${this.in1Features}, in2Features=${this.in2Features}, ` +
      `outFeatures=${this.outFeatures}, bias=${this.bias !== null}`
    );
  }
}
