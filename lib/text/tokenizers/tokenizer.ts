/** What all tokenizers share: batches with padding, truncation and masks. */
import { makeError } from '../../errors';
import { tensor } from '../../functions/creation';
import { bool, type Check, choice, optionalInt, readOptions, show } from '../../nn/options';
import { Tensor } from '../../tensor';

export interface EncodeOptions {
  /** A second text, encoded behind the first. */
  readonly textPair?: string | undefined;
  /** Add tokens such as [CLS] and [SEP]. Default true. */
  readonly addSpecialTokens?: boolean | undefined;
  /** Cut what is longer, at the end of the longer text. Default not. */
  readonly maxLength?: number | null | undefined;
}

export interface Encoding {
  readonly ids: number[];
  /** 1 for tokens, 0 for padding. */
  readonly attentionMask: number[];
  /** Of which of two texts a token is. */
  readonly tokenTypeIds: number[];
}

export interface BatchOptions extends Omit<EncodeOptions, 'textPair'> {
  /** Second texts, one for each. */
  readonly textPairs?: readonly string[] | undefined;
  /** 'longest' (default): to the longest text; 'maxLength': to maxLength; false: all are equal. */
  readonly padding?: 'longest' | 'maxLength' | false | undefined;
  /** Default the tokenizer's: 'left' for generation. */
  readonly paddingSide?: 'left' | 'right' | undefined;
}

export interface BatchEncoding {
  /** int64 [batch, length]. */
  readonly inputIds: Tensor;
  /** int64 [batch, length]: 1 for tokens, 0 for padding. */
  readonly attentionMask: Tensor;
  /** int64 [batch, length]. */
  readonly tokenTypeIds: Tensor;
}

export interface DecodeOptions {
  /** Leave out tokens such as [CLS] and padding. Default false. */
  readonly skipSpecialTokens?: boolean | undefined;
}

const padding: Check<'longest' | 'maxLength' | false> = (where, name, value) =>
  value === false ? false : choice(['longest', 'maxLength'], 'longest')(where, name, value);

/** Token ids of a text and what stands around them. */
export interface Parts {
  /** Tokens of the text, and of the second one. */
  readonly texts: readonly (readonly number[])[];
  /** Special tokens before the first, between, and after the last text. */
  readonly around: readonly (readonly number[])[];
}

/** Token ids as numbers, from an array, a tensor of one dimension, or one id. */
export function idList(where: string, ids: unknown): number[] {
  if (ids instanceof Tensor) {
    if (ids.ndim > 1 || ids.isFloatingPoint()) {
      throw makeError(
        'ERR_SHAPE',
        `${where}: argument 'ids' must be integers of one dimension, got ${ids.dtype} of shape ` +
          `[${ids.shape.join(', ')}]`,
      );
    }
    return Array.from(ids.dataSync() as Iterable<number | bigint>, Number);
  }
  const list = typeof ids === 'number' ? [ids] : ids;
  if (Array.isArray(list) || ArrayBuffer.isView(list)) {
    const numbers = Array.from(list as Iterable<number | bigint>, Number);
    if (numbers.every((id) => Number.isSafeInteger(id) && id >= 0)) return numbers;
  }
  throw makeError('ERR_TYPE', `${where}: argument 'ids' must be token ids, got ${show(ids)}`);
}

export function checkText(where: string, name: string, text: unknown): asserts text is string {
  if (typeof text === 'string') return;
  throw makeError('ERR_TYPE', `${where}: argument '${name}' must be a string, got ${show(text)}`);
}

/**
 * How much of each text is kept in `room` tokens: of two, the longer loses first, then both keep
 * half, as transformers does by 'longest_first'.
 */
function keptLengths(lengths: readonly number[], room: number): number[] {
  const [first = 0, second = 0] = lengths;
  if (lengths.length === 1) return [Math.min(first, room)];
  const short = Math.min(first, second);
  const long = Math.max(short, room - short);
  const half = Math.floor(room / 2);
  const [kept, rest] = short + long > room ? [half, room - half] : [short, long];
  return first > second ? [rest, kept] : [kept, rest];
}

/** Turns texts into token ids and back. */
export abstract class Tokenizer {
  /** Number of tokens: the size of the model's table. */
  abstract readonly vocabSize: number;
  /** What fills up short texts of a batch; null where there is no such token. */
  abstract padTokenId: number | null;
  /** Where padding goes. Default 'right'. */
  paddingSide: 'left' | 'right' = 'right';

  /** @internal Tokens of one or two texts. */
  protected abstract parts(texts: readonly string[], special: boolean): Parts;

  /** The text of token ids. */
  abstract decode(ids: readonly number[] | Tensor, options?: DecodeOptions): string;

  /** The id of a token, or undefined. */
  abstract tokenToId(token: string): number | undefined;

  /** The token with an id, or undefined. */
  abstract idToToken(id: number): string | undefined;

  /** Token ids of a text. */
  encode(text: string, options: EncodeOptions = {}): Encoding {
    const name = `${this.constructor.name}.encode`;
    const { textPair, ...rest } = options;
    const read = readOptions(
      name,
      { addSpecialTokens: bool(true), maxLength: optionalInt(null, 1) },
      rest,
    );
    checkText(name, 'text', text);
    if (textPair !== undefined) checkText(name, 'textPair', textPair);
    const texts = textPair === undefined ? [text] : [text, textPair];
    const parts = this.parts(texts, read.addSpecialTokens);
    const extra = parts.around.reduce((sum, ids) => sum + ids.length, 0);
    const lengths = parts.texts.map((t) => t.length);
    const whole = lengths.reduce((sum, n) => sum + n, extra);
    const { maxLength } = read;
    if (maxLength !== null && maxLength < extra) {
      throw makeError(
        'ERR_VALUE',
        `${name}: argument 'maxLength' must leave room for ${extra} special tokens, got ${maxLength}`,
      );
    }
    const sizes =
      maxLength !== null && whole > maxLength ? keptLengths(lengths, maxLength - extra) : lengths;
    const ids = [...(parts.around[0] ?? [])];
    const tokenTypeIds = ids.map(() => 0);
    parts.texts.forEach((t, i) => {
      for (const id of t.slice(0, sizes[i])) ids.push(id);
      for (const id of parts.around[i + 1] ?? []) ids.push(id);
      while (tokenTypeIds.length < ids.length) tokenTypeIds.push(i);
    });
    return { ids, attentionMask: ids.map(() => 1), tokenTypeIds };
  }

  /**
   * Token ids of several texts as tensors [batch, length].
   * @throws TensorError ERR_SHAPE for texts of several lengths without padding.
   */
  encodeBatch(texts: readonly string[], options: BatchOptions = {}): BatchEncoding {
    const name = `${this.constructor.name}.encodeBatch`;
    const { textPairs, addSpecialTokens, maxLength, ...rest } = options;
    const read = readOptions(
      name,
      { padding, paddingSide: choice(['left', 'right'], this.paddingSide) },
      rest,
    );
    if (!Array.isArray(texts) || texts.length === 0) {
      throw makeError('ERR_TYPE', `${name}: argument 'texts' must be an array of texts`);
    }
    if (textPairs !== undefined && textPairs.length !== texts.length) {
      throw makeError(
        'ERR_VALUE',
        `${name}: argument 'textPairs' must have ${texts.length} texts, got ${textPairs.length}`,
      );
    }
    const rows = (texts as readonly string[]).map((text, i) =>
      this.encode(text, { textPair: textPairs?.[i], addSpecialTokens, maxLength }),
    );
    const longest = rows.reduce((most, row) => Math.max(most, row.ids.length), 0);
    const length = read.padding === 'maxLength' ? (maxLength ?? longest) : longest;
    if (read.padding !== false && rows.some((row) => row.ids.length < length)) {
      if (this.padTokenId === null) {
        throw makeError('ERR_VALUE', `${name}: the tokenizer has no padding token: set padTokenId`);
      }
    }
    const fill = (values: readonly number[], value: number): number[] => {
      if (read.padding === false) return [...values];
      const more = Array.from({ length: length - values.length }, () => value);
      return read.paddingSide === 'left' ? [...more, ...values] : [...values, ...more];
    };
    const make = (pick: (row: Encoding) => number[], value: number): Tensor =>
      tensor(
        rows.map((row) => fill(pick(row), value)),
        { dtype: 'int64' },
      );
    return {
      inputIds: make((row) => row.ids, this.padTokenId ?? 0),
      attentionMask: make((row) => row.attentionMask, 0),
      tokenTypeIds: make((row) => row.tokenTypeIds, 0),
    };
  }

  /** The texts of a batch of token ids. */
  decodeBatch(ids: Tensor | readonly (readonly number[])[], options: DecodeOptions = {}): string[] {
    const rows = ids instanceof Tensor ? ids.unbind(0) : ids;
    return rows.map((row) => this.decode(row, options));
  }
}
