/** Rearrangement of channels and pixels. */
import { makeError } from '../../errors';
import type { Tensor } from '../../tensor';
import { requiredInt } from '../options';

function shapeError(name: string, expected: string, x: Tensor): Error {
  return makeError(
    'ERR_SHAPE',
    `${name}: expected ${expected}, got input of shape [${x.shape.join(', ')}]`,
  );
}

/** [..., C * r^2, H, W] -> [..., C, H * r, W * r]. Shi et al. 2016. */
export function pixelShuffle(input: Tensor, upscaleFactor: number): Tensor {
  const name = 'pixelShuffle';
  const r = requiredInt(1)(name, 'upscaleFactor', upscaleFactor);
  if (input.ndim < 3 || input.size(-3) % (r * r) !== 0) {
    throw shapeError(name, `[..., C * ${r * r}, H, W]`, input);
  }
  const lead = input.shape.slice(0, -3);
  const [c = 0, h = 0, w = 0] = input.shape.slice(-3);
  const n = lead.length;
  const order = [...lead.keys(), n, n + 3, n + 1, n + 4, n + 2];
  const channels = c / (r * r);
  return input
    .reshape([...lead, channels, r, r, h, w])
    .permute(order)
    .reshape([...lead, channels, h * r, w * r]);
}

/** The inverse: [..., C, H * r, W * r] -> [..., C * r^2, H, W]. */
export function pixelUnshuffle(input: Tensor, downscaleFactor: number): Tensor {
  const name = 'pixelUnshuffle';
  const r = requiredInt(1)(name, 'downscaleFactor', downscaleFactor);
  if (input.ndim < 3 || input.size(-1) % r !== 0 || input.size(-2) % r !== 0) {
    throw shapeError(name, `[..., C, H * ${r}, W * ${r}]`, input);
  }
  const lead = input.shape.slice(0, -3);
  const [c = 0, h = 0, w = 0] = input.shape.slice(-3);
  const n = lead.length;
  const order = [...lead.keys(), n, n + 2, n + 4, n + 1, n + 3];
  return input
    .reshape([...lead, c, h / r, r, w / r, r])
    .permute(order)
    .reshape([...lead, c * r * r, h / r, w / r]);
}

/** Interleaves `groups` groups of channels of [N, C, ...]. Zhang et al. 2018. */
export function channelShuffle(input: Tensor, groups: number): Tensor {
  const name = 'channelShuffle';
  requiredInt(1)(name, 'groups', groups);
  if (input.ndim < 3 || input.size(1) % groups !== 0) {
    throw shapeError(name, `[N, C, ...] with C divisible by ${groups}`, input);
  }
  return input
    .unflatten(1, [groups, input.size(1) / groups])
    .transpose(1, 2)
    .reshape(input.shape);
}
