/** Random numbers on device 'cuda' are the CPU's, bit for bit (float64: but for the libraries). */
import {
  bernoulli,
  empty,
  grad,
  manualSeed,
  nn,
  ones,
  rand,
  randint,
  randn,
  randperm,
  type Tensor,
} from '../../lib';
import { expectSame } from './support';
import { suite } from './suite';

type DeviceName = 'cpu' | 'cuda';

const { functional: F } = nn;
const dtypes = ['float16', 'bfloat16', 'float32', 'float64'] as const;

suite('device cuda, random numbers', () => {
  function check(draw: (device: DeviceName) => Tensor, exact = true): void {
    const [want, got] = (['cpu', 'cuda'] as const).map((device) => {
      manualSeed(5);
      draw(device); // the second draw starts within the stream
      return draw(device);
    }) as [Tensor, Tensor];
    expectSame(got, want, exact ? [0, 0] : [1e-14, 1e-14]);
  }

  test.each([1, 3, 4, 1000, 5001])('draws of %i', (n) => {
    for (const dtype of dtypes) {
      check((device) => rand([n], { dtype, device }));
      check((device) => randn([n], { dtype, device }), dtype !== 'float64');
      check((device) => empty([n], { dtype, device }).uniform_(-3, 5));
      check((device) => empty([n], { dtype, device }).normal_(2, 3), dtype !== 'float64');
    }
    for (const dtype of ['uint8', 'int16', 'int32', 'int64', 'float16', 'float64'] as const) {
      check((device) => randint(0, 100, [n], { dtype, device }));
    }
    for (const dtype of ['bool', 'int64', 'bfloat16', 'float64'] as const) {
      check((device) => empty([n], { dtype, device }).bernoulli_(0.3));
    }
  });

  test('into views', () => {
    check((device) => {
      const x = ones([9, 7], { device });
      x.t().narrow(0, 1, 3).uniform_();
      x.reshape([63]).narrow(0, 1, 9).normal_();
      return x;
    });
  });

  test.each([1, 2, 3, 100, 1025, 6000])('randperm of %i', (n) => {
    check((device) => randperm(n, { device }));
    if (n <= 100) {
      for (const dtype of ['int32', 'float16', 'float64', 'uint8'] as const) {
        check((device) => randperm(n, { dtype, device }));
      }
    }
  });

  test.each(dtypes)('dropout in %s', (dtype) => {
    for (const n of [5, 4096]) {
      for (const view of [false, true]) {
        const run = (device: DeviceName): Tensor[] => {
          manualSeed(6);
          const base = randn([n + 1])
            .to(dtype)
            .to(device)
            .requiresGrad_();
          const x = view ? base.narrow(0, 1, n) : base;
          manualSeed(7); // each device has a generator of its own
          const y = F.dropout(x, 0.4);
          return [y, ...(grad([y.sum()], [base]) as Tensor[])];
        };
        const [want, got] = [run('cpu'), run('cuda')];
        got.forEach((t, i) => {
          expectSame(t, want[i] as Tensor);
        });
      }
    }
    check((device) => bernoulli(ones([100], { device }).mul(0.25)));
  });
});
