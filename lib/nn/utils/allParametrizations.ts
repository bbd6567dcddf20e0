/** Ready parametrizations. PyTorch: `torch.nn.utils.parametrizations`. */
export * from './orthogonal';
export * from './parametrizations';
