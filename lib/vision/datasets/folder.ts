/** Images in folders, one folder a class. Decoding is left to `sharp`, or to a function of the user. */
import { type Dirent, readdirSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';

import { Dataset } from '../../data/dataset';
import { type Indices } from '../../data/gather';
import { checkFunction, checkIndex, checkKeys, describe } from '../../data/options';
import { type WorkerRecipe } from '../../data/workers/protocol';
import { makeError } from '../../errors';
import { fromBuffer } from '../../functions/creation';
import { type Tensor } from '../../tensor';
import { Image } from '../image';
import { sendableTransform } from '../recipes';
import { getRngState, setRngState } from '../../random';
import { applyTransform, type TransformLike } from '../transforms/transform';
import { checkVisionOptions, type VisionOptions } from './visionDataset';

export const imageExtensions = ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif'];

/** What is used of sharp. */
interface SharpImage {
  toColourspace(space: string): SharpImage;
  removeAlpha(): SharpImage;
  raw(): SharpImage;
  toBuffer(options: { resolveWithObject: true }): Promise<{
    data: Uint8Array;
    info: { width: number; height: number; channels: number };
  }>;
}
type Sharp = (path: string) => SharpImage;

let sharp: Sharp | undefined;

/** sharp is an optional peer: asked for only when a picture is to be decoded. */
function loadSharp(): Sharp {
  if (sharp === undefined) {
    try {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- only where it is installed
      sharp = require('sharp') as Sharp;
    } catch (cause) {
      const error = makeError(
        'ERR_NOT_IMPLEMENTED',
        "loadImage: decoding pictures needs the package 'sharp', which is not installed: " +
          "run 'npm install sharp', or pass a 'loader' of your own",
      );
      error.cause = cause;
      throw error;
    }
  }
  return sharp;
}

/** Decodes a picture file to RGB. Needs the optional package `sharp`. */
export async function loadImage(path: string): Promise<Image> {
  const decode = loadSharp();
  try {
    const image = decode(path).toColourspace('srgb').removeAlpha().raw();
    const { data, info } = await image.toBuffer({ resolveWithObject: true });
    const bytes = Uint8Array.from(data);
    return new Image(fromBuffer(bytes, { shape: [info.height, info.width, info.channels] }));
  } catch (cause) {
    const error = makeError('ERR_FILE', `loadImage: '${path}': ${(cause as Error).message}`);
    error.cause = cause;
    throw error;
  }
}

export interface ImageFolderOptions<X, Y> extends VisionOptions<X, Y> {
  /** Decodes a file. Default: {@link loadImage}. */
  readonly loader?: ((path: string) => Image | Promise<Image>) | undefined;
  /** File names that count. Default: `imageExtensions`. */
  readonly extensions?: readonly string[] | undefined;
  /** Chooses the files, instead of `extensions`. */
  readonly isValidFile?: ((path: string) => boolean) | undefined;
  /** Accept classes without files. Default false. */
  readonly allowEmpty?: boolean | undefined;
}

const optionNames = [
  'transform',
  'targetTransform',
  'loader',
  'extensions',
  'isValidFile',
  'allowEmpty',
];

function list(folder: string): Dirent[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw makeError('ERR_FILE', `ImageFolder: '${folder}' cannot be read (${code ?? 'unknown'})`);
  }
}

/** The files below a folder, in the order of their names. */
function filesBelow(folder: string, accept: (path: string) => boolean): string[] {
  return list(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path, accept);
    return accept(path) ? [path] : [];
  });
}

/**
 * Pictures from `root/<class>/.../<file>`: the classes are the sorted names of the folders. A sample is a
 * promise of `[image, label]`, so loaders are iterated with `for await`. PyTorch: `ImageFolder`.
 */
export class ImageFolder<X = Tensor, Y = number> extends Dataset<Promise<[X, Y]>> {
  readonly root: string;
  readonly classes: readonly string[];
  /** Path and class of every sample. */
  readonly samples: readonly (readonly [path: string, label: number])[];
  readonly transform: TransformLike<never, X> | undefined;
  readonly targetTransform: ((target: number) => Y) | undefined;
  readonly #loader: (path: string) => Image | Promise<Image>;
  readonly #options: ImageFolderOptions<X, Y>;

  constructor(root: string, options: ImageFolderOptions<X, Y> = {}) {
    super();
    const where = 'ImageFolder';
    if (typeof root !== 'string') {
      throw makeError(
        'ERR_TYPE',
        `${where}: root must be the path of a folder, got ${describe(root)}`,
      );
    }
    checkKeys(where, options, optionNames);
    checkVisionOptions(where, options);
    this.#options = options;
    this.#loader = checkFunction(where, 'loader', options.loader) ?? loadImage;
    const known = new Set((options.extensions ?? imageExtensions).map((e) => e.toLowerCase()));
    const accept =
      checkFunction(where, 'isValidFile', options.isValidFile) ??
      ((path: string) => known.has(extname(path).toLowerCase()));
    this.root = resolve(root);
    this.classes = list(this.root)
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
    if (this.classes.length === 0) {
      throw makeError('ERR_FILE', `${where}: '${root}' has no folders, which are the classes`);
    }
    this.samples = this.classes.flatMap((name, label) => {
      const files = filesBelow(join(this.root, name), accept);
      if (files.length === 0 && options.allowEmpty !== true) {
        throw makeError('ERR_FILE', `${where}: no pictures in '${join(root, name)}'`);
      }
      return files.map((path) => [path, label] as const);
    });
    this.transform = options.transform;
    this.targetTransform = options.targetTransform;
  }

  get length(): number {
    return this.samples.length;
  }

  /** Number of each class by its name. */
  get classToIdx(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.classes.map((name, i) => [name, i]));
  }

  #finish(image: Image, label: number): [X, Y] {
    const { transform, targetTransform } = this;
    return [
      (transform === undefined ? image : applyTransform(transform, image)) as X,
      (targetTransform === undefined ? label : targetTransform(label)) as Y,
    ];
  }

  async getItem(index: number): Promise<[X, Y]> {
    const i = checkIndex('ImageFolder.getItem', index, this.length);
    const [path, label] = this.samples[i] as readonly [string, number];
    return this.#finish(await this.#loader(path), label);
  }

  /** Decodes side by side, then transforms one after the other: random transforms keep their order. */
  override getItems(indices: Indices): Promise<[X, Y]>[] {
    const chosen = indices.map((index) => {
      const i = checkIndex('ImageFolder.getItems', index, this.length);
      return this.samples[i] as readonly [string, number];
    });
    // Whatever draws numbers while the files are read must not move the stream of this batch.
    const stream = getRngState();
    const images = Promise.all(chosen.map(async ([path]) => await this.#loader(path)));
    const done = images.then((all) => {
      setRngState(stream);
      return all.map((image, k) =>
        this.#finish(image, (chosen[k] as readonly [string, number])[1]),
      );
    });
    return chosen.map((_, k) => done.then((samples) => samples[k] as [X, Y]));
  }

  override workerRecipe(): WorkerRecipe | undefined {
    const { transform, targetTransform, loader, isValidFile, ...plain } = this.#options;
    const functions = [targetTransform, loader, isValidFile];
    const sent = transform === undefined ? undefined : sendableTransform(transform);
    const lost = transform !== undefined && sent === undefined;
    if (this.constructor !== ImageFolder || lost || functions.some((f) => f !== undefined)) {
      return undefined;
    }
    const options = sent === undefined ? plain : { ...plain, transform: sent };
    const args = [this.root, options];
    return { module: __filename, export: 'ImageFolder', construct: true, args };
  }
}
