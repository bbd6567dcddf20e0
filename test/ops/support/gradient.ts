/** Gradients against central differences, in float64, first and second order. */
import { grad, manualSeed, Tensor } from '../../../lib';
import { expectClose } from './compare';
import { Nd } from './nd';
import { Random } from './random';
import { build, inputsOf, make, mapArgs, mapOptions, run, toNd, type Layout } from './run';
import type { Input, Sample } from './sample';

const step = 1e-5;
/** Truncation of the difference quotient is of order step^2, its rounding of order 1e-16 / step. */
const tolerance = [1e-5, 1e-7] as const;

/** A function of tensors to a list of floating tensors. */
export type Fn = (inputs: readonly Tensor[]) => Tensor[];

/** The floating outputs of an op as a function of its differentiable inputs. */
export function opFunction(
  name: string,
  sample: Sample,
  layout: Layout = 'contiguous',
): { fn: Fn; inputs: readonly Input[] } {
  const inputs = inputsOf(sample).filter((i) => i.grad && i.dtype === undefined);
  const fn: Fn = (tensors) => {
    const to = (input: Input): Tensor => {
      const at = inputs.indexOf(input);
      return at < 0 ? build(input, 'float64', layout) : (tensors[at] as Tensor);
    };
    manualSeed(5);
    return run(name, mapArgs(sample, to), mapOptions(sample, to)).filter(
      (t): t is Tensor => t instanceof Tensor && t.isFloatingPoint(),
    );
  };
  return { fn, inputs };
}

export function cotangents(outputs: readonly Tensor[], seed: number): Tensor[] {
  const random = new Random(seed);
  return outputs.map((t) =>
    make(
      t.shape,
      Array.from({ length: t.numel() }, () => random.uniform(-1, 1)),
      t.dtype,
    ),
  );
}

function weightedSum(outputs: readonly Tensor[], weights: readonly Nd[]): number {
  let total = 0;
  outputs.forEach((t, k) => {
    const w = (weights[k] as Nd).data;
    toNd(t).data.forEach((v, i) => (total += v * (w[i] as number)));
  });
  return total;
}

/** d/dx of sum(fn(x) * weights) by central differences, for every element of every input. */
function numericGradient(fn: Fn, points: readonly Nd[], weights: readonly Nd[]): Nd[] {
  const at = (k: number, i: number, delta: number): number => {
    const tensors = points.map((p, j) => {
      const data = j === k ? p.data.map((v, e) => (e === i ? v + delta : v)) : p.data;
      return make(p.shape, data, 'float64');
    });
    return weightedSum(fn(tensors), weights);
  };
  return points.map(
    (p, k) =>
      new Nd(
        p.shape,
        p.data.map((_, i) => (at(k, i, step) - at(k, i, -step)) / (2 * step)),
      ),
  );
}

function leavesOf(points: readonly Nd[]): Tensor[] {
  return points.map((p) => make(p.shape, p.data, 'float64').requiresGrad_());
}

/** Gradients by the engine; zeros where nothing flows. */
function engineGradient(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  weights: readonly Tensor[],
  createGraph = false,
): Tensor[] {
  const live = outputs.map((t, i) => i).filter((i) => (outputs[i] as Tensor).requiresGrad);
  if (live.length === 0)
    return inputs.map((t) =>
      make(
        t.shape,
        toNd(t).data.map(() => 0),
        'float64',
      ),
    );
  const gradients = grad(
    live.map((i) => outputs[i] as Tensor),
    inputs,
    { gradOutputs: live.map((i) => weights[i] as Tensor), allowUnused: true, createGraph },
  );
  return gradients.map((g, i) => {
    const input = inputs[i] as Tensor;
    return (
      g ??
      make(
        input.shape,
        toNd(input).data.map(() => 0),
        'float64',
      )
    );
  });
}

function compareGradients(actual: readonly Tensor[], expected: readonly Nd[], what: string): void {
  actual.forEach((g, i) => {
    expect(g.dtype).toBe('float64');
    const scale = Math.max(1, ...(expected[i] as Nd).data.map(Math.abs).filter(Number.isFinite));
    const [rtol, atol] = tolerance;
    expectClose(toNd(g), expected[i] as Nd, [rtol, atol * scale], `${what}, input ${String(i)}`);
  });
}

export function checkFirstOrder(fn: Fn, points: readonly Nd[], what: string): void {
  const leaves = leavesOf(points);
  const outputs = fn(leaves);
  const weights = cotangents(outputs, 17);
  const numeric = numericGradient(fn, points, weights.map(toNd));
  compareGradients(engineGradient(outputs, leaves, weights), numeric, `gradient of ${what}`);
}

/** The gradient, as a function of the inputs and of the cotangents, has the right gradient. */
export function checkSecondOrder(fn: Fn, points: readonly Nd[], what: string): void {
  const first = fn(leavesOf(points));
  const weights = cotangents(first, 23).map(toNd);
  const gradient =
    (createGraph: boolean): Fn =>
    (all) => {
      const given = all.slice(0, points.length);
      const inputs = createGraph ? given : given.map((t) => t.detach().requiresGrad_());
      return engineGradient(fn(inputs), inputs, all.slice(points.length), createGraph);
    };
  const everything = [...points, ...weights];
  const leaves = leavesOf(everything);
  const outputs = gradient(true)(leaves);
  const second = cotangents(outputs, 29);
  const numeric = numericGradient(gradient(false), everything, second.map(toNd));
  compareGradients(engineGradient(outputs, leaves, second), numeric, `second gradient of ${what}`);
}
