import type { Device } from '../../lib';

/** Where the cases run: AMPGRAD_TEST_DEVICE, as `npm run test:cuda` sets it. */
export const testDevice = (process.env['AMPGRAD_TEST_DEVICE'] ?? 'cpu') as Device;
