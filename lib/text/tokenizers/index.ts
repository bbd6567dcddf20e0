/** Text to token ids and back. */
export * from './char';
export { PretrainedTokenizer, type WordPieceOptions } from './pretrained';
export {
  type BatchEncoding,
  type BatchOptions,
  type DecodeOptions,
  type EncodeOptions,
  type Encoding,
  Tokenizer,
} from './tokenizer';
