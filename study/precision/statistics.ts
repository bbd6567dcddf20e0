/** The few statistics of the study. */

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Sample standard deviation; NaN for fewer than two values. */
export function deviation(values: readonly number[]): number {
  const m = mean(values);
  return Math.sqrt(values.reduce((a, v) => a + (v - m) ** 2, 0) / (values.length - 1));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

// Two-sided 95% points of Student's t for 1 to 10 degrees of freedom.
const studentT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

/** Half the width of the 95% confidence interval of a mean; NaN for fewer than two values. */
export function halfInterval(values: readonly number[]): number {
  const freedom = values.length - 1;
  if (freedom < 1) return NaN;
  const t = studentT[freedom - 1] ?? 1.96;
  return (t * deviation(values)) / Math.sqrt(values.length);
}
