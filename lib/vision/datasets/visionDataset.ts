/** What datasets of images share: transforms, and batches without a loop over samples. */
import { type Collated } from '../../data/collate';
import { Dataset } from '../../data/dataset';
import { type Indices } from '../../data/gather';
import { checkIndex, describe } from '../../data/options';
import { type WorkerRecipe } from '../../data/workers/protocol';
import { makeError } from '../../errors';
import { fromBuffer } from '../../functions/creation';
import { keep } from '../../memory';
import { native } from '../../native';
import { handleOf, type Tensor, wrapTensor } from '../../tensor';
import { Image } from '../image';
import { sendableTransform } from '../recipes';
import { type ByteTable, byteTable } from './byteTable';
import {
  applyTransform,
  checkTransform,
  isBatched,
  PixelBatch,
  type Transform,
  type TransformLike,
} from '../transforms/transform';

export interface VisionOptions<X, Y> {
  /** Makes what the dataset delivers of an Image. Default: the Image itself. */
  readonly transform?: TransformLike<never, X> | undefined;
  /** Makes what the dataset delivers of a class number. Default: the number. */
  readonly targetTransform?: ((target: number) => Y) | undefined;
}

/** Pixels and labels in memory. */
export interface InMemory {
  /** uint8, [n, height, width, channels], row-major. */
  readonly pixels: Uint8Array;
  readonly size: readonly [height: number, width: number, channels: number];
  readonly labels: BigInt64Array;
}

/** Labelled images of one size, held in memory as bytes. */
export abstract class InMemoryImages<X = Tensor, Y = number> extends Dataset<[X, Y]> {
  readonly transform: TransformLike<never, X> | undefined;
  readonly targetTransform: ((target: number) => Y) | undefined;
  /** int64 class numbers, shape [n]. */
  readonly targets: Tensor;
  /** Names of the classes. */
  abstract readonly classes: readonly string[];
  readonly #memory: InMemory;
  readonly #pixels: Tensor;
  /** Of the transform; null where it has none. */
  #table: ByteTable | null | undefined;
  #indices = new Int32Array(0);
  #scratch: { bytes: Uint8Array; tensor: Tensor } | undefined;

  protected constructor(memory: InMemory, options: VisionOptions<X, Y>) {
    super();
    this.#memory = memory;
    this.transform = options.transform;
    this.targetTransform = options.targetTransform;
    this.targets = fromBuffer(memory.labels);
    const { size, labels, pixels } = memory;
    this.#pixels = keep(fromBuffer(pixels, { shape: [labels.length, ...size] }));
    keep(this.targets);
  }

  get length(): number {
    return this.#memory.labels.length;
  }

  /** Number of each class by its name. */
  get classToIdx(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.classes.map((name, i) => [name, i]));
  }

  #pixelsOf(i: number): Tensor {
    const { pixels, size } = this.#memory;
    const n = size[0] * size[1] * size[2];
    // A copy, so that nothing done to a sample changes the dataset.
    return fromBuffer(pixels.slice(i * n, (i + 1) * n), { shape: size });
  }

  getItem(index: number): [X, Y] {
    const i = checkIndex(`${this.constructor.name}.getItem`, index, this.length);
    const image = new Image(this.#pixelsOf(i));
    const { transform, targetTransform } = this;
    const label = Number(this.#memory.labels[i]);
    return [
      (transform === undefined ? image : applyTransform(transform, image)) as X,
      (targetTransform === undefined ? label : targetTransform(label)) as Y,
    ];
  }

  /** Memory for the pixels of a batch on their way to the transform; kept for the next batch. */
  #scratchOf(count: number): { bytes: Uint8Array; tensor: Tensor } {
    if (this.#scratch?.tensor.shape[0] !== count) {
      const { size } = this.#memory;
      const bytes = new Uint8Array(count * size[0] * size[1] * size[2]);
      this.#scratch = { bytes, tensor: keep(fromBuffer(bytes, { shape: [count, ...size] })) };
    }
    return this.#scratch as { bytes: Uint8Array; tensor: Tensor };
  }

  /** The indices of a batch, counted from 0, in memory that is kept for the next batch. */
  #checked(indices: Indices): Int32Array {
    const count = indices.length;
    if (this.#indices.length !== count) this.#indices = new Int32Array(count);
    const out = this.#indices;
    const n = this.length;
    for (let k = 0; k < count; ++k) {
      const i = indices[k] as number;
      out[k] =
        Number.isInteger(i) && i >= 0 && i < n
          ? i
          : checkIndex(`${this.constructor.name}.getBatch`, i, n);
    }
    return out;
  }

  override getBatch(indices: Indices): Collated<[X, Y]> | undefined {
    const { transform } = this;
    if (transform === undefined || this.targetTransform !== undefined || !isBatched(transform)) {
      return undefined;
    }
    const chosen = this.#checked(indices);
    if (this.#table === undefined) {
      this.#table = byteTable(transform, this.#memory.size[2]) ?? null;
    }
    if (this.#table !== null) {
      const { values, affine } = this.#table;
      const [images, targets] = native.gatherImages(
        handleOf(this.#pixels),
        handleOf(this.targets),
        chosen,
        handleOf(values),
        affine === undefined ? null : handleOf(affine),
      );
      return [wrapTensor(images), wrapTensor(targets)] as unknown as Collated<[X, Y]>;
    }
    return this.#transformed(transform, chosen);
  }

  /** The batch of a transform that wants to see the images. */
  #transformed(transform: Transform<never>, chosen: Int32Array): Collated<[X, Y]> | undefined {
    const { pixels, size, labels } = this.#memory;
    const n = size[0] * size[1] * size[2];
    const scratch = this.#scratchOf(chosen.length);
    const targets = new BigInt64Array(chosen.length);
    chosen.forEach((i, k) => {
      scratch.bytes.set(pixels.subarray(i * n, (i + 1) * n), k * n);
      targets[k] = labels[i] as bigint;
    });
    const images = transform.callBatch(new PixelBatch(scratch.tensor));
    // Images cannot be collated: let the samples say so.
    if (images instanceof PixelBatch) return undefined;
    const own = images.sharesStorage(scratch.tensor) ? images.clone() : images;
    return [own, fromBuffer(targets)] as unknown as Collated<[X, Y]>;
  }
}

/** Reads `transform` and `targetTransform`. */
export function checkVisionOptions(where: string, options: VisionOptions<unknown, unknown>): void {
  if (options.transform !== undefined) checkTransform(where, 'transform', options.transform);
  const { targetTransform } = options;
  if (targetTransform !== undefined && typeof targetTransform !== 'function') {
    throw makeError(
      'ERR_TYPE',
      `${where}: 'targetTransform' must be a function, got ${describe(targetTransform)}`,
    );
  }
}

/**
 * The recipe of a dataset that is made by `new Class(...args, { ...options, transform })`; undefined if its
 * transforms cannot be sent or its class is not one of `known`.
 */
export function remake(
  dataset: InMemoryImages<unknown, unknown>,
  module: string,
  known: Readonly<Record<string, unknown>>,
  args: readonly unknown[],
  options: Readonly<Record<string, unknown>>,
): WorkerRecipe | undefined {
  const { name } = dataset.constructor;
  if (known[name] !== dataset.constructor || dataset.targetTransform !== undefined)
    return undefined;
  let all = options;
  if (dataset.transform !== undefined) {
    const transform = sendableTransform(dataset.transform);
    if (transform === undefined) return undefined;
    all = { ...options, transform };
  }
  return { module, export: name, construct: true, args: [...args, all] };
}
