/** Runs a function on the CPU and on device 'cuda' and compares what it gives. */
import { type Tensor, where } from '../../lib';

type Result = Tensor | readonly Tensor[];

function expectClose(got: Tensor, wanted: Tensor, bound: number): void {
  expect(got.device).toBe('cuda:0');
  expect(got.dtype).toBe(wanted.dtype);
  expect(got.shape).toEqual(wanted.shape);
  const x = got.cpu();
  if (bound === 0) {
    expect(x.toArray()).toEqual(wanted.toArray());
    return;
  }
  if (wanted.numel() === 0) return;
  const w = wanted.double();
  const scale = Math.max(1, where(w.isfinite(), w, 0).abs().amax().item() as number);
  const error = where(x.double().eq(w), 0, x.double().sub(w).abs());
  expect(error.amax().item() as number).toBeLessThanOrEqual(bound * scale);
}

/** `f` of these tensors gives the same on both devices: the same bits when `bound` is 0. */
export function agree(f: (...args: Tensor[]) => Result, args: readonly Tensor[], bound = 0): void {
  const wanted = [f(...args)].flat() as Tensor[];
  const got = [f(...args.map((a) => a.cuda()))].flat() as Tensor[];
  expect(got.length).toBe(wanted.length);
  got.forEach((t, i) => {
    expectClose(t, wanted[i]!, bound);
  });
}
