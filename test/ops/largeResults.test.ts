/** Results too large for the caches take loops of their own; they must equal those of small pieces. */
import { cat, rand, type Tensor } from '../../lib';

/** More than 16 MiB of float16, and no multiple of what vectors, lines and threads take at once. */
const n = (1 << 23) + 1037;

/** `fn` of one piece after the other, each of a few hundred KiB. */
function inPieces(x: Tensor, fn: (piece: Tensor, at: number) => Tensor): Tensor {
  const size = 65_521;
  const pieces: Tensor[] = [];
  for (let at = 0; at < x.size(0); at += size) {
    pieces.push(fn(x.narrow(0, at, Math.min(size, x.size(0) - at)), at));
  }
  return cat(pieces);
}

function expectSame(large: Tensor, pieces: Tensor): void {
  expect(large.dtype).toBe(pieces.dtype);
  expect(large.equal(pieces)).toBe(true);
}

describe('large results', () => {
  // One number past an aligned block, so that loads are not aligned.
  const x = rand(n + 1)
    .sub(0.5)
    .mul(8)
    .narrow(0, 1, n);
  const y = rand(n);

  test('of one, two and three operands', () => {
    expectSame(
      x.relu(),
      inPieces(x, (p) => p.relu()),
    );
    expectSame(
      x.mul(1.5),
      inPieces(x, (p) => p.mul(1.5)),
    );
    expectSame(
      x.add(y),
      inPieces(x, (p, at) => p.add(y.narrow(0, at, p.size(0)))),
    );
    expectSame(
      x.lerp(y, 0.25),
      inPieces(x, (p, at) => p.lerp(y.narrow(0, at, p.size(0)), 0.25)),
    );
  });

  test('in place', () => {
    const inPlace = (f: (t: Tensor) => Tensor, from: Tensor = x): Tensor => f(from.clone());
    expectSame(
      inPlace((t) => t.relu_()),
      x.relu(),
    );
    expectSame(
      inPlace((t) => t.add_(y)),
      x.add(y),
    );
    expectSame(
      inPlace((t) => t.mul_(y.get(0))),
      x.mul(y.get(0)),
    );
    expectSame(
      inPlace((t) => t.lerp_(y, 0.25)),
      x.lerp(y, 0.25),
    );
    const halves = x.half();
    expectSame(
      inPlace((t) => t.mul_(3), halves),
      halves.mul(3),
    );
    const shifted = x.clone();
    shifted.narrow(0, 3, n - 3).mul_(2);
    expectSame(shifted.narrow(0, 3, n - 3), x.narrow(0, 3, n - 3).mul(2));
    expectSame(shifted.narrow(0, 0, 3), x.narrow(0, 0, 3));
  });

  test('whose rows begin in the middle of a cache line', () => {
    const rows = 4391;
    const cols = 1021;
    const matrix = x.narrow(0, 0, rows * cols).view(rows, cols);
    const bias = y.narrow(0, 3, cols);
    const expected = cat(Array.from({ length: rows }, (_, i) => matrix.select(0, i).add(bias)));
    expectSame(matrix.add(bias).view(rows * cols), expected);
  });

  test.each([
    ['float32', 'float16'],
    ['float32', 'bfloat16'],
    ['float16', 'float32'],
    ['bfloat16', 'float32'],
    ['float32', 'float64'],
  ] as const)('of a cast from %s to %s', (from, to) => {
    const source = x.to(from).clone();
    source.set([5], NaN);
    source.set([n - 2], Infinity);
    const bits = (t: Tensor): Tensor => t.nanToNum({ nan: 7, posinf: 9 });
    expectSame(
      bits(source.to(to)),
      inPieces(source, (p) => bits(p.to(to))),
    );
  });
});
