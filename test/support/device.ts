/** Runs a test file on the device that AMPGRAD_TEST_DEVICE names: its tensors are made there. */
import { setDefaultDevice, type Device } from '../../lib';

const device = process.env['AMPGRAD_TEST_DEVICE'];
if (device !== undefined) setDefaultDevice(device as Device);

/** `test`, but on another device than the CPU it is skipped and says why. */
export function cpuTest(why: string): jest.It {
  if (device === undefined) return test;
  console.warn(`skipped on ${device}: ${why}`);
  return test.skip as jest.It;
}
