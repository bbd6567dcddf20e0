/** Counts tensors that outlive their test. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { memory } from '../../../lib';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Collects garbage, then tells how many tensors there are. */
export async function liveTensors(): Promise<number> {
  for (let i = 0; i < 3; ++i) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return memory.stats().liveTensors;
}

/** Adds a last test to a file: nothing it made is alive any more. */
export function expectNoLeaks(): void {
  let before = 0;
  beforeAll(async () => {
    before = await liveTensors();
  });
  test('leaves no tensor alive', async () => {
    expect(await liveTensors()).toBeLessThanOrEqual(before);
  });
}
