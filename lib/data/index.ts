/** Datasets, samplers and the DataLoader: `ampgrad/data`. */
export { type Collated, defaultCollate, defaultConvert } from './collate';
export {
  ArrayDataset,
  ChainDataset,
  ConcatDataset,
  Dataset,
  IterableDataset,
  randomSplit,
  StackDataset,
  Subset,
  TensorDataset,
} from './dataset';
export { download, type DownloadOptions, type DownloadProgress } from './download';
export { type Indices } from './gather';
export { Generator, type RandomOptions } from './generator';
export { JsonLines, TextLines, type TextLinesOptions } from './lines';
export {
  DataLoader,
  type DataLoaderOptions,
  type DataLoaderState,
  type DataSource,
} from './loader';
export {
  BatchSampler,
  DistributedSampler,
  type DistributedSamplerOptions,
  RandomSampler,
  type RandomSamplerOptions,
  Sampler,
  SequentialSampler,
  type Sized,
  SubsetRandomSampler,
  WeightedRandomSampler,
  type WeightedRandomSamplerOptions,
} from './sampler';
export { type CsvOptions, type ParquetOptions, readCsv, readParquet, Table } from './table';
export { getWorkerInfo, type WorkerInfo } from './workers/info';
export { type WorkerThreadOptions } from './workers/pool';
export { type WorkerRecipe } from './workers/protocol';
