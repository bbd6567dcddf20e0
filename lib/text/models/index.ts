/** Language models, with the names of parameters of Hugging Face transformers. */
export {
  type BertCallOptions,
  BertConfig,
  BertModel,
  type BertModelOptions,
  type BertOptions,
  type BertOutputs,
} from './bert';
export * from './bertHeads';
export { KVCache } from './cache';
export { type ActivationName, type EosTokens } from './config';
export { type CausalLM, type GenerateOptions } from './generate';
export * from './gpt2';
export { type CausalLMOutput } from './loss';
