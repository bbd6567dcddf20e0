/**
 * The benchmark: `npm run bench -- [--only PATTERN,...] [--threads N] [--quick] [--json FILE]
 * [--mnist DIR] [--device cuda] [--list]`. One JSON line a result; bench/README.md explains the fields.
 */
import { setDevice } from './harness/data';
import { readSettings, runAll } from './harness/runner';
import { dispatch } from './workloads/dispatch';
import { elementwise } from './workloads/elementwise';
import { gemm } from './workloads/gemm';
import { mlp, setMnistFolder } from './workloads/mlp';
import { models } from './workloads/models';
import { network } from './workloads/network';
import { optimizers } from './workloads/optimizers';
import { processes } from './workloads/process';
import { spatial } from './workloads/spatial';

const settings = readSettings(process.argv.slice(2));
setMnistFolder(settings.mnist);
setDevice(settings.device);
const anywhere = [...gemm, ...elementwise, ...network, ...spatial, ...optimizers, ...models];
// The rest measures the host: calls, processes, loading of data.
runAll(
  settings.device === 'cpu' ? [...anywhere, ...dispatch, ...mlp, ...processes] : anywhere,
  settings,
);
