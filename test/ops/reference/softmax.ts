/** Softmax of one line, and its logarithm. */
export function softmaxLine(v: number[]): number[] {
  const top = Math.max(...v);
  const e = v.map((x) => Math.exp(x - top));
  const total = e.reduce((a, b) => a + b, 0);
  return e.map((x) => x / total);
}

export function logSoftmaxLine(v: number[]): number[] {
  const top = Math.max(...v);
  const total = Math.log(v.reduce((n, x) => n + Math.exp(x - top), 0));
  return v.map((x) => x - top - total);
}
