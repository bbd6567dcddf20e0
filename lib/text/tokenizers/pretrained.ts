/**
 * Tokenizers of published models (byte-level BPE, WordPiece and others) from the files that come
 * with them. The work is done by the optional package `@huggingface/tokenizers`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeError } from '../../errors';
import { bool, readOptions } from '../../nn/options';
import type { Tensor } from '../../tensor';
import { type DecodeOptions, idList, type Parts, Tokenizer } from './tokenizer';

/** What is used of the library. */
interface Engine {
  encode(text: string, options: object): { readonly ids: number[] };
  decode(ids: number[], options: object): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(withAdded?: boolean): Map<string, number>;
}

type Library = { readonly Tokenizer: new (tokenizer: object, config: object) => Engine };

let library: Library | undefined;

/** The library is an optional peer: asked for only when a tokenizer is made. */
function loadLibrary(): Library {
  if (library === undefined) {
    try {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- only where it is installed
      library = require('@huggingface/tokenizers') as Library;
    } catch (cause) {
      const error = makeError(
        'ERR_NOT_IMPLEMENTED',
        "PretrainedTokenizer: needs the package '@huggingface/tokenizers', which is not " +
          "installed: run 'npm install @huggingface/tokenizers'",
      );
      error.cause = cause;
      throw error;
    }
  }
  return library;
}

type Json = Readonly<Record<string, unknown>>;

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw makeError('ERR_FILE', `PretrainedTokenizer: cannot read ${path}: ${String(error)}`);
  }
}

function readJson(path: string): Json {
  const text = readText(path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw makeError('ERR_FILE', `PretrainedTokenizer: ${path} is not JSON: ${String(error)}`);
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json;
  throw makeError('ERR_FILE', `PretrainedTokenizer: ${path} must hold an object`);
}

function special(id: number, content: string): Json {
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return { id, content, special: true, ...plain };
}

/** GPT-2's settings around a vocabulary and merges. */
function bpeSettings(vocab: Json, merges: readonly string[]): Json {
  const end = '<|endoftext|>';
  const id = vocab[end];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  return {
    version: '1.0',
    added_tokens: typeof id === 'number' ? [special(id, end)] : [],
    normalizer: null,
    pre_tokenizer: { ...byteLevel, use_regex: true },
    post_processor: { ...byteLevel, trim_offsets: false },
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      vocab,
      merges,
    },
  };
}

/** BERT's settings around a vocabulary. */
function wordPieceSettings(tokens: readonly string[], lowercase: boolean): Json {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const id = (token: string): number => {
    const found = vocab[token];
    if (found !== undefined) return found;
    throw makeError('ERR_FILE', `PretrainedTokenizer: vocab.txt has no token '${token}'`);
  };
  const names = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].filter((t) => t in vocab);
  const piece = (token: string, type: number): Json => ({
    SpecialToken: { id: token, type_id: type },
  });
  const text = (which: 'A' | 'B', type: number): Json => ({
    Sequence: { id: which, type_id: type },
  });
  const single = [piece('[CLS]', 0), text('A', 0), piece('[SEP]', 0)];
  const wrapped = (token: string): Json => ({ id: token, ids: [id(token)], tokens: [token] });
  return {
    version: '1.0',
    added_tokens: names.map((token) => special(id(token), token)),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single,
      pair: [...single, text('B', 1), piece('[SEP]', 1)],
      special_tokens: { '[CLS]': wrapped('[CLS]'), '[SEP]': wrapped('[SEP]') },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** Where `part` stands in `whole`, from `start`; -1 where it does not. */
function find(whole: readonly number[], part: readonly number[], start: number): number {
  for (let i = start; i + part.length <= whole.length; ++i) {
    if (part.every((id, j) => whole[i + j] === id)) return i;
  }
  return -1;
}

export interface WordPieceOptions {
  /** Lower-case the text and strip accents, as the uncased models do. Default true. */
  readonly lowercase?: boolean | undefined;
}

/**
 * A tokenizer from the files of a published model. Needs the optional package
 * `@huggingface/tokenizers`.
 *
 * @example
 * const tokenizer = PretrainedTokenizer.fromFolder('models/gpt2');
 * const { inputIds, attentionMask } = tokenizer.encodeBatch(['Call me Ishmael.']);
 */
export class PretrainedTokenizer extends Tokenizer {
  readonly vocabSize: number;
  padTokenId: number | null;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly unkTokenId: number | null;
  readonly clsTokenId: number | null;
  readonly sepTokenId: number | null;
  readonly maskTokenId: number | null;
  readonly #engine: Engine;

  /** @param settings the contents of tokenizer.json; @param config of tokenizer_config.json. */
  constructor(settings: Json, config: Json = {}) {
    super();
    const { Tokenizer: EngineClass } = loadLibrary();
    try {
      this.#engine = new EngineClass(settings, config);
    } catch (error) {
      throw makeError(
        'ERR_FILE',
        `PretrainedTokenizer: tokenizer.json is not valid: ${String(error)}`,
      );
    }
    let last = -1;
    for (const id of this.#engine.get_vocab(true).values()) last = Math.max(last, id);
    this.vocabSize = last + 1;
    const named = (key: string, ...guesses: string[]): number | null => {
      const entry = config[key] as string | { readonly content?: string } | null | undefined;
      const given = typeof entry === 'object' ? entry?.content : entry;
      for (const token of given === undefined ? guesses : [given]) {
        const id = this.#engine.token_to_id(token);
        if (id !== undefined) return id;
      }
      return null;
    };
    const end = '<|endoftext|>';
    this.padTokenId = named('pad_token', '[PAD]', '<pad>');
    this.bosTokenId = named('bos_token', end, '<s>');
    this.eosTokenId = named('eos_token', end, '</s>');
    this.unkTokenId = named('unk_token', '[UNK]', '<unk>', end);
    this.clsTokenId = named('cls_token', '[CLS]');
    this.sepTokenId = named('sep_token', '[SEP]');
    this.maskTokenId = named('mask_token', '[MASK]', '<mask>');
    if (config['padding_side'] === 'left') this.paddingSide = 'left';
  }

  /**
   * From a folder with tokenizer.json (and tokenizer_config.json), or vocab.json and merges.txt
   * (byte-level BPE, GPT-2), or vocab.txt (WordPiece, BERT).
   */
  static fromFolder(folder: string): PretrainedTokenizer {
    const file = (name: string): string => join(folder, name);
    const has = (name: string): boolean => existsSync(file(name));
    const config = has('tokenizer_config.json') ? readJson(file('tokenizer_config.json')) : {};
    if (has('tokenizer.json')) {
      return new PretrainedTokenizer(readJson(file('tokenizer.json')), config);
    }
    if (has('vocab.json') && has('merges.txt')) {
      return PretrainedTokenizer.fromBpe(file('vocab.json'), file('merges.txt'));
    }
    if (has('vocab.txt')) {
      const lowercase = config['do_lower_case'] !== false;
      return PretrainedTokenizer.fromWordPiece(file('vocab.txt'), { lowercase });
    }
    throw makeError(
      'ERR_FILE',
      `PretrainedTokenizer.fromFolder: ${folder} has neither tokenizer.json, nor vocab.json and ` +
        'merges.txt, nor vocab.txt',
    );
  }

  /** Byte-level BPE as GPT-2's, from vocab.json and merges.txt. */
  static fromBpe(vocabFile: string, mergesFile: string): PretrainedTokenizer {
    const merges = readText(mergesFile)
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('#version'));
    return new PretrainedTokenizer(bpeSettings(readJson(vocabFile), merges));
  }

  /** WordPiece as BERT's, from vocab.txt (one token a line) or a list of tokens. */
  static fromWordPiece(
    vocab: string | readonly string[],
    options: WordPieceOptions = {},
  ): PretrainedTokenizer {
    const { lowercase } = readOptions(
      'PretrainedTokenizer.fromWordPiece',
      { lowercase: bool(true) },
      options,
    );
    const lines = typeof vocab === 'string' ? readText(vocab).split(/\r?\n/) : [...vocab];
    while (lines.at(-1) === '') lines.pop();
    return new PretrainedTokenizer(wordPieceSettings(lines, lowercase));
  }

  tokenToId(token: string): number | undefined {
    return this.#engine.token_to_id(token);
  }

  idToToken(id: number): string | undefined {
    return this.#engine.id_to_token(id);
  }

  /** @internal The library adds special tokens by itself: they are what is not of the texts. */
  protected override parts(texts: readonly string[], wantsSpecial: boolean): Parts {
    const bare = texts.map((t) => this.#engine.encode(t, { add_special_tokens: false }).ids);
    if (!wantsSpecial) return { texts: bare, around: [] };
    const [text = '', pair] = texts;
    const whole = this.#engine.encode(text, {
      add_special_tokens: true,
      ...(pair === undefined ? {} : { text_pair: pair }),
    }).ids;
    const around: number[][] = [];
    let end = 0;
    for (const ids of bare) {
      const start = ids.length === 0 ? this.#emptyStart(whole, end) : find(whole, ids, end);
      if (start < 0) return { texts: [whole], around: [] };
      around.push(whole.slice(end, start));
      end = start + ids.length;
    }
    around.push(whole.slice(end));
    return { texts: bare, around };
  }

  /** An empty text stands behind the first special token, if there is one. */
  #emptyStart(whole: readonly number[], from: number): number {
    return Math.min(from + 1, whole.length);
  }

  override decode(ids: readonly number[] | Tensor, options: DecodeOptions = {}): string {
    const name = 'PretrainedTokenizer.decode';
    const { skipSpecialTokens } = readOptions(name, { skipSpecialTokens: bool(false) }, options);
    const list = idList(name, ids);
    const missing = list.find((id) => this.#engine.id_to_token(id) === undefined);
    if (missing !== undefined) {
      throw makeError(
        'ERR_RANGE',
        `${name}: no token ${missing} in a vocabulary of ${this.vocabSize}`,
      );
    }
    if (list.length === 0) return '';
    return this.#engine.decode(list, {
      skip_special_tokens: skipSpecialTokens,
      clean_up_tokenization_spaces: false,
    });
  }
}
