/** Characters as tokens: enough for small experiments, and any text round-trips. */
import { makeError } from '../../errors';
import { bool, readOptions, show } from '../../nn/options';
import type { Tensor } from '../../tensor';
import { checkText, type DecodeOptions, idList, type Parts, Tokenizer } from './tokenizer';

export interface CharTokenizerOptions {
  /** Token for characters that are not in the vocabulary. Default none: they are an error. */
  readonly unkToken?: string | null | undefined;
  /** Token that fills up short texts. Default none. */
  readonly padToken?: string | null | undefined;
}

/** What {@link CharTokenizer.toJSON} writes. */
export interface CharTokenizerJson {
  readonly characters: string;
  readonly unkToken: string | null;
  readonly padToken: string | null;
}

/**
 * One token a character (Unicode code point), in the order of their codes; special tokens first.
 *
 * @example
 * const tokenizer = CharTokenizer.fromText(book);
 * const ids = tensor(tokenizer.encode(book).ids);
 */
export class CharTokenizer extends Tokenizer {
  readonly vocabSize: number;
  padTokenId: number | null;
  readonly unkTokenId: number | null;

  readonly #tokens: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #special: ReadonlySet<number>;
  readonly #json: CharTokenizerJson;

  /** @param characters every character of the vocabulary, in order. */
  constructor(characters: string, options: CharTokenizerOptions = {}) {
    super();
    const name = 'CharTokenizer';
    checkText(name, 'characters', characters);
    const token = (where: string, option: string, value: unknown): string | null => {
      if (value === undefined || value === null) return null;
      if (typeof value === 'string' && value !== '') return value;
      throw makeError(
        'ERR_TYPE',
        `${where}: argument '${option}' must be a token, got ${show(value)}`,
      );
    };
    const { unkToken, padToken } = readOptions(name, { unkToken: token, padToken: token }, options);
    const specials = [padToken, unkToken].filter((t): t is string => t !== null);
    this.#tokens = [...specials, ...new Set(characters)];
    this.#ids = new Map(this.#tokens.map((t, i) => [t, i]));
    if (this.#ids.size !== this.#tokens.length) {
      throw makeError('ERR_VALUE', `${name}: a special token is one of the characters`);
    }
    this.#special = new Set(specials.map((_, i) => i));
    this.vocabSize = this.#tokens.length;
    this.padTokenId = padToken === null ? null : 0;
    this.unkTokenId = unkToken === null ? null : (this.#ids.get(unkToken) ?? null);
    this.#json = { characters: [...new Set(characters)].join(''), unkToken, padToken };
  }

  /** The characters of a text, sorted by their codes. */
  static fromText(text: string, options: CharTokenizerOptions = {}): CharTokenizer {
    checkText('CharTokenizer.fromText', 'text', text);
    const characters = [...new Set(text)];
    characters.sort((a, b) => (a.codePointAt(0) as number) - (b.codePointAt(0) as number));
    return new CharTokenizer(characters.join(''), options);
  }

  static fromJSON(json: CharTokenizerJson): CharTokenizer {
    const { characters, unkToken, padToken } = json;
    return new CharTokenizer(characters, { unkToken, padToken });
  }

  toJSON(): CharTokenizerJson {
    return this.#json;
  }

  tokenToId(token: string): number | undefined {
    return this.#ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.#tokens[id];
  }

  protected override parts(texts: readonly string[]): Parts {
    const encode = (text: string): number[] =>
      Array.from(text, (c) => {
        const id = this.#ids.get(c) ?? this.unkTokenId;
        if (id !== null) return id;
        throw makeError(
          'ERR_VALUE',
          `CharTokenizer.encode: character ${JSON.stringify(c)} is not in the vocabulary; an ` +
            'unkToken would stand for it',
        );
      });
    return { texts: texts.map(encode), around: [] };
  }

  override decode(ids: readonly number[] | Tensor, options: DecodeOptions = {}): string {
    const name = 'CharTokenizer.decode';
    const { skipSpecialTokens } = readOptions(name, { skipSpecialTokens: bool(false) }, options);
    let text = '';
    for (const id of idList(name, ids)) {
      if (skipSpecialTokens && this.#special.has(id)) continue;
      const token = this.#tokens[id];
      if (token === undefined) {
        throw makeError(
          'ERR_RANGE',
          `${name}: no token ${id} in a vocabulary of ${this.vocabSize}`,
        );
      }
      text += token;
    }
    return text;
  }
}
