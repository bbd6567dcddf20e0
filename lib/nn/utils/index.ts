/** Tools for modules and parameters. PyTorch: `torch.nn.utils`. */
export * from './clipGrad';
export * from './fuse';
export * from './functionalCall';
export * as parametrizations from './allParametrizations';
export * as parametrize from './parametrize';
export { removeSpectralNorm, removeWeightNorm, spectralNorm, weightNorm } from './reparametrize';
export * as rnn from './rnn';
export * from './vector';
