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
export {
  doctor,
  type DoctorLine,
  type DoctorOptions,
  type DoctorReport,
  type DoctorSubject,
  type Misalignment,
} from './doctor';
export {
  GradScaler,
  type GradScalerOptions,
  type GradScalerState,
  type Scalable,
} from './gradScaler';
export { type ScalableOptimizer } from './scalerGradients';
export { type AutocastDeviceType, type AutocastDType } from '../autocastState';
