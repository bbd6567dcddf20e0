/** Changes of tone that RandAugment chooses among: sharpness, fewer levels, contrast by histogram. */
import '../../functions/convert';

import { isFloatingDType } from '../../dtype';
import { makeError } from '../../errors';
import { tensor } from '../../functions/creation';
import {
  bitwiseAnd,
  cat,
  conv2d,
  cumsum,
  div,
  gather,
  ones,
  scatterAdd,
  where,
  zeros,
} from '../../ops.gen';
import { type Tensor } from '../../tensor';
import { floatOf, inverted } from './color';
import { sizeOf, window } from './geometry';

const boundOf = (planes: Tensor): number => (isFloatingDType(planes.dtype) ? 1 : 255);

/** Planes one by one: [n, height, width]. */
function flat(planes: Tensor): Tensor {
  return planes.reshape([-1, ...sizeOf(planes)]);
}

/** A blend of an image and its 3 x 3 mean; the rim stays. Factor 1 changes nothing. */
export function sharpness(planes: Tensor, factor: number): Tensor {
  const [height, width] = sizeOf(planes);
  if (height <= 2 || width <= 2) return planes;
  const x = floatOf(planes);
  const [near, middle] = [1 / 13, 5 / 13];
  const row = [near, near, near];
  const kernel = tensor([[[row, [near, middle, near], row]]], { dtype: x.dtype, device: x.device });
  let blurred = conv2d(flat(x).unsqueeze(1), kernel).view([
    ...planes.shape.slice(0, -2),
    height - 2,
    width - 2,
  ]);
  if (!isFloatingDType(planes.dtype)) blurred = blurred.round();
  const inner = window(x, 1, 1, height - 2, width - 2);
  const mixed = inner.add(blurred.sub(inner), { alpha: 1 - factor }).clamp(0, boundOf(planes));
  const out = planes.clone();
  window(out, 1, 1, height - 2, width - 2).copy_(mixed.to(planes.dtype));
  return out;
}

/** Keeps the upper bits. */
export function posterize(planes: Tensor, bits: number): Tensor {
  if (!isFloatingDType(planes.dtype)) return bitwiseAnd(planes, 256 - 2 ** (8 - bits));
  const levels = 2 ** bits;
  return planes
    .mul(levels)
    .floor()
    .clamp(0, levels - 1)
    .mul(1 / levels);
}

/** Inverts what is at least `threshold`. */
export function solarize(planes: Tensor, threshold: number): Tensor {
  return where(planes.ge(threshold), inverted(planes), planes);
}

/** Stretches every plane to the whole range. */
export function autoContrast(planes: Tensor): Tensor {
  const bound = boundOf(planes);
  const x = floatOf(planes);
  const [low, high] = [x.amin([-2, -1], true), x.amax([-2, -1], true)];
  const isPlain = low.eq(high);
  const factor = where(
    isPlain,
    1,
    tensor(bound, { dtype: x.dtype, device: x.device }).div(high.sub(low)),
  );
  return x
    .sub(where(isPlain, 0, low))
    .mul(factor)
    .clamp(0, bound)
    .to(planes.dtype);
}

const byteLevels = 256;

/** Spreads the levels of every plane so that all are equally frequent. */
export function equalize(planes: Tensor): Tensor {
  if (isFloatingDType(planes.dtype)) {
    const bytes = planes.mul(byteLevels - 1e-3).to('uint8');
    return equalize(bytes).to(planes.dtype).div(255);
  }
  if (planes.dtype !== 'uint8') {
    throw makeError('ERR_DTYPE', `equalize: input must be uint8 or floating, got ${planes.dtype}`);
  }
  const { device } = planes;
  const pixels = flat(planes).flatten(1).to('int64');
  const [n, size] = pixels.shape as [number, number];
  if (n === 0) return planes;
  const one = ones([n, size], { dtype: 'int64', device });
  const counts = scatterAdd(zeros([n, byteLevels], { dtype: 'int64', device }), 1, pixels, one);
  // The brightest level is not counted: it stays where it is.
  const brightest = gather(counts, 1, pixels.amax(1, true));
  const step = div(brightest.neg().add(size), 255, { roundingMode: 'floor' });
  const divisor = step.clamp(1);
  const half = div(step, 2, { roundingMode: 'floor' });
  const levels = div(cumsum(counts, 1).add(half), divisor, { roundingMode: 'floor' });
  const table = cat([zeros([n, 1], { dtype: 'int64', device }), levels.narrow(1, 0, 255)], 1);
  const spread = gather(table.clamp(0, 255), 1, pixels);
  return where(step.eq(0), pixels, spread).to('uint8').view(planes.shape);
}
