/**
 * A training run for the resume test: `node resume.ts FOLDER FROM TO DIE` trains to step TO and saves a
 * checkpoint there. With DIE it then ends as by kill -9. Prints a hash of all states and the losses.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { amp, Checkpoint, data, manualSeed, nn, optim, Tensor } from '../../../lib';
import { Samples } from './samples';

const [folder = '', to = '0', die = 'no'] = process.argv.slice(2);

manualSeed(7);
const model = new nn.Sequential(
  new nn.Linear(6, 16),
  new nn.BatchNorm1d(16),
  new nn.ReLU(),
  new nn.Dropout(0.2),
  new nn.Linear(16, 1),
);
const optimizer = new optim.AdamW(model.parameters(), { lr: 0.01 });
const scheduler = new optim.lrScheduler.CosineAnnealingLR(optimizer, 20);
const scaler = new amp.GradScaler('cpu', { growthInterval: 3 });
const loader = new data.DataLoader(new Samples(), {
  batchSize: 8,
  shuffle: true,
  seed: 5,
  numWorkers: 2,
  workerModule: join(__dirname, 'samples.ts'),
  workerOptions: { execArgv: ['--require', 'tsx/cjs'] },
});
const checkpoint = new Checkpoint(folder, { model, optimizer, scheduler, scaler, loader });

function hash(value: unknown): string {
  const text = JSON.stringify(value, (_, v: unknown) => {
    if (!(v instanceof Tensor)) return typeof v === 'bigint' ? String(v) : v;
    const { buffer, byteOffset, byteLength } = v.dataSync();
    return [v.dtype, v.shape, Buffer.from(buffer, byteOffset, byteLength).toString('hex')];
  });
  return createHash('sha256').update(text).digest('hex');
}

function main(): void {
  const losses: number[] = [];
  let step = checkpoint.load()?.step ?? 0;
  while (step < Number(to)) {
    for (const [x, y] of loader as Iterable<[Tensor, Tensor]>) {
      optimizer.zeroGrad();
      const loss = amp.autocast('cpu', () =>
        nn.functional.mseLoss((model.forward(x) as Tensor).float(), y.float()),
      );
      scaler.scale(loss).backward();
      scaler.step(optimizer);
      scaler.update();
      scheduler.step();
      losses.push(loss.item());
      if (++step === Number(to)) break;
    }
  }
  // Saved from inside the pass would be the same: a loader stands where its last batch was.
  checkpoint.save({ step, metrics: { loss: losses.at(-1) ?? 0 } });
  const states = [model, optimizer, scheduler, scaler, loader].map((p) => p.stateDict());
  process.stdout.write(`${JSON.stringify({ step, losses, hash: hash(states) })}\n`, () => {
    if (die === 'die') process.kill(process.pid, 'SIGKILL');
  });
}

main();
