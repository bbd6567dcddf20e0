/**
 * Operators against recorded answers of PyTorch. What is not there yet, or fails, stands in
 * pending.json; an entry that passes must be removed. AMPGRAD_PARITY_UPDATE=1 rewrites the list.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { operatorFiles, parityFolder, runFile, type Outcome } from './all';
import { testDevice } from './device';

interface Pending {
  /** Files whose function does not exist. */
  missing: string[];
  /** Samples that fail, by file. */
  failing: Record<string, string[]>;
}

const pendingPath = join(__dirname, testDevice === 'cpu' ? 'pending.json' : 'pending.cuda.json');
const pending = JSON.parse(readFileSync(pendingPath, 'utf8')) as Pending;

function check(outcome: Outcome): void {
  const listed = pending.missing.includes(outcome.file);
  if (outcome.missing) {
    if (!listed) throw new Error(`${outcome.file}: the function is missing`);
    return;
  }
  if (listed) throw new Error(`${outcome.file}: exists now; remove it from pending.json`);
  const known = pending.failing[outcome.file] ?? [];
  const fresh = Object.keys(outcome.failures).filter((i) => !known.includes(i));
  const shown = fresh.slice(0, 5).map((i) => `sample ${i}: ${outcome.failures[i] ?? ''}`);
  if (fresh.length > 0) {
    throw new Error(`${String(fresh.length)} samples fail\n${shown.join('\n')}`);
  }
  const passing = known.filter((i) => !(i in outcome.failures));
  if (passing.length > 0) {
    throw new Error(`samples ${passing.join(', ')} pass now; remove them from pending.json`);
  }
}

function rewrite(folder: string): void {
  const list: Pending = { missing: [], failing: {} };
  for (const name of operatorFiles(folder)) {
    const outcome = runFile(folder, name);
    if (outcome.missing) list.missing.push(name);
    const failing = Object.keys(outcome.failures);
    if (failing.length > 0) list.failing[name] = failing;
  }
  writeFileSync(pendingPath, `${JSON.stringify(list, null, 2)}\n`);
}

if (parityFolder === undefined) {
  console.warn('skipped: no folder of parity cases (AMPGRAD_PARITY or ../shared/parity)');
  test.skip('parity cases are not there', () => undefined);
} else if (process.env['AMPGRAD_PARITY_UPDATE'] !== undefined) {
  test('rewrites pending.json', () => rewrite(parityFolder as string));
} else {
  const folder = parityFolder;
  test.each(operatorFiles(folder))('%s', (name) => check(runFile(folder, name)));
  test('pending.json names files that exist', () => {
    const names = new Set(operatorFiles(folder));
    const listed = [...pending.missing, ...Object.keys(pending.failing)];
    expect(listed.filter((name) => !names.has(name))).toEqual([]);
  });
}
