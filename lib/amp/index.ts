/** Mixed precision: autocast and gradient scaling. PyTorch: `torch.amp`. */
export {
  autocast,
  autocastCacheStats,
  type AutocastOptions,
  type AutocastRegion,
  clearAutocastCache,
  getAutocastDtype,
  isAutocastAvailable,
  isAutocastCacheEnabled,
  isAutocastEnabled,
  setAutocastCacheEnabled,
  setAutocastDtype,
  setAutocastEnabled,
} from './autocast';
export { customBwd, customFwd, type CustomFwdOptions } from './customFunction';
export { type AutocastDeviceType, type AutocastDType } from '../autocastState';
