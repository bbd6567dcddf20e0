/** Saves checkpoints of a few megabytes in a row until it is killed; prints each step it has saved. */
import { writeSync } from 'node:fs';

import { Checkpoint, nn } from '../../../lib';

const [folder = ''] = process.argv.slice(2);
const model = new nn.Linear(1000, 500);
const checkpoint = new Checkpoint(folder, { model }, { keepLast: 2, metric: 'loss' });
let step = checkpoint.load()?.step ?? 0;
for (;;) {
  ++step;
  checkpoint.save({ step, metrics: { loss: 1 / step } });
  writeSync(1, `${String(step)}\n`);
}
