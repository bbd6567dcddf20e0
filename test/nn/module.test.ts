import { inspect } from 'node:util';

import { arange, memory, nn, noGrad, ones, randn, type Tensor, tensor, zeros } from '../../lib';

class SimpleNN extends nn.Module {
  fc1 = new nn.Linear(4, 3);
  act = new nn.ReLU();
  fc2 = new nn.Linear(3, 2, { bias: false });

  override forward(x: Tensor): Tensor {
    return this.fc2.call(this.act.call(this.fc1.call(x)));
  }
}

class WithBuffers extends nn.Module {
  static override readonly fieldNames = 'snake';
  weight = new nn.Parameter(ones([2]));
  runningMean!: Tensor;
  cache!: Tensor;
  plain = zeros([3]);
  inner = new nn.Linear(2, 2);

  constructor() {
    super();
    this.registerBuffer('runningMean', zeros([2]));
    this.registerBuffer('cache', zeros([1]), { persistent: false });
  }

  override forward(x: Tensor): Tensor {
    return x;
  }
}

describe('fields', () => {
  test('parameters and submodules are found in the order of their fields', () => {
    const model = new SimpleNN();
    expect(model.namedParameters().map(([name]) => name)).toEqual([
      'fc1.weight',
      'fc1.bias',
      'fc2.weight',
    ]);
    expect(model.parameters()[0]).toBe(model.fc1.weight);
    expect(model.namedChildren().map(([name]) => name)).toEqual(['fc1', 'act', 'fc2']);
    expect(model.namedModules().map(([name]) => name)).toEqual(['', 'fc1', 'act', 'fc2']);
    expect(model.namedParameters({ prefix: 'net' })[0]?.[0]).toBe('net.fc1.weight');
    expect(model.namedParameters({ recurse: false })).toEqual([]);
  });

  test('shared parameters and modules are listed once, but stand in the state dict twice', () => {
    const tied = new nn.Linear(2, 2, { bias: false });
    const other = new nn.Linear(2, 2, { bias: false });
    other.weight = tied.weight;
    const model = new nn.Sequential(tied, tied, other);
    expect(model.parameters()).toHaveLength(1);
    expect(model.namedParameters({ removeDuplicate: false })).toHaveLength(3);
    expect(model.modules()).toHaveLength(3);
    expect(Object.keys(model.stateDict())).toEqual(['0.weight', '1.weight', '2.weight']);
  });

  test('buffers and plain tensors are no parameters; names are converted', () => {
    const m = new WithBuffers();
    expect(m.namedParameters().map(([n]) => n)).toEqual(['weight', 'inner.weight', 'inner.bias']);
    expect(m.namedBuffers().map(([n]) => n)).toEqual(['running_mean', 'cache']);
    expect(Object.keys(m.stateDict())).toEqual([
      'weight',
      'running_mean',
      'inner.weight',
      'inner.bias',
    ]);
    expect(m.getBuffer('running_mean')).toBe(m.runningMean);
    expect(m.getParameter('inner.weight')).toBe(m.inner.weight);
    expect(() => m.getParameter('inner.wait')).toThrow("Linear has no parameter 'wait'");
    expect(() => m.getSubmodule('outer.x')).toThrow("has no submodule 'outer'");
  });

  test('an array of modules is an error', () => {
    class Bad extends nn.Module {
      layers = [new nn.Linear(1, 1)];
    }
    expect(() => new Bad().parameters()).toThrow(/field 'layers'.*nn\.ModuleList/);
  });

  test('registration checks names and kinds', () => {
    const m = new nn.Module();
    expect(() => m.registerParameter('a.b', null)).toThrow('can\'t contain "."');
    expect(() => m.registerParameter('', null)).toThrow("can't be empty");
    expect(() => m.registerParameter('forward', null)).toThrow("attribute 'forward'");
    expect(() => m.registerParameter('w', ones([1]) as nn.Parameter)).toThrow('nn.Parameter');
    expect(() => m.addModule('m', 3 as unknown as nn.Module)).toThrow('is not a Module');
    expect(() => m.registerBuffer('b', ones([1]), { persistant: true } as object)).toThrow(
      "unknown option 'persistant'; did you mean 'persistent'?",
    );
    m.addModule('lin', new nn.Linear(1, 1));
    m.registerParameter('w', new nn.Parameter(ones([1])));
    expect(m.namedParameters().map(([n]) => n)).toEqual(['w', 'lin.weight', 'lin.bias']);
  });
});

describe('parameters', () => {
  test('are leaves that share data and require grad', () => {
    const data = ones([2]);
    const p = new nn.Parameter(data);
    expect(p.requiresGrad && p.isLeaf && p.sharesStorage(data)).toBe(true);
    expect(data.requiresGrad).toBe(false);
    expect(new nn.Parameter(data, { requiresGrad: false }).requiresGrad).toBe(false);
    expect(() => new nn.Parameter(tensor([1, 2]))).toThrow('requiresGrad: false');
    expect(String(p)).toMatch(/^Parameter containing:\ntensor\(/);
  });

  test('made inside tidy stay alive', () => {
    const model = memory.tidy(() => ({ m: new nn.Linear(2, 2) })).m;
    expect(model.call(ones([1, 2])).shape).toEqual([1, 2]);
    const buffered = memory.tidy(() => ({ m: new WithBuffers() })).m;
    expect(buffered.runningMean.isDisposed).toBe(false);
  });
});

describe('state', () => {
  test('loadStateDict copies values, converts dtypes and returns what did not fit', () => {
    const a = new SimpleNN();
    const b = new SimpleNN();
    const { weight } = b.fc1;
    expect(b.loadStateDict(a.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] });
    expect(b.fc1.weight).toBe(weight);
    expect(b.fc1.weight.toArray()).toEqual(a.fc1.weight.toArray());
    const state = a.double().stateDict();
    b.loadStateDict(state);
    expect(b.fc1.weight.dtype).toBe('float32');
    delete state['fc1.bias'];
    state['extra'] = ones([1]);
    expect(b.loadStateDict(state, { strict: false })).toEqual({
      missingKeys: ['fc1.bias'],
      unexpectedKeys: ['extra'],
    });
  });

  test('tensors of the state dict share memory and are detached', () => {
    const m = new nn.Linear(2, 2);
    const state = m.stateDict();
    expect(state['weight']?.requiresGrad).toBe(false);
    noGrad(() => m.weight.fill_(7));
    expect(state['weight']?.toArray()).toEqual([
      [7, 7],
      [7, 7],
    ]);
    expect(m.stateDict({ keepVars: true })['weight']).toBe(m.weight);
  });

  test('one error lists all problems and changes nothing', () => {
    const m = new SimpleNN();
    const before = m.fc1.bias?.toArray();
    const state: Record<string, Tensor> = {
      'fc1.weight': ones([5, 4]),
      'fc1.bias': ones([3]),
      'fc3.weight': ones([1]),
    };
    expect(() => m.loadStateDict(state)).toThrow(
      'Error(s) in loading state_dict for SimpleNN:\n' +
        '\tMissing key(s) in state_dict: "fc2.weight". \n' +
        '\tUnexpected key(s) in state_dict: "fc3.weight". \n' +
        '\tsize mismatch for fc1.weight: copying a param with shape [5, 4] from checkpoint, ' +
        'the shape in current model is [3, 4].',
    );
    expect(m.fc1.bias?.toArray()).toEqual(before);
    expect(() => m.loadStateDict({ 'fc1.bias': 3 } as never, { strict: false })).toThrow(
      'expected a Tensor',
    );
    expect(() => m.loadStateDict(null as never)).toThrow("argument 'stateDict'");
  });

  test('train, eval and apply reach every module', () => {
    const m = new SimpleNN();
    m.eval();
    expect(m.modules().every((x) => !x.training)).toBe(true);
    m.train();
    expect(m.act.training).toBe(true);
    const names: string[] = [];
    m.apply((x) => names.push(x.constructor.name));
    expect(names).toEqual(['Linear', 'ReLU', 'Linear', 'SimpleNN']);
    expect(() => m.train(1 as never)).toThrow("'mode' must be a boolean");
  });

  test('conversion keeps the identity of parameters', () => {
    const m = new WithBuffers();
    const { weight } = m;
    m.registerBuffer('steps', tensor([3]));
    m.half();
    expect(m.weight).toBe(weight);
    expect([weight.dtype, m.runningMean.dtype, weight.requiresGrad]).toEqual([
      'float16',
      'float16',
      true,
    ]);
    expect(m.getBuffer('steps').dtype).toBe('int64');
    m.to('float64');
    expect(m.inner.weight.dtype).toBe('float64');
    expect(m.to({ dtype: 'bfloat16', device: 'cpu' }).weight.dtype).toBe('bfloat16');
    expect(() => m.to('int32')).toThrow('only floating point');
    expect(() => m.to('float33' as never)).toThrow('float33');
  });

  test('gradients: zeroGrad, requiresGrad_, conversion', () => {
    const m = new nn.Linear(2, 1);
    m.call(ones([3, 2]))
      .sum()
      .backward();
    expect(m.weight.grad?.toArray()).toEqual([[3, 3]]);
    m.double();
    expect(m.weight.grad?.dtype).toBe('float64');
    m.zeroGrad({ setToNone: false });
    expect(m.weight.grad?.toArray()).toEqual([[0, 0]]);
    m.zeroGrad();
    expect(m.weight.grad).toBeNull();
    m.requiresGrad_(false);
    expect(m.call(ones([3, 2]).double()).requiresGrad).toBe(false);
  });

  test('deepCopy makes parameters of its own and keeps sharing', () => {
    const lin = new nn.Linear(2, 2);
    const model = new nn.Sequential(lin, lin);
    const copy = model.deepCopy();
    expect(copy).toBeInstanceOf(nn.Sequential);
    expect(copy.parameters()).toHaveLength(2);
    expect(copy[0]).toBe(copy[1]);
    expect(copy[0]).not.toBe(lin);
    expect(copy.parameters()[0]?.sharesStorage(lin.weight)).toBe(false);
    const x = randn([3, 2]);
    expect(copy.call(x).toArray()).toEqual(model.call(x).toArray());
  });
});

describe('hooks', () => {
  test('run around forward, in order, and can be removed', () => {
    const m = new nn.Identity();
    const log: string[] = [];
    const first = m.registerForwardPreHook((module, args) => {
      log.push('pre');
      expect(module).toBe(m);
      return [args[0].add(1)];
    });
    const second = m.registerForwardHook((_module, args, output) => {
      log.push('post');
      expect(args[0].toArray()).toEqual([1]);
      return output.mul(10);
    });
    m.registerForwardPreHook(() => void log.push('first'), { prepend: true });
    expect(m.call(zeros([1])).toArray()).toEqual([10]);
    expect(log).toEqual(['first', 'pre', 'post']);
    // The same through forward and through a container.
    expect(m.forward(zeros([1])).toArray()).toEqual([10]);
    expect(new nn.Sequential(m).call(zeros([1])).toArray()).toEqual([10]);
    first.remove();
    second.remove();
    expect(m.call(zeros([1])).toArray()).toEqual([0]);
    expect(() => m.registerForwardHook(3 as never)).toThrow('must be a function');
    expect(() => m.registerForwardHook(() => 0, { first: true } as object)).toThrow('first');
  });

  test('leave nothing behind when removed', () => {
    const m = new nn.Linear(1, 1);
    m.registerForwardHook(() => undefined).remove();
    expect(Object.hasOwn(m, 'forward')).toBe(false);
  });

  test('full backward hooks see and replace gradients', () => {
    const m = new nn.Linear(2, 1, { bias: false });
    noGrad(() => m.weight.fill_(3));
    const seen: unknown[] = [];
    m.registerFullBackwardPreHook((_m, gradOutput) => [gradOutput[0]?.mul(2)]);
    const handle = m.registerFullBackwardHook((_m, gradInput, gradOutput) => {
      seen.push(gradInput[0]?.toArray(), gradOutput[0]?.toArray());
      return [gradInput[0]?.mul(10)];
    });
    const x = ones([1, 2], { requiresGrad: true });
    m.call(x).sum().backward();
    expect(seen).toEqual([[[6, 6]], [[2]]]);
    expect(x.grad?.toArray()).toEqual([[60, 60]]);
    expect(m.weight.grad?.toArray()).toEqual([[2, 2]]);
    handle.remove();
    // Without an input that requires grad the hook gets null.
    const inputs: unknown[] = [];
    m.registerFullBackwardHook((_m, gradInput) => void inputs.push(gradInput[0]));
    m.call(ones([1, 2]))
      .sum()
      .backward();
    expect(inputs).toEqual([null]);
  });
});

describe('text', () => {
  test('is laid out as in PyTorch', () => {
    const model = new SimpleNN();
    const expected =
      'SimpleNN(\n' +
      '  (fc1): Linear(inFeatures=4, outFeatures=3, bias=true)\n' +
      '  (act): ReLU()\n' +
      '  (fc2): Linear(inFeatures=3, outFeatures=2, bias=false)\n' +
      ')';
    expect(String(model)).toBe(expected);
    expect(inspect(model)).toBe(expected);
    expect(String(new nn.ModuleList([new nn.ReLU(), new nn.ReLU(), new nn.Tanh()]))).toBe(
      'ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)',
    );
  });
});

describe('bad input', () => {
  test('names the layer, the argument and what was expected', () => {
    expect(() => new nn.Linear('4' as never, 2)).toThrow(
      "Linear: argument 'inFeatures' must be an integer, got '4'",
    );
    expect(() => new nn.Linear(2.5, 2)).toThrow(RangeError);
    expect(() => new nn.Linear(2, -1)).toThrow('non-negative');
    expect(() => new nn.Linear(NaN, 2)).toThrow(RangeError);
    expect(() => new nn.Linear(2, 2, { bais: false } as object)).toThrow(
      "Linear: unknown option 'bais'; did you mean 'bias'? (options are bias, dtype, device)",
    );
    expect(() => new nn.Linear(2, 2, { bias: 1 as never })).toThrow("'bias' must be a boolean");
    expect(() => new nn.Linear(2, 2, false as never)).toThrow("'options' must be an object");
    expect(() => new nn.Linear(2, 2, { dtype: 'float99' as never })).toThrow('float99');
    expect(() => new nn.Dropout(1.5)).toThrow('probability');
    expect(() => new nn.GELU({ approximate: 'tan' as never })).toThrow("did you mean 'tanh'");
    expect(() => new nn.Sequential(3 as never)).toThrow("Sequential: argument 'module'");
    expect(() => new nn.Module().call()).toThrow('missing the required "forward" function');
    expect(() => new nn.Linear(2, 2).call(3 as never)).toThrow(TypeError);
    expect(() => new nn.Linear(2, 2).call(arange(3))).toThrow(/linear/);
  });
});
