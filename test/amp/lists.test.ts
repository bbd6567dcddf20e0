import { opSchemas } from '../../lib';
import lists from './lists.json';

// Rows that do the work of several PyTorch ops, or of one under another name.
const aliases: Record<string, string[]> = {
  cross_entropy_loss: ['crossEntropy'],
  grid_sampler: ['gridSample'],
  linear: ['feedForward'],
  upsample_bilinear2d: ['interpolate'],
  linalg_vector_norm: ['vectorNorm'],
  linalg_matrix_norm: ['matrixNorm'],
  adaptive_max_pool3d: ['adaptiveMaxPool3dWithIndices'],
};
// PyTorch lists the parts (logSoftmax, nllLoss), the engine has one kernel for the whole.
const fused: Record<string, { cpu?: string; cuda?: string }> = {
  crossEntropy: { cpu: 'fp32', cuda: 'fp32' },
};

const camel = (name: string): string =>
  name.replace(/^_+/, '').replace(/_(\w)/g, (_, c: string) => c.toUpperCase());

function policies(device: 'cpu' | 'cuda'): Map<string, string> {
  const map = new Map<string, string>();
  for (const [policy, names] of Object.entries(lists[device])) {
    for (const name of names as string[]) {
      for (const row of [camel(name), ...(aliases[name] ?? [])]) map.set(row, policy);
    }
  }
  for (const [row, policy] of Object.entries(fused)) {
    const own = policy[device];
    if (own !== undefined) map.set(row, own);
  }
  return map;
}

describe.each(['cpu', 'cuda'] as const)('op list of %s', (device) => {
  const expected = policies(device);

  test('every row has the policy of the list', () => {
    const rows = opSchemas().map((s) => [s.name, s.autocast[device].replace('keep', 'none')]);
    const wanted = opSchemas().map((s) => [s.name, expected.get(s.name) ?? 'none']);
    expect(rows).toEqual(wanted);
  });

  test('the list has the size of the registrations', () => {
    expect(expected.size).toBeGreaterThan(100);
  });
});

test('what differs between the lists', () => {
  const policy = (name: string) => opSchemas().find((s) => s.name === name)?.autocast;
  expect(policy('softmax')).toEqual({ cpu: 'none', cuda: 'fp32Dtype' });
  expect(policy('cat')).toEqual({ cpu: 'promote', cuda: 'none' });
  expect(policy('exp')).toEqual({ cpu: 'none', cuda: 'fp32' });
  expect(policy('addcmul')).toEqual({ cpu: 'none', cuda: 'promote' });
  expect(policy('add')).toEqual({ cpu: 'none', cuda: 'none' });
  expect(policy('matmul')).toEqual({ cpu: 'lower', cuda: 'lower' });
});
