/** Functions of layers without state. PyTorch: `torch.nn.functional`. */
export * from './functional/activation';
export * from './functional/attention';
export * from './functional/conv';
export * from './functional/distance';
export * from './functional/dropout';
export * from './functional/embedding';
export * from './functional/fold';
export * from './functional/linear';
export * from './functional/loss';
export * from './functional/norm';
export * from './functional/pad';
export * from './functional/pool';
export * from './functional/shuffle';
