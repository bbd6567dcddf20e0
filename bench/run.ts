/**
 * The benchmark: `npm run bench -- [--only PATTERN,...] [--threads N] [--quick] [--json FILE]
 * [--mnist DIR] [--device cuda] [--list]`. One JSON line a result; bench/README.md explains the fields.
 */
import { setDevice } from './harness/data';
import { readSettings, runAll } from './harness/runner';
import { device } from './workloads/device';
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
// Calls, processes, loading of data.
const host = [...dispatch, ...mlp, ...processes].map((w) => ({ ...w, host: true }));
runAll([...anywhere, ...(settings.device === 'cpu' ? [] : device), ...host], settings);
