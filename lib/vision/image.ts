/** Decoded images: what datasets of pictures deliver and transforms accept, like PIL's in Python. */
import { describe } from '../data/options';
import { makeError } from '../errors';
import { permute, unsqueeze } from '../ops.gen';
import { Tensor } from '../tensor';

/** Grey, grey with alpha, colour, colour with alpha. */
export type ImageMode = 'L' | 'LA' | 'RGB' | 'RGBA';

const modes: readonly (ImageMode | undefined)[] = [undefined, 'L', 'LA', 'RGB', 'RGBA'];

/** Pixels of 8 bits, row by row from the top, channels last. */
export class Image {
  /** uint8, shape [height, width, channels]. */
  readonly pixels: Tensor;

  /** @param pixels a uint8 tensor of shape [height, width] or [height, width, 1 to 4]. */
  constructor(pixels: Tensor) {
    if (!(pixels instanceof Tensor)) {
      throw makeError('ERR_TYPE', `Image: expected a Tensor, got ${describe(pixels)}`);
    }
    if (pixels.dtype !== 'uint8') {
      throw makeError('ERR_DTYPE', `Image: pixels must be uint8, got ${pixels.dtype}`);
    }
    const whole = pixels.ndim === 2 ? unsqueeze(pixels, 2) : pixels;
    if (whole.ndim !== 3 || modes[whole.shape[2] as number] === undefined) {
      throw makeError(
        'ERR_SHAPE',
        'Image: pixels must have shape [height, width] or [height, width, 1 to 4], ' +
          `got [${pixels.shape.join(', ')}]`,
      );
    }
    this.pixels = whole;
  }

  get height(): number {
    return this.pixels.shape[0] as number;
  }

  get width(): number {
    return this.pixels.shape[1] as number;
  }

  get channels(): number {
    return this.pixels.shape[2] as number;
  }

  get mode(): ImageMode {
    return modes[this.channels] as ImageMode;
  }

  /** A view of shape [channels, height, width]. */
  planes(): Tensor {
    return permute(this.pixels, [2, 0, 1]);
  }

  /** The image of planes of shape [channels, height, width]. */
  static fromPlanes(planes: Tensor): Image {
    return new Image(permute(planes, [1, 2, 0]));
  }

  toString(): string {
    return `Image(mode=${this.mode}, size=${String(this.width)}x${String(this.height)})`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}
