/** Time of work on a device, by events of its current stream. */
import { cuda } from '../../lib';
import { currentDevice, finish } from './data';

/** Whether the device is the emulator, whose events count operations and not time. */
export function isEmulated(): boolean {
  const device = currentDevice();
  return device !== 'cpu' && /^emulated /.test(cuda.getDeviceName(device as cuda.CudaDevice));
}

export interface DeviceClock {
  /** Waits for what was queued since the start. Seconds, or undefined where events tell no time. */
  readonly stop: () => number | undefined;
}

/** Starts when the device is idle; nothing on the CPU, whose work is done when a call returns. */
export function startDeviceClock(): DeviceClock | undefined {
  const device = currentDevice();
  if (device === 'cpu') return undefined;
  const [start, end] = [1, 2].map(() => new cuda.Event({ enableTiming: true })) as [
    cuda.Event,
    cuda.Event,
  ];
  const stream = cuda.currentStream(device as cuda.CudaDevice);
  finish();
  start.record(stream);
  return {
    stop: () => {
      end.record(stream);
      end.synchronize();
      const seconds = start.elapsedTime(end) / 1e3;
      return isEmulated() ? undefined : seconds;
    },
  };
}
