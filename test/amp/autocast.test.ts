import {
  add,
  addcmul,
  amp,
  cat,
  exp,
  Function,
  type FunctionContext,
  grad,
  linear,
  matmul,
  mm,
  noGrad,
  ones,
  randn,
  softmax,
  sum,
  type Tensor,
  tensor,
} from '../../lib';

const { autocast } = amp;
const x = randn([4, 4]);

function weight(): Tensor {
  return randn([4, 4], { requiresGrad: true });
}

describe('regions', () => {
  test('defaults', () => {
    expect(amp.getAutocastDtype('cpu')).toBe('bfloat16');
    expect(amp.getAutocastDtype('cuda')).toBe('float16');
    expect(amp.isAutocastEnabled('cpu')).toBe(false);
    expect(amp.isAutocastEnabled()).toBe(false);
    expect(amp.isAutocastCacheEnabled()).toBe(true);
    expect(amp.isAutocastAvailable('cpu')).toBe(true);
    expect(amp.isAutocastAvailable('mps')).toBe(false);
  });

  test('callback form returns the result and restores', () => {
    const y = autocast('cpu', () => {
      expect(amp.isAutocastEnabled('cpu')).toBe(true);
      return matmul(x, x);
    });
    expect(y.dtype).toBe('bfloat16');
    expect(matmul(x, x).dtype).toBe('float32');
    expect(() =>
      autocast('cpu', () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(matmul(x, x).dtype).toBe('float32');
    expect(amp.autocastCacheStats().depth).toBe(0);
  });

  test('nesting: dtype, disabled inside enabled, restored after', () => {
    autocast('cpu', { dtype: 'bfloat16' }, () => {
      expect(mm(x, x).dtype).toBe('bfloat16');
      autocast('cpu', { dtype: 'float16' }, () => {
        expect(mm(x, x).dtype).toBe('float16');
        autocast('cpu', { enabled: false }, () => {
          expect(mm(x, x).dtype).toBe('float32');
          expect(() => mm(x.bfloat16(), x)).toThrow(/customFwd/);
        });
        expect(amp.autocastCacheStats().depth).toBe(2);
      });
      expect(mm(x, x).dtype).toBe('bfloat16');
    });
  });

  test('using form', () => {
    {
      using _ = autocast('cpu', { dtype: 'float16' });
      expect(mm(x, x).dtype).toBe('float16');
      {
        using _inner = autocast('cpu', { enabled: false });
        expect(mm(x, x).dtype).toBe('float32');
      }
      expect(mm(x, x).dtype).toBe('float16');
    }
    expect(mm(x, x).dtype).toBe('float32');
    const region = autocast('cpu').enter();
    expect(mm(x, x).dtype).toBe('bfloat16');
    region.end();
    region.end();
    expect(mm(x, x).dtype).toBe('float32');
  });

  test('a using region must not span an await', async () => {
    const region = autocast('cpu').enter();
    const inner = autocast('cpu', { dtype: 'float16' }).enter();
    expect(mm(x, x).dtype).toBe('float16');
    await Promise.resolve();
    expect(mm(x, x).dtype).toBe('float32');
    expect(() => inner.end()).toThrow(/await/);
    expect(() => region.end()).toThrow(/await/);
    expect(amp.autocastCacheStats().depth).toBe(0);
  });

  test('regions end in reverse order', () => {
    const a = autocast('cpu').enter();
    const b = autocast('cpu').enter();
    expect(() => a.end()).toThrow(/reverse/);
    b.end();
    a.end();
  });

  test('wrapper and method decorators', () => {
    const f = autocast('cpu', { dtype: 'float16' })((a: Tensor) => mm(a, a));
    expect(f(x).dtype).toBe('float16');
    class Net {
      readonly w = x;
      forward(a: Tensor): Tensor {
        return mm(a, this.w);
      }
    }
    const decorate = autocast('cpu');
    const descriptor = Object.getOwnPropertyDescriptor(Net.prototype, 'forward');
    const replaced = decorate(Net.prototype, 'forward', descriptor as PropertyDescriptor);
    Object.defineProperty(Net.prototype, 'forward', replaced);
    expect(new Net().forward(x).dtype).toBe('bfloat16');
    expect(mm(x, x).dtype).toBe('float32');
    expect(() => decorate(3 as never)).toThrow(/using _ = autocast/);
  });

  test('setters last until the region ends', () => {
    autocast('cpu', () => {
      amp.setAutocastDtype('cpu', 'float16');
      expect(mm(x, x).dtype).toBe('float16');
      amp.setAutocastEnabled('cpu', false);
      expect(mm(x, x).dtype).toBe('float32');
    });
    expect(amp.getAutocastDtype('cpu')).toBe('bfloat16');
    amp.setAutocastDtype('cpu', 'float16');
    expect(autocast('cpu', () => mm(x, x)).dtype).toBe('float16');
    amp.setAutocastDtype('cpu', 'bfloat16');
    expect(() => amp.setAutocastDtype('cpu', 'float32' as never)).toThrow(/float16/);
  });

  test('errors', () => {
    const call = (...args: unknown[]) => (autocast as (...a: unknown[]) => unknown)(...args);
    expect(() => call(3)).toThrow(TypeError);
    expect(() => call('tpu')).toThrow(/unsupported autocast deviceType 'tpu'/);
    expect(() => call('cuda:0')).toThrow(/did you mean 'cuda'/);
    expect(() => call('cpu', { dtyp: 'float16' })).toThrow(/did you mean 'dtype'/);
    expect(() => call('cpu', { dtype: 'float' })).toThrow(/dtype name/);
    expect(() => call('cpu', { enabled: 1 })).toThrow(/boolean/);
    expect(() => call('cpu', {}, 3)).toThrow(/callback/);
    expect(() => call('cpu', 'float16')).toThrow(/options must be an object/);
  });

  test('unsupported dtypes warn and disable, CUDA without a device too', () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      expect(autocast('cpu', { dtype: 'float64' }, () => mm(x, x)).dtype).toBe('float32');
      expect(warn.mock.calls[0]?.[0]).toMatch(/target dtype float64 is not supported/);
      if (!amp.isAutocastAvailable('cuda')) {
        expect(autocast('cuda', () => amp.isAutocastEnabled('cuda'))).toBe(false);
        expect(warn.mock.calls[1]?.[0]).toMatch(/CUDA is not available/);
      }
    } finally {
      warn.mockRestore();
    }
  });
});

describe('async contexts', () => {
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  test('interleaved callbacks do not see each other', async () => {
    const run = (dtype: 'float16' | 'bfloat16', ms: number) =>
      autocast('cpu', { dtype }, async () => {
        const seen: string[] = [mm(x, x).dtype];
        for (let i = 0; i < 4; ++i) {
          await pause(ms);
          seen.push(mm(x, x).dtype, amp.getAutocastDtype('cpu'));
          const nested = autocast('cpu', { enabled: false }, () => mm(x, x).dtype);
          expect(nested).toBe('float32');
        }
        return seen;
      });
    const half = run('float16', 2);
    const brain = run('bfloat16', 1);
    const outside: string[] = [];
    for (let i = 0; i < 5; ++i) {
      outside.push(mm(x, x).dtype);
      expect(amp.isAutocastEnabled('cpu')).toBe(false);
      await pause(1);
    }
    expect(new Set(await half)).toEqual(new Set(['float16']));
    expect(new Set(await brain)).toEqual(new Set(['bfloat16']));
    expect(new Set(outside)).toEqual(new Set(['float32']));
    expect(mm(x, x).dtype).toBe('float32');
    expect(amp.autocastCacheStats()).toEqual({ depth: 0, entries: 0, bytes: 0 });
  });

  test('work that outlives its region runs in the outer state', async () => {
    let late: Promise<string> | undefined;
    autocast('cpu', () => {
      late = pause(1).then(() => mm(x, x).dtype);
    });
    const other = autocast('cpu', { dtype: 'float16' }, async () => {
      await pause(5);
      return mm(x, x).dtype;
    });
    expect(await late).toBe('float32');
    expect(await other).toBe('float16');
  });

  test('a region inside an async region, and rejection', async () => {
    await autocast('cpu', async () => {
      await pause(1);
      await autocast('cpu', { dtype: 'float16' }, async () => {
        await pause(1);
        expect(mm(x, x).dtype).toBe('float16');
      });
      expect(mm(x, x).dtype).toBe('bfloat16');
      const w = weight();
      mm(x, w).float().sum().backward();
      expect(w.grad?.dtype).toBe('float32');
      expect(mm(x, x).dtype).toBe('bfloat16');
    });
    await expect(
      autocast('cpu', async () => {
        await pause(1);
        throw new Error('late');
      }),
    ).rejects.toThrow('late');
    expect(amp.autocastCacheStats().depth).toBe(0);
  });
});

describe('eligibility', () => {
  test('half inputs of the other kind are cast, integers are not', () => {
    autocast('cpu', { dtype: 'bfloat16' }, () => {
      expect(mm(x.half(), x.half()).dtype).toBe('bfloat16');
      expect(mm(ones([2, 2], { dtype: 'int64' }), ones([2, 2], { dtype: 'int64' })).dtype).toBe(
        'int64',
      );
      expect(mm(x.double(), x.double()).dtype).toBe('float64');
      expect(() => mm(x.double(), x)).toThrow(/'input' is float64, which autocast never casts/);
    });
  });

  test('in-place ops keep the dtype of what they write', () => {
    autocast('cpu', () => {
      const h = ones([2], { dtype: 'bfloat16' });
      expect(h.add_(ones([2])).dtype).toBe('bfloat16');
      expect(add(h, ones([2])).dtype).toBe('float32');
      const integers = ones([2], { dtype: 'int32' });
      expect(() => integers.add_(ones([2]))).toThrow(/in-place forms are never cast/);
    });
  });

  test('promote takes the widest of the dtypes present', () => {
    autocast('cpu', { dtype: 'bfloat16' }, () => {
      expect(cat([x, x.bfloat16()]).dtype).toBe('float32');
      expect(cat([x.bfloat16(), x.bfloat16()]).dtype).toBe('bfloat16');
      expect(() => cat([x.bfloat16(), x.half()])).toThrow(/unexpected floating dtype float16/);
    });
  });

  test('the list of CUDA, rehearsed on the CPU', () => {
    autocast('cpu', { dtype: 'float16', opList: 'cuda' }, () => {
      const h = x.half();
      expect(exp(h).dtype).toBe('float32');
      expect(softmax(h, -1).dtype).toBe('float32');
      expect(softmax(h, -1, { dtype: 'float16' }).dtype).toBe('float16');
      expect(sum(h).dtype).toBe('float32');
      expect(h.sum({ dtype: 'float64' }).dtype).toBe('float64');
      expect(addcmul(x, h, h).dtype).toBe('float32');
      expect(addcmul(h, h, h).dtype).toBe('float16');
      expect(cat([h, h]).dtype).toBe('float16');
      expect(h.relu().dtype).toBe('float16');
      expect(ones([2], { dtype: 'int32' }).sum().dtype).toBe('int64');
    });
    autocast('cpu', { dtype: 'float16' }, () => {
      expect(exp(x.half()).dtype).toBe('float16');
      expect(softmax(x.half(), -1).dtype).toBe('float16');
    });
  });
});

describe('weight-cast cache', () => {
  test('leaves that require grad are cast once a region', () => {
    const w = weight();
    autocast('cpu', () => {
      mm(x, w);
      mm(x, w);
      expect(amp.autocastCacheStats()).toEqual({ depth: 1, entries: 1, bytes: 32 });
      mm(x, x); // needs no gradient
      mm(x, w.t()); // a view
      mm(x, w.mul(2)); // not a leaf
      expect(amp.autocastCacheStats().entries).toBe(1);
      amp.clearAutocastCache();
      expect(amp.autocastCacheStats().entries).toBe(0);
    });
    autocast('cpu', { cacheEnabled: false }, () => {
      mm(x, w);
      expect(amp.autocastCacheStats().entries).toBe(0);
    });
    expect(amp.autocastCacheStats()).toEqual({ depth: 0, entries: 0, bytes: 0 });
  });

  test('kept until the outermost region ends, even a disabled one', () => {
    const w = weight();
    autocast('cpu', { enabled: false }, () => {
      autocast('cpu', () => mm(x, w));
      expect(amp.autocastCacheStats().entries).toBe(1);
    });
    expect(amp.autocastCacheStats().entries).toBe(0);
  });

  test('a weight modified inside the region is cast again', () => {
    const w = ones([2, 2], { requiresGrad: true });
    autocast('cpu', () => {
      expect(mm(ones([1, 2]), w).toArray()).toEqual([[2, 2]]);
      noGrad(() => w.mul_(3));
      expect(mm(ones([1, 2]), w).toArray()).toEqual([[6, 6]]);
      w.setData(ones([2, 2]).mul(5));
      expect(mm(ones([1, 2]), w).toArray()).toEqual([[10, 10]]);
    });
  });

  test('a region of another dtype has its own casts', () => {
    const w = weight();
    autocast('cpu', { dtype: 'float16' }, () => {
      expect(mm(x, w).dtype).toBe('float16');
      autocast('cpu', { dtype: 'bfloat16' }, () => {
        expect(mm(x, w).dtype).toBe('bfloat16');
      });
      expect(mm(x, w).dtype).toBe('float16');
      expect(amp.autocastCacheStats().entries).toBe(2);
    });
  });

  test('a cast made under noGrad carries gradients later', () => {
    const w = weight();
    autocast('cpu', () => {
      noGrad(() => mm(x, w));
      expect(amp.autocastCacheStats().entries).toBe(1);
      mm(x, w).float().sum().backward();
    });
    expect(w.grad?.abs().sum().item()).toBeGreaterThan(0);
  });

  test('gradients of several uses arrive in float32', () => {
    const w = weight();
    const b = ones([4], { requiresGrad: true });
    const y = autocast('cpu', { dtype: 'float16' }, () => linear(linear(x, w, b), w, b));
    expect(y.dtype).toBe('float16');
    y.float().sum().backward();
    expect(w.grad?.dtype).toBe('float32');
    expect(b.grad?.dtype).toBe('float32');
    const [gw] = grad(linear(linear(x, w, b), w, b).sum(), [w]);
    const difference = gw
      ?.sub(w.grad as Tensor)
      .abs()
      .max()
      .item();
    expect(difference).toBeLessThan(0.05);
  });
});

describe('custom functions', () => {
  const seen: { enabled: boolean; dtype: string }[] = [];

  class Product extends Function {
    static forward = amp.customFwd({ deviceType: 'cpu' })(
      (ctx: FunctionContext, a: Tensor, b: Tensor) => {
        ctx.saveForBackward(a, b);
        return mm(a, b);
      },
    );
    static backward = amp.customBwd({ deviceType: 'cpu' })((ctx: FunctionContext, g: Tensor) => {
      const [a, b] = ctx.savedTensors as [Tensor, Tensor];
      seen.push({ enabled: amp.isAutocastEnabled('cpu'), dtype: mm(a, b).dtype });
      return [mm(g, b.t()), mm(a.t(), g)];
    });
  }

  test('backward runs in the state of the forward', () => {
    seen.length = 0;
    const w = weight();
    const y = autocast('cpu', { dtype: 'float16' }, () => Product.apply(x, w));
    expect(y.dtype).toBe('float16');
    y.float().sum().backward();
    autocast('cpu', () => {
      autocast('cpu', { enabled: false }, () => Product.apply(x, w))
        .sum()
        .backward();
      expect(mm(x, x).dtype).toBe('bfloat16');
    });
    expect(seen).toEqual([
      { enabled: true, dtype: 'float16' },
      { enabled: false, dtype: 'float32' },
    ]);
    expect(w.grad?.dtype).toBe('float32');
  });

  test('castInputs casts and turns autocast off', () => {
    const forward = amp.customFwd({ deviceType: 'cpu', castInputs: 'float32' })(
      (_ctx: FunctionContext, a: Tensor, rest: { list: Tensor[]; n: Tensor; d: Tensor }) => [
        a.dtype,
        rest.list[0]?.dtype,
        rest.n.dtype,
        rest.d.dtype,
        mm(a, a).dtype,
      ],
    );
    const inputs = { list: [x.half()], n: tensor([1, 2]), d: x.double() };
    const call = () => forward({} as FunctionContext, x.half(), inputs);
    expect(autocast('cpu', call)).toEqual(['float32', 'float32', 'int64', 'float64', 'float32']);
    expect(call()).toEqual(['float16', 'float16', 'int64', 'float64', 'float16']);
  });

  test('nothing is cast in a backward pass, whatever hooks do', () => {
    const w = weight();
    const dtypes: string[] = [];
    autocast('cpu', () => {
      const y = mm(x, w).float();
      y.registerHook(() => {
        dtypes.push(mm(x, x).dtype, String(amp.isAutocastEnabled('cpu')));
        autocast('cpu', { dtype: 'float16' }, () => dtypes.push(mm(x, x).dtype));
        dtypes.push(mm(x, x).dtype);
      });
      y.sum().backward();
      dtypes.push(mm(x, x).dtype);
    });
    expect(dtypes).toEqual(['float32', 'false', 'float16', 'float32', 'bfloat16']);
  });
});
