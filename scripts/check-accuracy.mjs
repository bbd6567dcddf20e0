// Reads a training log and fails unless its last JSON line reports at least the accuracy given.
// Usage: node scripts/check-accuracy.mjs 0.85 < log
import { readFileSync } from 'node:fs';

const wanted = Number(process.argv[2]);
const json = readFileSync(0, 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('{'));
if (!(wanted > 0) || json.length === 0) {
  console.error(`check-accuracy: needs a threshold above 0 and a log with a JSON line`);
  process.exit(1);
}
const last = JSON.parse(json[json.length - 1]);
const accuracy = last.testAccuracy ?? last.accuracy;
if (!(accuracy >= wanted)) {
  console.error(`check-accuracy: got ${accuracy}, wanted at least ${wanted}`);
  process.exit(1);
}
console.log(`check-accuracy: ${accuracy} >= ${wanted}`);
