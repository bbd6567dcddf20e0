/** The classes and functions that a checkpoint may name, and what they make. */
import { noGrad } from '../../autograd';
import { type DType, itemSize } from '../../dtype';
import { type CodedError, makeError } from '../../errors';
import { Parameter } from '../../nn/parameter';
import { Tensor } from '../../tensor';
import { PyDict, PyName, PyTuple } from './values';

/** Memory that tensors of a checkpoint look at. */
export interface TorchStorage {
  readonly key: string;
  /** Elements of this storage as a tensor of one dimension. */
  as(dtype: DType): Tensor;
}

/** The class of a storage; `dtype` null for bytes of any type, undefined for what this library lacks. */
export class StorageClass extends PyName {
  constructor(
    name: string,
    readonly dtype: DType | null | undefined,
  ) {
    super(name, {});
  }
}

/** A storage as it was named, with the dtype of its class. */
export class StorageRef {
  constructor(
    readonly storage: TorchStorage,
    readonly kind: StorageClass,
  ) {}
}

const storageDTypes: Readonly<Record<string, DType | null | undefined>> = {
  BoolStorage: 'bool',
  ByteStorage: 'uint8',
  CharStorage: 'int8',
  ShortStorage: 'int16',
  IntStorage: 'int32',
  LongStorage: 'int64',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
  UntypedStorage: null,
  ComplexFloatStorage: undefined,
  ComplexDoubleStorage: undefined,
  QInt8Storage: undefined,
  QUInt8Storage: undefined,
  QInt32Storage: undefined,
};

// Names of dtypes: those this library has under its own, others as PyTorch's text.
const dtypeNames: Readonly<Record<string, DType | undefined>> = {
  bool: 'bool',
  uint8: 'uint8',
  int8: 'int8',
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  float16: 'float16',
  bfloat16: 'bfloat16',
  float32: 'float32',
  float64: 'float64',
  uint16: undefined,
  uint32: undefined,
  uint64: undefined,
  complex32: undefined,
  complex64: undefined,
  complex128: undefined,
  float8_e4m3fn: undefined,
  float8_e4m3fnuz: undefined,
  float8_e5m2: undefined,
  float8_e5m2fnuz: undefined,
};

type Fail = (what: string) => CodedError;

function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}

const itemsOf = (value: unknown): unknown => (value instanceof PyTuple ? value.items : value);

function noHooks(fail: Fail, where: string, hooks: unknown): void {
  if (hooks === null || (hooks instanceof PyDict && hooks.map.size === 0)) return;
  throw fail(`${where}: backward hooks are not supported`);
}

/** The view of a storage that a tensor was, if it lies within. */
function rebuild(fail: Fail, where: string, args: readonly unknown[], dtype?: DType): Tensor {
  const [ref, offset, rawShape, rawStride, requiresGrad, hooks] = args;
  const shape = itemsOf(rawShape);
  const stride = itemsOf(rawStride);
  const ok =
    ref instanceof StorageRef &&
    Number.isSafeInteger(offset) &&
    (offset as number) >= 0 &&
    isIntegers(shape) &&
    isIntegers(stride) &&
    shape.length === stride.length &&
    shape.length <= 64;
  if (!ok) throw fail(`${where}: malformed arguments`);
  noHooks(fail, where, hooks ?? null);
  const type = dtype ?? ref.kind.dtype;
  if (type === undefined || type === null) {
    throw makeError(
      'ERR_DTYPE',
      fail(`a tensor of storage '${ref.storage.key}' has the class ${ref.kind.global}`).message,
    );
  }
  const base = ref.storage.as(type);
  const empty = shape.includes(0);
  const last = shape.reduce((sum, n, i) => sum + (n - 1) * (stride[i] as number), offset as number);
  if (!empty && !(last < base.numel())) {
    throw fail(
      `a tensor of shape [${shape.join(', ')}], strides [${stride.join(', ')}] and offset ` +
        `${String(offset)} does not fit in storage '${ref.storage.key}' of ${String(base.numel())} elements`,
    );
  }
  const start = empty ? 0 : (offset as number);
  const out = noGrad(() => base.asStrided(shape, stride, start));
  if (requiresGrad === true) out.requiresGrad = true;
  return out;
}

function tensorFunctions(fail: Fail): Record<string, (args: readonly unknown[]) => unknown> {
  const parameter = (args: readonly unknown[]): unknown => {
    const [t, requiresGrad, hooks] = args;
    if (!(t instanceof Tensor)) throw fail('_rebuild_parameter: malformed arguments');
    noHooks(fail, '_rebuild_parameter', hooks ?? null);
    return new Parameter(t, { requiresGrad: requiresGrad === true });
  };
  return {
    'torch._utils._rebuild_tensor': (args) => rebuild(fail, '_rebuild_tensor', args.slice(0, 4)),
    'torch._utils._rebuild_tensor_v2': (args) => rebuild(fail, '_rebuild_tensor_v2', args),
    'torch._utils._rebuild_tensor_v3': (args) => {
      const name = args[6] instanceof PyName ? String(args[6].value) : 'unknown';
      const dtype = Object.hasOwn(dtypeNames, name) ? dtypeNames[name] : undefined;
      if (dtype === undefined) {
        throw makeError('ERR_DTYPE', fail(`a tensor has dtype ${name}`).message);
      }
      return rebuild(fail, '_rebuild_tensor_v3', args, dtype);
    },
    'torch._utils._rebuild_parameter': parameter,
    'torch._utils._rebuild_parameter_with_state': parameter,
  };
}

// Calls copy: of one list, as often as a pickle likes. All copies together are bounded.
const maxCopied = 5_000_000;

type Charge = (elements: number) => void;

function budget(fail: Fail): Charge {
  let left = maxCopied;
  return (elements) => {
    left -= elements;
    if (left < 0) throw fail('its pickle copies too much');
  };
}

function dictOf(fail: Fail, charge: Charge, args: readonly unknown[]): PyDict {
  const out = new PyDict();
  if (args.length === 0) return out;
  const [first] = args;
  if (first instanceof PyDict) {
    charge(first.map.size);
    for (const [k, v] of first.map) out.map.set(k, v);
  } else if (Array.isArray(first)) {
    charge(first.length);
    for (const pair of first) {
      const items = itemsOf(pair);
      if (!Array.isArray(items) || items.length !== 2) throw fail('OrderedDict of no pairs');
      out.map.set(items[0], items[1]);
    }
  } else throw fail('OrderedDict: malformed arguments');
  return out;
}

function plainFunctions(fail: Fail): Record<string, (args: readonly unknown[]) => unknown> {
  const charge = budget(fail);
  const dict = (args: readonly unknown[]): PyDict => dictOf(fail, charge, args);
  const set = ([items = []]: readonly unknown[]): Set<unknown> => {
    if (Array.isArray(items)) {
      charge(items.length);
      return new Set(items);
    }
    throw fail('set: malformed arguments');
  };
  const bytes = ([first, encoding]: readonly unknown[]): Uint8Array => {
    if (first === undefined) return new Uint8Array();
    if (first instanceof Uint8Array) return first;
    // How protocol 2 stores bytes: as text of the same character codes.
    if (typeof first === 'string' && (encoding === 'latin1' || encoding === 'latin-1')) {
      charge(first.length / 16);
      return new Uint8Array(Buffer.from(first, 'latin1'));
    }
    throw fail('bytes: malformed arguments');
  };
  return {
    'collections.OrderedDict': dict,
    'collections.Counter': dict,
    'builtins.dict': dict,
    'builtins.set': set,
    '__builtin__.set': set,
    'builtins.frozenset': set,
    '__builtin__.frozenset': set,
    'builtins.bytearray': bytes,
    '__builtin__.bytearray': bytes,
    'builtins.bytes': bytes,
    '__builtin__.bytes': bytes,
    '_codecs.encode': bytes,
    'torch.Size': ([items]) => {
      const sizes = itemsOf(items);
      if (isIntegers(sizes)) return sizes;
      throw fail('torch.Size: malformed arguments');
    },
    'torch.device': ([type, index]) => {
      const known = typeof type === 'string' && /^[a-z]{1,16}(:\d{1,3})?$/.test(type);
      const plain = index === undefined || index === null;
      if (!known || !(plain || (Number.isSafeInteger(index) && (index as number) >= 0))) {
        throw fail('torch.device: malformed arguments');
      }
      return plain ? type : `${type}:${String(index)}`;
    },
    'torch.serialization._get_layout': ([name]) => {
      if (typeof name === 'string') return name;
      throw fail('_get_layout: malformed arguments');
    },
  };
}

/** The names that are allowed, for one file. */
export function allowedGlobals(fail: Fail): (name: string) => PyName | undefined {
  const table = new Map<string, PyName>();
  for (const [name, dtype] of Object.entries(storageDTypes)) {
    for (const module of ['torch', 'torch.storage']) {
      table.set(`${module}.${name}`, new StorageClass(`${module}.${name}`, dtype));
    }
  }
  for (const [name, own] of Object.entries(dtypeNames)) {
    table.set(`torch.${name}`, new PyName(`torch.${name}`, { value: own ?? name }));
  }
  const functions = { ...tensorFunctions(fail), ...plainFunctions(fail) };
  for (const [name, call] of Object.entries(functions)) {
    table.set(name, new PyName(name, { call }));
  }
  return (name) => table.get(name);
}

/** Elements of a storage of `bytes` bytes. */
export function elementsOf(bytes: number, dtype: DType): number {
  return Math.floor(bytes / itemSize(dtype));
}
