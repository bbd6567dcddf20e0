/** Learning-rate schedulers. */
export { LRScheduler, type SchedulerOptions, type SchedulerStateDict } from './base';
export { ChainedScheduler, SequentialLR } from './composite';
export {
  CosineAnnealingLR,
  type CosineAnnealingLROptions,
  CosineAnnealingWarmRestarts,
  type CosineAnnealingWarmRestartsOptions,
} from './cosine';
export { CyclicLR, type CyclicLROptions, OneCycleLR, type OneCycleLROptions } from './cyclic';
export {
  ConstantLR,
  type ConstantLROptions,
  LinearLR,
  type LinearLROptions,
  PolynomialLR,
  type PolynomialLROptions,
} from './factor';
export { LambdaLR, type LambdaLROptions, type LrLambda, MultiplicativeLR } from './lambda';
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from './plateau';
export {
  ExponentialLR,
  type ExponentialLROptions,
  MultiStepLR,
  type MultiStepLROptions,
  StepLR,
  type StepLROptions,
} from './step';
export { SWALR, type SWALROptions } from './swa';
