/** The device of tensors that are made without naming one. */
import { describeArgument } from './amp/describe';
import type { Device } from './dtype';
import { makeError } from './errors';
import { native } from './native';

let current: Device = 'cpu';

/**
 * Tensors that are made from nothing or from JavaScript data, parameters of modules among them, are on
 * this device unless `device` says otherwise; null restores `'cpu'`. Holds for this thread. Tensors
 * over memory that JavaScript keeps (`fromBuffer`) stay on the CPU. PyTorch: `torch.set_default_device`.
 * Throws ERR_DEVICE when the device does not exist.
 *
 * @example
 * setDefaultDevice('cuda');
 * const model = new nn.Linear(784, 10); // its parameters are on the GPU
 */
export function setDefaultDevice(device: Device | null): void {
  if (device !== null && typeof device !== 'string') {
    throw makeError(
      'ERR_TYPE',
      `setDefaultDevice: argument 'device' must be a string or null, got ${describeArgument(device)}`,
    );
  }
  native.setDefaultDevice(device);
  current = device === null ? 'cpu' : device;
}

/** The device of {@link setDefaultDevice}: `'cpu'` at first. PyTorch: `torch.get_default_device`. */
export function getDefaultDevice(): Device {
  return current;
}
