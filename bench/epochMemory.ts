/**
 * A process of its own for `rss.mnist`: one epoch over the images in the folder named by the first
 * argument, then the largest resident set so far, in MiB.
 */
import { readFileSync } from 'node:fs';

import { type Settings } from './harness/runner';
import { mlp, setMnistFolder } from './workloads/mlp';

const folder = process.argv[2];
if (folder !== undefined && folder !== '') setMnistFolder(folder);
const epoch = mlp.find((w) => w.name === 'mlp.mnist.epoch');
if (epoch === undefined || !('custom' in epoch)) throw new Error('no such workload');
const settings: Settings = {
  threads: 2,
  only: [],
  named: false,
  quick: true,
  list: false,
  device: 'cpu',
  json: undefined,
  mnist: folder,
};
epoch.custom(settings);
const status = readFileSync('/proc/self/status', 'utf8');
process.stdout.write(`${String(Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) / 1024)}\n`);
