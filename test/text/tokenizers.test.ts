/** Tokenizers against transformers, on vocabularies of test/golden/text. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { tensor, text } from '../../lib';

const { CharTokenizer, PretrainedTokenizer } = text;

const folder = join(__dirname, '../golden/text');
const file = (name: string): string => join(folder, name);

interface Case {
  readonly singles: {
    text: string;
    ids: number[];
    cut: number[];
    bare: number[];
    decoded: string;
  }[];
  readonly pairs: {
    texts: [string, string];
    maxLength: number | null;
    ids: number[];
    types: number[];
  }[];
  readonly batch: { ids: number[][]; mask: number[][] };
}

const cases = JSON.parse(readFileSync(file('cases.json'), 'utf8')) as Record<string, Case>;

const bpe = () => PretrainedTokenizer.fromBpe(file('vocab.json'), file('merges.txt'));
const wordPiece = () => PretrainedTokenizer.fromWordPiece(file('vocab.txt'));
const made = [
  ['bpe', bpe],
  ['wordPiece', wordPiece],
  ['wordPiece', () => PretrainedTokenizer.fromFolder(folder)],
] as const;

describe.each(made)('%s', (name, make) => {
  const expected = cases[name] as Case;
  const tokenizer = make();

  test.each(expected.singles)('encodes $text', ({ text: given, ids, cut, bare, decoded }) => {
    expect(tokenizer.encode(given).ids).toEqual(ids);
    expect(tokenizer.encode(given, { maxLength: 6 }).ids).toEqual(cut);
    expect(tokenizer.encode(given, { addSpecialTokens: false }).ids).toEqual(bare);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(decoded);
    expect(tokenizer.decode(tensor(ids, { dtype: 'int64' }), { skipSpecialTokens: true })).toBe(
      decoded,
    );
  });

  test('makes batches with padding', () => {
    const texts = expected.singles.slice(0, 3).map((c) => c.text);
    tokenizer.padTokenId ??= tokenizer.tokenToId('<|endoftext|>') as number;
    const batch = tokenizer.encodeBatch(texts);
    const numbers = (t: { toArray(): unknown }) =>
      (t.toArray() as bigint[][]).map((r) => r.map(Number));
    expect(numbers(batch.inputIds)).toEqual(expected.batch.ids);
    expect(numbers(batch.attentionMask)).toEqual(expected.batch.mask);
    const left = tokenizer.encodeBatch(texts, {
      paddingSide: 'left',
      maxLength: 60,
      padding: 'maxLength',
    });
    expect(left.inputIds.shape).toEqual([3, 60]);
    expect(numbers(left.attentionMask)[0]?.slice(-3)).toEqual([1, 1, 1]);
    expect(tokenizer.decodeBatch(batch.inputIds, { skipSpecialTokens: true })[0]).toBe(
      expected.singles[0]?.decoded,
    );
    expect(() => tokenizer.encodeBatch(texts, { padding: false })).toThrow();
  });
});

test.each((cases['wordPiece'] as Case).pairs)(
  'encodes pairs: $texts within $maxLength',
  ({ texts: [first, second], maxLength, ids, types }) => {
    const encoded = wordPiece().encode(first, { textPair: second, maxLength });
    expect(encoded.ids).toEqual(ids);
    expect(encoded.tokenTypeIds).toEqual(types);
  },
);

describe('tokenizers of models', () => {
  test('know their special tokens', () => {
    const bert = wordPiece();
    expect(bert.idToToken(bert.clsTokenId as number)).toBe('[CLS]');
    expect(bert.idToToken(bert.maskTokenId as number)).toBe('[MASK]');
    expect(bpe().idToToken(bpe().eosTokenId as number)).toBe('<|endoftext|>');
    expect(bpe().vocabSize).toBeGreaterThan(256);
  });

  test('come from a folder of any kind', () => {
    const temporary = mkdtempSync(join(tmpdir(), 'ampgrad-'));
    try {
      expect(() => PretrainedTokenizer.fromFolder(temporary)).toThrow(/neither tokenizer.json/);
      cpSync(file('vocab.json'), join(temporary, 'vocab.json'));
      cpSync(file('merges.txt'), join(temporary, 'merges.txt'));
      const { text: first = '', ids } = cases['bpe']?.singles[0] ?? {};
      expect(PretrainedTokenizer.fromFolder(temporary).encode(first).ids).toEqual(ids);
      rmSync(join(temporary, 'vocab.json'));
      cpSync(file('vocab.txt'), join(temporary, 'vocab.txt'));
      expect(PretrainedTokenizer.fromFolder(temporary).clsTokenId).not.toBeNull();
      writeFileSync(join(temporary, 'tokenizer.json'), '{');
      expect(() => PretrainedTokenizer.fromFolder(temporary)).toThrow(/is not JSON/);
      writeFileSync(join(temporary, 'tokenizer.json'), '{"model": {"type": "Nonsense"}}');
      expect(() => PretrainedTokenizer.fromFolder(temporary)).toThrow(/is not valid/);
    } finally {
      rmSync(temporary, { recursive: true });
    }
  });

  test('say what is wrong', () => {
    const bert = wordPiece();
    expect(() => bert.encode(3 as never)).toThrow(/'text' must be a string/);
    expect(() => bert.encode('a', { maxLength: 1 })).toThrow(/room for 2 special tokens/);
    expect(() => bert.decode([100000])).toThrow(/no token 100000/);
    expect(() => bert.decode(['x'] as never)).toThrow(/must be token ids/);
    expect(() => bert.encodeBatch([])).toThrow(/array of texts/);
    expect(() => bert.encode('a', { maxlength: 3 } as never)).toThrow(/did you mean 'maxLength'/i);
    const none = bpe();
    expect(() => none.encodeBatch(['a', 'Call me'])).toThrow(/no padding token/);
  });

  test('name the package that is missing', () => {
    jest.isolateModules(() => {
      jest.doMock('@huggingface/tokenizers', () => {
        throw new Error('Cannot find module');
      });
      // eslint-disable-next-line @typescript-eslint/no-require-imports
      const fresh = require('../../lib/text/tokenizers') as typeof text;
      const make = () => fresh.PretrainedTokenizer.fromWordPiece(file('vocab.txt'));
      expect(make).toThrow(/npm install @huggingface\/tokenizers/);
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_NOT_IMPLEMENTED' }) as Error);
    });
    jest.dontMock('@huggingface/tokenizers');
  });
});

describe('CharTokenizer', () => {
  test('round-trips any text', () => {
    const given = 'whale 🐋\nand 東京';
    const tokenizer = CharTokenizer.fromText(given);
    const { ids } = tokenizer.encode(given);
    expect(ids).toHaveLength([...given].length);
    expect(tokenizer.decode(ids)).toBe(given);
    expect(Math.max(...ids)).toBe(tokenizer.vocabSize - 1);
    expect(tokenizer.idToToken(ids[0] as number)).toBe('w');
    const again = CharTokenizer.fromJSON(
      JSON.parse(JSON.stringify(tokenizer)) as ReturnType<typeof tokenizer.toJSON>,
    );
    expect(again.encode(given).ids).toEqual(ids);
  });

  test('has special tokens on request', () => {
    const tokenizer = CharTokenizer.fromText('abc', { padToken: '<pad>', unkToken: '<unk>' });
    expect(tokenizer.vocabSize).toBe(5);
    expect(tokenizer.encode('abz').ids).toEqual([2, 3, 1]);
    const { inputIds, attentionMask } = tokenizer.encodeBatch(['a', 'abc'], { maxLength: 2 });
    expect(inputIds.toArray()).toEqual([
      [2, 0],
      [2, 3],
    ]);
    expect(attentionMask.sum().item()).toBe(3);
    expect(tokenizer.decode([2, 0, 1])).toBe('a<pad><unk>');
    expect(tokenizer.decode([2, 0, 1], { skipSpecialTokens: true })).toBe('a');
    const plain = CharTokenizer.fromText('abc');
    expect(() => plain.encode('abz')).toThrow(/character "z" is not in the vocabulary/);
    expect(() => plain.decode([7])).toThrow(/no token 7/);
    expect(() => plain.encodeBatch(['a', 'ab'])).toThrow(/no padding token/);
    expect(() => new CharTokenizer('a', { unkToken: 'a' })).toThrow(/one of the characters/);
  });
});
