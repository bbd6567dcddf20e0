/** Texts: language models and tokenizers, `ampgrad/text`. */
export * as models from './models';
export * from './tokenizers';
