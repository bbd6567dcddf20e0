/** Layers that rearrange pixels and channels. */
import type { Tensor } from '../tensor';
import { channelShuffle, pixelShuffle, pixelUnshuffle } from './functional/shuffle';
import { Module } from './module';
import { requiredInt } from './options';

/** [..., C * r^2, H, W] -> [..., C, H * r, W * r] */
export class PixelShuffle extends Module {
  readonly upscaleFactor: number;

  constructor(upscaleFactor: number) {
    super();
    this.upscaleFactor = requiredInt(1)(new.target.name, 'upscaleFactor', upscaleFactor);
  }

  override forward(input: Tensor): Tensor {
    return pixelShuffle(input, this.upscaleFactor);
  }

  override extraRepr(): string {
    return `upscaleFactor=${this.upscaleFactor}`;
  }
}

/** [..., C, H * r, W * r] -> [..., C * r^2, H, W] */
export class PixelUnshuffle extends Module {
  readonly downscaleFactor: number;

  constructor(downscaleFactor: number) {
    super();
    this.downscaleFactor = requiredInt(1)(new.target.name, 'downscaleFactor', downscaleFactor);
  }

  override forward(input: Tensor): Tensor {
    return pixelUnshuffle(input, this.downscaleFactor);
  }

  override extraRepr(): string {
    return `downscaleFactor=${this.downscaleFactor}`;
  }
}

/** Interleaves groups of channels. */
export class ChannelShuffle extends Module {
  readonly groups: number;

  constructor(groups: number) {
    super();
    this.groups = requiredInt(1)(new.target.name, 'groups', groups);
  }

  override forward(input: Tensor): Tensor {
    return channelShuffle(input, this.groups);
  }

  override extraRepr(): string {
    return `groups=${this.groups}`;
  }
}
