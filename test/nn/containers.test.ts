import { nn, ones, randn, type Tensor, zeros } from '../../lib';

describe('Sequential', () => {
  test('runs modules in order; items are fields', () => {
    const model = new nn.Sequential(new nn.Linear(3, 4), new nn.Identity(), new nn.Linear(4, 2));
    expect(model.call(randn([5, 3])).shape).toEqual([5, 2]);
    expect(model).toHaveLength(3);
    expect(model[2]).toBe(model.at(-1));
    expect(model.getSubmodule('1')).toBe(model[1]);
    expect(Object.keys(model.stateDict())).toEqual(['0.weight', '0.bias', '2.weight', '2.bias']);
    expect([...model].map((m) => m.constructor.name)).toEqual(['Linear', 'Identity', 'Linear']);
    expect(() => model.at(3)).toThrow(RangeError);
  });

  test('takes names', () => {
    const model = new nn.Sequential({ fc: new nn.Linear(2, 3), act: new nn.Identity() });
    expect(Object.keys(model.stateDict())).toEqual(['fc.weight', 'fc.bias']);
    expect(model.call(ones([1, 2])).shape).toEqual([1, 3]);
    expect(() => new nn.Sequential({ forward: new nn.Identity() })).toThrow('already exists');
    const map = new Map<string, nn.Module>([['x', new nn.Identity()]]);
    expect(new nn.Sequential(map).namedChildren()[0]?.[0]).toBe('x');
  });

  test('append, insert, set, pop, slice', () => {
    const [a, b, c] = [new nn.Identity(), new nn.Flatten(), new nn.ReLU()];
    const model = new nn.Sequential(a);
    model.append(c).insert(1, b);
    expect([...model]).toEqual([a, b, c]);
    expect(model.pop(0)).toBe(a);
    expect(model.namedChildren().map(([n]) => n)).toEqual(['0', '1']);
    expect([...model.slice(1)]).toEqual([c]);
    model.set(-1, a);
    expect(model[1]).toBe(a);
    model[0] = c as nn.TensorModule;
    expect(model.at(0)).toBe(c);
    expect(model.call(zeros([1, 1])).shape).toEqual([1, 1]);
  });
});

describe('lists and dictionaries', () => {
  test('ModuleList', () => {
    const list = new nn.ModuleList([new nn.Linear(2, 2), new nn.Linear(2, 2)]);
    list.append(new nn.Linear(2, 2)).extend([new nn.Linear(2, 2)]);
    expect(list).toHaveLength(4);
    expect(list.parameters()).toHaveLength(8);
    expect(list.at(-1)).toBe(list[3]);
    const removed = list.pop();
    expect(list.length).toBe(3);
    list.insert(0, removed);
    expect(list[0]).toBe(removed);
    expect(Object.keys(list.stateDict())[0]).toBe('0.weight');
    let x: Tensor = ones([1, 2]);
    for (const layer of list) x = layer.call(x);
    expect(x.shape).toEqual([1, 2]);
    expect(list.slice(1, 3)).toHaveLength(2);
    expect(() => list.append(3 as never)).toThrow('must be a Module');
    expect(() => list.call()).toThrow('missing the required "forward"');
  });

  test('ModuleDict keeps the order of insertion, whatever the names', () => {
    const dict = new nn.ModuleDict({ b: new nn.Linear(1, 1), keys: new nn.Identity() });
    dict.set('0', new nn.Linear(1, 1));
    expect([...dict.keys()]).toEqual(['b', 'keys', '0']);
    expect(Object.keys(dict.stateDict())).toEqual(['b.weight', 'b.bias', '0.weight', '0.bias']);
    expect(dict.get('keys')).toBeInstanceOf(nn.Identity);
    expect(() => dict.get('c')).toThrow(RangeError);
    expect(dict.pop('b')).toBeInstanceOf(nn.Linear);
    expect(dict.has('b')).toBe(false);
    expect(dict.size).toBe(2);
    expect(() => dict.set('a.b', new nn.Identity())).toThrow("'.'");
    expect(dict.deepCopy().parameters()).toHaveLength(2);
  });

  test('ParameterList and ParameterDict make parameters of tensors', () => {
    const list = new nn.ParameterList([ones([2]), new nn.Parameter(ones([3]))]);
    expect(list.parameters().map((p) => p.shape)).toEqual([[2], [3]]);
    expect(list[0]).toBeInstanceOf(nn.Parameter);
    const dict = new nn.ParameterDict({ a: ones([1]) });
    expect(dict.get('a').requiresGrad).toBe(true);
    expect(Object.keys(dict.stateDict())).toEqual(['a']);
    expect(() => list.append(3 as never)).toThrow('Parameter or Tensor');
  });
});
