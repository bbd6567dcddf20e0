/** A full device: what is tried before ERR_OOM, what the error says, and that everything goes on. */
import { runProgram } from './process';
import { suite } from './suite';

const program = `
const { cuda, zeros, tensor } = ag;
const MiB = 2 ** 20;
const held = [];
const steps = {};
const first = tensor([1, 2, 3]).to('cuda');

// The cache holds 60 MiB in segments of 20: a request of 200 MiB needs them back.
let cached = Array.from({ length: 6 }, () => zeros([9 * MiB / 4], { device: 'cuda' }));
cached.forEach((t) => t.dispose());
steps.cachedBefore = cuda.memoryReserved() - cuda.memoryAllocated();
held.push(zeros([200 * MiB / 4], { device: 'cuda' }).fill_(7));
steps.cachedAfter = cuda.memoryReserved() - cuda.memoryAllocated();
steps.retries = cuda.memoryStats().retries;

// Tensors that nobody holds are collected before an allocation fails.
held.length = 0;
for (let i = 0; i < 8; ++i) zeros([100 * MiB / 4], { device: 'cuda' });
steps.survivedGarbage = true;

held.push(zeros([150 * MiB / 4], { device: 'cuda' }).fill_(3));
try {
  zeros([150 * MiB / 4], { device: 'cuda' });
} catch (error) {
  steps.error = { code: error.code, name: error.name, message: error.message };
}
steps.failures = cuda.memoryStats().outOfMemory;
steps.first = first.cpu().toArray();
// In a function, so that no view is held when it returns.
const look = () => [held[0].amin().item(), held[0].narrow(0, 17, 2).sum().item()];
steps.kept = look();
held.pop().dispose();
const again = zeros([150 * MiB / 4], { device: 'cuda' });
steps.again = again.narrow(0, 0, 4).add(1).sum().item();
console.log(JSON.stringify(steps));
`;

interface Steps {
  cachedBefore: number;
  cachedAfter: number;
  retries: number;
  survivedGarbage: boolean;
  error: { code: string; name: string; message: string };
  failures: number;
  first: number[];
  kept: number[];
  again: number;
}

suite('a device of 256 MB', () => {
  test('frees caches and garbage first, then fails with ERR_OOM and goes on', () => {
    const steps = runProgram<Steps>(program, {
      AMPGRAD_SIMT_MEMORY_MB: '256',
      AMPGRAD_CUDA_NO_CACHING: '0',
    });
    expect(steps.cachedBefore).toBeGreaterThan(50 * 2 ** 20);
    expect(steps.cachedAfter).toBeLessThan(steps.cachedBefore);
    expect(steps.retries).toBeGreaterThanOrEqual(1);
    expect(steps.survivedGarbage).toBe(true);
    expect(steps.error.code).toBe('ERR_OOM');
    expect(steps.error.message).toMatch(
      /CUDA out of memory on cuda:0\. Tried to allocate 150\.00 MiB/,
    );
    expect(steps.error.message).toMatch(
      /total capacity of 256\.00 MiB of which \d+\.\d\d MiB is free/,
    );
    expect(steps.error.message).toMatch(/\d+\.\d\d MiB is allocated by tensors/);
    expect(steps.error.message).toMatch(/is reserved but unallocated/);
    expect(steps.error.message).toMatch(/1 x 150 MiB/);
    expect(steps.error.message).toMatch(/smaller batch.*autocast.*checkpointing.*dispose/);
    expect(steps.failures).toBeGreaterThanOrEqual(1);
    expect(steps.first).toEqual([1, 2, 3]);
    expect(steps.kept).toEqual([3, 6]);
    expect(steps.again).toBe(4);
  });
});
