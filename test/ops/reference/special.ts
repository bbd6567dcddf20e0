/** Special functions in double precision, written from their textbook series. */

/** Error function: Maclaurin series near zero, continued fraction of erfc elsewhere. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (Math.abs(x) > 3) return Math.sign(x) * (1 - erfc(Math.abs(x)));
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; ++n) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

export function erfc(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x < 2) return 1 - erf(x);
  if (x > 30) return 0;
  // erfc(x) = exp(-x^2) / (x sqrt(pi)) * 1 / (1 + 1/(2x^2) / (1 + 2/(2x^2) / (1 + ...)))
  let tail = x;
  for (let k = 120; k >= 1; --k) tail = x + k / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}

/** Newton's method on erf. */
export function erfinv(y: number): number {
  if (Number.isNaN(y) || Math.abs(y) > 1) return NaN;
  if (Math.abs(y) === 1) return y * Infinity;
  let x = 0;
  for (let i = 0; i < 100; ++i) {
    const step = (erf(x) - y) / ((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x));
    x -= Math.max(-0.5, Math.min(0.5, step));
  }
  return x;
}

/** Stirling's series after shifting the argument to the right. */
export function lgamma(x: number): number {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? x : Infinity;
  if (x <= 0) {
    if (Number.isInteger(x)) return Infinity;
    return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - lgamma(1 - x);
  }
  let shift = 0;
  let z = x;
  for (; z < 20; ++z) shift += Math.log(z);
  const w = 1 / (z * z);
  const series = (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w / 1188)))) / z;
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series - shift;
}

export function digamma(x: number): number {
  if (Number.isNaN(x) || x === -Infinity) return NaN;
  if (x === Infinity) return x;
  if (x === 0) return Object.is(x, -0) ? Infinity : -Infinity;
  if (x < 0) {
    return Number.isInteger(x) ? NaN : digamma(1 - x) - Math.PI / Math.tan(Math.PI * x);
  }
  let shift = 0;
  let z = x;
  for (; z < 20; ++z) shift += 1 / z;
  const w = 1 / (z * z);
  const series = w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w / 132))));
  return Math.log(z) - 0.5 / z - series - shift;
}

/** Nearest integer, halves to even. */
export function roundEven(x: number): number {
  if (!Number.isFinite(x) || Number.isInteger(x)) return x;
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

export function gcd(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : gcd(b, a % b);
}

/** Python's modulo: the sign of the divisor. */
export function pythonModulo(a: number, b: number): number {
  if (!Number.isFinite(b) && Number.isFinite(a) && !Number.isNaN(b)) {
    return a === 0 || a < 0 === b < 0 ? a : b;
  }
  const r = a % b;
  return r !== 0 && r < 0 !== b < 0 ? r + b : r;
}

/** Python's floor division, by way of the modulo. */
export function floorDivide(a: number, b: number): number {
  if (b === 0) return a / b;
  if (!Number.isFinite(a)) return Number.isFinite(b) ? (a / b === Infinity ? NaN : NaN) : NaN;
  if (Number.isNaN(b)) return NaN;
  const q = (a - pythonModulo(a, b)) / b;
  if (!Number.isFinite(b)) return a === 0 ? 0 : a < 0 === b < 0 ? 0 : -1;
  return Math.round(q);
}

export function logAddExp(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return NaN;
  if (a === b && !Number.isFinite(a)) return a;
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

/** The next double after `a` towards `b`. */
export function nextAfter(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return NaN;
  if (a === b) return b;
  if (a === 0) return Math.sign(b) * Number.MIN_VALUE;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, a);
  const bits = view.getBigInt64(0);
  view.setBigInt64(0, a < b === a > 0 ? bits + 1n : bits - 1n);
  return view.getFloat64(0);
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

export function softplus(x: number): number {
  return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x));
}

export function normalCdf(x: number): number {
  return 0.5 * erfc(-x / Math.SQRT2);
}

/** The n-th derivative of digamma, n >= 1, for positive x: a sum, and its tail by Euler-Maclaurin. */
export function polygamma(n: number, x: number): number {
  let factorial = 1;
  for (let k = 2; k <= n; ++k) factorial *= k;
  let sum = 0;
  let z = x;
  for (; z < 30; ++z) sum += z ** -(n + 1);
  const tail = z ** -n / n + 0.5 * z ** -(n + 1);
  const second = (n + 1) * z ** -(n + 2);
  const fourth = (second * (n + 2) * (n + 3)) / z ** 2;
  const sixth = (fourth * (n + 4) * (n + 5)) / z ** 2;
  const total = sum + tail + second / 12 - fourth / 720 + sixth / 30240;
  return (n % 2 === 0 ? -1 : 1) * factorial * total;
}
