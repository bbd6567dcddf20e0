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
