/** Runs a test file on the device that AMPGRAD_TEST_DEVICE names: its tensors are made there. */
import { setDefaultDevice, type Device } from '../../lib';

const device = process.env['AMPGRAD_TEST_DEVICE'];
if (device !== undefined) setDefaultDevice(device as Device);
