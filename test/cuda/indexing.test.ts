/** Indexed reads and writes on the device, in the sizes that take each way through the kernels. */
import {
  arange,
  bincount,
  cuda,
  embedding,
  manualSeed,
  nonzero,
  randint,
  randn,
  randperm,
  type Tensor,
  tensor,
  zeros,
} from '../../lib';
import { agree } from './agree';
import { suite } from './suite';

suite('indexing on device cuda', () => {
  beforeEach(() => manualSeed(1));

  test.each(['bool', 'int16', 'float16', 'float32', 'float64'] as const)('reads of %s', (dtype) => {
    const x = randn([37, 24]).mul(4).to(dtype);
    const rows = randint(37, [50]);
    agree((t, i) => t.indexSelect(0, i), [x, rows]);
    agree((t, i) => t.narrow(1, 1, 23).indexSelect(0, i), [x, rows]);
    agree((t, i) => t.t().indexSelect(0, i), [x, randint(24, [9])]);
    agree((t, i) => t.gather(1, i), [x, randint(24, [37, 5])]);
    agree((t, i, j) => t.get(i, j), [x, rows, randint(24, [50])]);
    agree((t, i) => t.get(i.sub(37)), [x, rows]);
    agree((t, i) => t.take(i), [x, randint(37 * 24, [3, 4])]);
  });

  test('many index tensors', () => {
    const x = randn([3, 2, 4, 2, 3, 2]);
    const sizes = [3, 2, 4, 2, 3, 2];
    agree((t, ...at) => t.get(...at), [x, ...sizes.map((n) => randint(n, [7]))]);
    agree(
      (t, v, ...at) => t.indexPut(at, v, true),
      [x, randn([7]), ...sizes.map((n) => randint(n, [7]))],
    );
  });

  test.each(['int32', 'float16', 'float32', 'float64'] as const)('sums of %s', (dtype) => {
    const few = (t: Tensor): Tensor => t.mul(4).to(dtype);
    // Short lines; long lines, few targets; many sorted points; one line of everything.
    agree(
      (t, i, s) => t.scatterAdd(1, i, s),
      [few(randn([40, 9])), randint(9, [40, 20]), few(randn([40, 20]))],
    );
    agree(
      (t, i, s) => t.indexAdd(0, i, s),
      [few(randn([5, 33])), randint(5, [200]), few(randn([200, 33]))],
    );
    const bound = dtype === 'float32' ? 1e-5 : dtype === 'float64' ? 1e-13 : 2e-3;
    agree(
      (t, i, s) => t.indexAdd(1, i, s),
      [few(randn([3, 70])), randint(70, [2600]), few(randn([3, 2600]))],
      bound,
    );
    agree(
      (t, i, s) => t.scatterAdd(0, i, s),
      [few(randn([70, 2])), randint(70, [1500, 2]), few(randn([1500, 2]))],
      bound,
    );
  });

  test('other folds, and the last of several writes', () => {
    const x = randn([50, 3]);
    const i = randint(50, [400, 3]);
    const s = randn([400, 3]);
    for (const reduce of ['sum', 'prod', 'amax', 'amin', 'mean']) {
      agree((t, at, src) => t.scatterReduce(0, at, src, reduce), [x, i, s], 1e-5);
      agree(
        (t, at, src) => t.scatterReduce(0, at, src, reduce, { includeSelf: false }),
        [x, i, s],
        1e-5,
      );
    }
    agree((t, at, src) => t.scatter(0, at, src), [x, i, s]);
    agree(
      (t, at, src) => t.indexCopy(0, at, src),
      [randn([9, 40]), randint(9, [2000]), randn([2000, 40])],
    );
    agree((t, at) => t.indexFill(0, at, 3), [x, randint(50, [7])]);
    agree((t, at) => t.scatter(0, at, 3), [x, i]);
    const bools = randn([50]).gt(0);
    agree(
      (t, at, src) => t.scatterReduce(0, at, src, 'amax'),
      [bools.int(), randint(50, [90]), randint(2, [90]).int()],
    );
  });

  test('counts', () => {
    agree((x) => bincount(x), [randint(10, [5000])]);
    agree((x) => bincount(x, null, 12), [randint(4, [77])]);
  });

  test('embedding and its gradient', () => {
    const run = (weight: Tensor, at: Tensor): Tensor => {
      const w = weight.clone().requiresGrad_();
      embedding(at, w, { paddingIdx: 2 }).mul(2).sum().backward();
      return w.grad!;
    };
    agree(run, [randn([11, 20]), randint(11, [6, 300])], 1e-5);
    agree(run, [randn([11, 20]).half(), randint(11, [6, 5])], 1e-3);
  });

  test('nonzero and masks', () => {
    for (const n of [0, 1, 5, 2048, 5000]) {
      const x = randn([n]).gt(0.3);
      agree((t) => nonzero(t), [x]);
      agree((t, m) => t.maskedSelect(m), [randn([n]), x]);
      agree((t, m, s) => t.maskedScatter(m, s), [randn([n]), x, randn([n])]);
    }
    agree((t) => nonzero(t), [randint(3, [13, 5, 7, 9])]);
    agree((t) => nonzero(t), [randint(2, [40, 60]).half()]);
    agree((t) => nonzero(t), [tensor(3)]);
  });

  test('an index out of range is raised when the device is waited for', () => {
    const x = zeros([4, 3]).cuda();
    const at = tensor([1, 9, 2]).long().cuda();
    const out = x.indexSelect(0, at);
    expect(() => out.cpu()).toThrow(
      /indexSelect: index 9 is out of bounds for dimension 0 with size 4/,
    );
    expect(out.shape).toEqual([3, 3]);
    x.indexAdd(0, at, zeros([3, 3]).cuda());
    expect(() => {
      cuda.synchronize();
    }).toThrow(/indexAdd: index 9/);
    expect(arange(3).cuda().add(1).cpu().toArray()).toEqual([1, 2, 3]);
  });

  test('a permutation and back', () => {
    const x = randn([3000, 4]);
    const p = randperm(3000);
    agree((t, i) => t.indexSelect(0, i).indexCopy(0, i, t.indexSelect(0, i)), [x, p]);
  });
});
