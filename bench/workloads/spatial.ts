/** Convolutions, pooling and batch norm: the rest of section 7 of the workloads. */
import { type DType, nn, ones, type Tensor, zeros } from '../../lib';
import { currentDevice, uniform } from '../harness/data';
import { type Workload } from '../harness/runner';
import { passes } from './network';

const { functional: F } = nn;

interface ConvCase {
  readonly name: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly y: readonly number[];
  readonly dtype?: DType;
  readonly stride?: number;
  readonly padding: number;
  readonly groups?: number;
}

function conv(c: ConvCase): Workload[] {
  const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
  const flop = 2 * count(c.y) * count(c.w.slice(1));
  const { dtype = 'float32', stride = 1, padding, groups = 1 } = c;
  return passes({
    name: `conv.${c.name}`,
    unit: 'GFLOP/s',
    forwardWork: flop,
    bothWork: 3 * flop,
    make: () => {
      const x = uniform(c.x, 1).to(dtype);
      const weight = uniform(c.w, 2, -0.1, 0.1).to(dtype);
      const bias = uniform([c.w[0] as number], 3).to(dtype);
      return {
        forward: () => F.conv2d(x, weight, { bias, stride, padding, groups }),
        leaves: [x, weight, bias],
        dy: () => uniform(c.y, 4).to(dtype),
      };
    },
  });
}

const image = [8, 64, 56, 56];
const square = { x: image, w: [64, 64, 3, 3], y: image, padding: 1 };

function pool(): Workload[] {
  const numel = 8 * 64 * (112 * 112 + 56 * 56);
  return passes({
    name: 'pool.max3x3s2.f32.8x64x112x112',
    unit: 'GB/s',
    forwardWork: 4 * numel,
    bothWork: 8 * numel,
    make: () => {
      const x = uniform([8, 64, 112, 112], 1);
      return {
        forward: () => F.maxPool2d(x, 3, { stride: 2, padding: 1 }) as Tensor,
        leaves: [x],
        dy: () => uniform(image, 2),
      };
    },
  });
}

function batchNorm(): Workload[] {
  const numel = 8 * 64 * 56 * 56;
  return passes({
    name: 'bn.f32.8x64x56x56',
    unit: 'GB/s',
    forwardWork: 8 * numel,
    bothWork: 20 * numel,
    make: () => {
      const x = uniform(image, 1);
      const weight = uniform([64], 2);
      const bias = uniform([64], 3);
      const mean = zeros([64], { device: currentDevice() });
      const variance = ones([64], { device: currentDevice() });
      return {
        forward: () =>
          F.batchNorm(x, mean, variance, {
            weight,
            bias,
            training: true,
            momentum: 0.1,
            eps: 1e-5,
          }),
        leaves: [x, weight, bias],
        dy: () => uniform(image, 4),
      };
    },
  });
}

export const spatial: readonly Workload[] = [
  ...conv({ name: 'f32.3x3.8x64x56x56', ...square }),
  ...conv({ name: 'bf16.3x3.8x64x56x56', ...square, dtype: 'bfloat16' }),
  ...conv({
    name: 'f32.7x7s2.32x3x224x224',
    x: [32, 3, 224, 224],
    w: [64, 3, 7, 7],
    y: [32, 64, 112, 112],
    stride: 2,
    padding: 3,
  }),
  ...conv({ name: 'f32.dw3x3.8x64x56x56', ...square, w: [64, 1, 3, 3], groups: 64 }),
  ...pool(),
  ...batchNorm(),
];
