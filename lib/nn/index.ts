/** Layers and models. PyTorch: `torch.nn`. */
export * from './activation';
export * from './attention';
export * from './adaptiveSoftmax';
export * from './avgPool';
export * from './batchnorm';
export { ModuleList, ParameterList, type TensorModule } from './container';
export * from './dict';
export * from './dropout';
export * from './flatten';
export * from './fold';
export * as functional from './functional';
export type { GradTuple, HookOptions, RegistrationHook } from './hooks';
export * as init from './init';
export * from './linear';
export * from './norm';
export {
  BCELoss,
  BCEWithLogitsLoss,
  CrossEntropyLoss,
  type CrossEntropyLossOptions,
  LinearCrossEntropyLoss,
  type LinearCrossEntropyLossOptions,
  Loss,
  type LossOptions,
  MSELoss,
  NLLLoss,
  NLLLoss2d,
  type NLLLossOptions,
  type Reduction,
} from './loss';
export * from './conv';
export * from './convTranspose';
export * from './distance';
export * from './embedding';
export * from './padding';
export * from './rnn';
export * from './rnnCell';
export * from './vision';
export * from './lossMargin';
export * from './fractionalPool';
export * from './maxPool';
export {
  registerModuleBufferRegistrationHook,
  registerModuleForwardHook,
  registerModuleForwardPreHook,
  registerModuleFullBackwardHook,
  registerModuleFullBackwardPreHook,
  registerModuleModuleRegistrationHook,
  registerModuleParameterRegistrationHook,
} from './hooks';
export { type FieldNames, Module, type NamedOptions } from './module';
export type { FactoryOptions } from './options';
export * from './parameter';
export * from './sequential';
export * from './transformer';
export {
  type Activation,
  type DecoderLayerCallOptions,
  type EncoderLayerCallOptions,
  TransformerDecoderLayer,
  TransformerEncoderLayer,
  type TransformerLayerOptions,
} from './transformerLayers';
export type { LoadOptions, LoadResult, StateDict, StateDictOptions } from './stateDict';
export * as utils from './utils';
export { functionalCall } from './utils/functionalCall';
export * from './upsample';
