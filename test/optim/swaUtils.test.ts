import { nn, noGrad, ones, optim, type Tensor, zeros } from '../../lib';
import { values } from './golden';

const { AveragedModel, getEmaAvgFn, updateBn } = optim.swaUtils;

class Net extends nn.Module {
  readonly fc = new nn.Linear(2, 1);
  readonly seen: Tensor = zeros([1]);

  constructor() {
    super();
    this.registerBuffer('seen', this.seen);
  }

  override forward(x: Tensor): Tensor {
    return this.fc.call(x);
  }
}

function setAll(net: Net, value: number): void {
  noGrad(() => {
    for (const p of net.parameters()) p.fill_(value);
    net.seen.fill_(value);
  });
}

const weight = (m: { module: Net }): number[] => values(m.module.fc.weight);

describe('AveragedModel', () => {
  test('averages with equal weights and copies buffers', () => {
    const net = new Net();
    const averaged = new AveragedModel(net);
    for (const v of [1, 2, 6]) {
      setAll(net, v);
      averaged.updateParameters(net);
    }
    expect(weight(averaged)).toEqual([3, 3]);
    expect(values(averaged.module.seen)).toEqual([6]);
    expect(averaged.nAveraged.item()).toBe(3);
    expect(Object.keys(averaged.stateDict())).toContain('n_averaged');
    expect(Object.keys(averaged.stateDict())).toContain('module.fc.weight');
    expect((averaged.call(ones([1, 2])) as Tensor).item()).toBe(9);
  });

  test('exponential moving average, buffers too', () => {
    const net = new Net();
    const averaged = new AveragedModel(net, { avgFn: getEmaAvgFn(0.75), useBuffers: true });
    for (const v of [4, 8]) {
      setAll(net, v);
      averaged.updateParameters(net);
    }
    expect(weight(averaged)).toEqual([5, 5]);
    expect(values(averaged.module.seen)).toEqual([5]);
  });

  test('does not touch the model, and rejects what does not fit', () => {
    const net = new Net();
    const averaged = new AveragedModel(net);
    setAll(averaged.module, 7);
    expect(values(net.fc.weight)).not.toContain(7);
    expect(() => averaged.updateParameters(new nn.Linear(2, 1, { bias: false }))).toThrow(
      /tensors/,
    );
    expect(() => new AveragedModel({} as nn.Module)).toThrow(/expected a Module/);
    expect(() => new AveragedModel(net, { decay: 1 } as object)).toThrow(/unknown option 'decay'/);
    expect(() => getEmaAvgFn(2)).toThrow(/\[0, 1\]/);
    updateBn([ones([1, 2])], net);
  });
});
