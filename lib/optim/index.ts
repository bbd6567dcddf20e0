/** Optimizers and learning-rate schedulers. */
export {
  type Closure,
  Optimizer,
  type ParamGroup,
  type ParamGroupInput,
  type Params,
  type ParamState,
  type StepHook,
} from './optimizer';
export { type OptimizerStateDict, type ParamGroupState } from './stateDict';
export { SGD, type SGDOptions } from './sgd';
export { Adadelta, type AdadeltaOptions } from './adadelta';
export { Adagrad, type AdagradOptions } from './adagrad';
export { Adamax, type AdamaxOptions } from './adamax';
export { ASGD, type ASGDOptions } from './asgd';
export { Lion, type LionOptions } from './lion';
export { NAdam, type NAdamOptions } from './nadam';
export { RAdam, type RAdamOptions } from './radam';
export { RMSprop, type RMSpropOptions } from './rmsprop';
export { Rprop, type RpropOptions } from './rprop';
export { Adam, type AdamOptions, AdamW, type AdamWOptions } from './adam';
export * as lrScheduler from './lrScheduler';
export { LBFGS, type LBFGSOptions } from './lbfgs';
export { Adafactor, type AdafactorOptions } from './adafactor';
export { Muon, type MuonOptions } from './muon';
export * as swaUtils from './swaUtils';
