/** PyTorch's checkpoints (`torch.save`, ZIP format): read as data, executing nothing. */
import { checkInteger, checkKeys } from '../../data/options';
import { type DType, itemSize } from '../../dtype';
import { type CodedError } from '../../errors';
import { type Tensor } from '../../tensor';
import { swapBytes, tensorOver } from '../elements';
import { fileError, type Source, withSource } from '../io';
import { deflated } from '../zip/format';
import { ZipReader } from '../zip/reader';
import { allowedGlobals, elementsOf, StorageClass, StorageRef, type TorchStorage } from './globals';
import { Unpickler } from './unpickler';
import { Converter, PyTuple } from './values';

const kind = 'PyTorch checkpoint';
const maxPickle = 2 ** 26;
const defaultMaxBytes = 2 ** 32;

export interface LoadTorchOptions {
  /** Refuse files whose compressed entries unpack to more bytes together. Default 2^32. */
  readonly maxBytes?: number | undefined;
}

type Fail = (what: string) => CodedError;

/** Refuses formats that look like checkpoints but are not the one. */
function checkFormat(source: Source, fail: Fail): void {
  const head = Buffer.alloc(Math.min(16, source.size));
  source.read(head, 0);
  if (head.toString('latin1', 0, 2) === 'PK') return;
  // The magic number of torch.save before 1.6, as a pickle of protocol 2.
  if (head.toString('hex', 0, 14) === '80028a0a6cfc9c46f9206aa85019') {
    throw fail(
      'has the format of before PyTorch 1.6; save it again in Python: torch.save(torch.load(path), path)',
    );
  }
  throw fail('not a ZIP archive as torch.save writes it');
}

/** The folder of the archive that holds everything. */
function findRoot(zip: ZipReader, fail: Fail): string {
  const names = [...zip.entries.keys()];
  const pickles = names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) throw fail('has no data.pkl; it was not written by torch.save');
  const root = (pickles[0] as string).slice(0, -'data.pkl'.length);
  if (
    names.some((name) => name.startsWith(`${root}code/`)) ||
    zip.entries.has(`${root}constants.pkl`)
  ) {
    throw fail('is a TorchScript program, not a checkpoint; save its state_dict()');
  }
  return root;
}

class Storages {
  readonly #loaded = new Map<string, TorchStorage>();

  constructor(
    private readonly zip: ZipReader,
    private readonly root: string,
    private readonly bigEndian: boolean,
    private readonly fail: Fail,
  ) {}

  /** What a persistent id names: `('storage', class, key, location, elements)`. */
  readonly find = (id: unknown): StorageRef => {
    const items = id instanceof PyTuple ? id.items : [];
    const [word, type, key, , count] = items;
    const named = word === 'storage' && typeof key === 'string' && type instanceof StorageClass;
    if (!named || !Number.isSafeInteger(count) || (count as number) < 0) {
      throw this.fail('broken pickle: malformed persistent id');
    }
    const storage = this.#get(key);
    return new StorageRef(storage, type);
  };

  #get(key: string): TorchStorage {
    const found = this.#loaded.get(key);
    if (found !== undefined) return found;
    const entry = this.zip.entries.get(`${this.root}data/${key}`);
    if (entry === undefined) throw this.fail(`storage '${key.slice(0, 80)}' is missing`);
    const views = new Map<DType, Tensor>();
    let bytes: Uint8Array | undefined;
    const storage: TorchStorage = {
      key,
      as: (dtype) => {
        let view = views.get(dtype);
        if (view !== undefined) return view;
        const size = itemSize(dtype);
        const n = elementsOf(entry.size, dtype);
        bytes ??= this.zip.read(entry, Infinity);
        const own = bytes.subarray(0, n * size);
        if (this.bigEndian) this.#swap(key, own, size, [...views.keys()]);
        view = tensorOver(own, [n], dtype);
        views.set(dtype, view);
        return view;
      },
    };
    this.#loaded.set(key, storage);
    return storage;
  }

  #swap(key: string, bytes: Uint8Array, size: number, others: readonly DType[]): void {
    if (others.length === 0) swapBytes(bytes, size);
    else if (others.some((dtype) => itemSize(dtype) !== size)) {
      throw this.fail(`big-endian storage '${key}' is seen as elements of two sizes`);
    }
  }
}

function readSmall(zip: ZipReader, name: string, most: number): Buffer | undefined {
  const entry = zip.entries.get(name);
  return entry === undefined ? undefined : Buffer.from(zip.read(entry, most));
}

function loadSource(source: Source, maxBytes: number): unknown {
  const fail: Fail = (what) => fileError(kind, source.name, what);
  checkFormat(source, fail);
  const zip = new ZipReader(source);
  let total = 0;
  for (const { method, size } of zip.entries.values()) if (method === deflated) total += size;
  if (total > maxBytes) {
    throw fail(
      `unpacks to ${String(total)} bytes, more than the limit 'maxBytes' of ${String(maxBytes)}`,
    );
  }
  const root = findRoot(zip, fail);
  const order = readSmall(zip, `${root}byteorder`, 16)?.toString('latin1') ?? 'little';
  if (order !== 'little' && order !== 'big') throw fail(`unknown byte order '${order}'`);
  const storages = new Storages(zip, root, order === 'big', fail);
  const pickle = readSmall(zip, `${root}data.pkl`, maxPickle) as Buffer;
  const unpickler = new Unpickler(pickle, {
    fail,
    findGlobal: allowedGlobals(fail),
    persistentLoad: storages.find,
  });
  return new Converter(fail).convert(unpickler.run());
}

/**
 * Reads what `torch.save` wrote: tensors (also strided and sharing memory), parameters, dicts, lists,
 * tuples, strings, numbers, bytes, None. Dicts become objects, or Maps if a key is not a string;
 * tuples become arrays. Pickles are programs: this reader executes nothing and refuses every name
 * that is not on its list. Python: `torch.load(path, weights_only=True)`.
 *
 * @throws TensorError ERR_FILE for a broken or malicious file (the name it asks for is in the message),
 *   ERR_DTYPE for dtypes that this library lacks.
 */
export function loadTorch(from: string | Uint8Array, options: LoadTorchOptions = {}): unknown {
  checkKeys('loadTorch', options, ['maxBytes']);
  const maxBytes = checkInteger('loadTorch', 'maxBytes', options.maxBytes ?? defaultMaxBytes, 0);
  return withSource(kind, from, (source) => loadSource(source, maxBytes));
}
