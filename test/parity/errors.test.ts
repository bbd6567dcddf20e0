/** Calls that PyTorch refuses are refused here too, with a typed error. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Tensor } from '../../lib';
import { thrownBy } from '../support/codes';
import { parityFolder } from './all';
import { callCase, type Case, Missing } from './call';
import { Decoder, type Encoded } from './decode';

interface ErrorCase extends Case {
  readonly op: string;
  readonly variant: string;
  readonly i: number;
  readonly args: readonly Encoded[];
  readonly kwargs: Readonly<Record<string, Encoded>>;
  readonly error_type: readonly string[];
  readonly actual_message: string;
}

const pendingPath = join(__dirname, 'pendingErrors.json');
const pending = JSON.parse(readFileSync(pendingPath, 'utf8')) as string[];

function nameOf(c: ErrorCase): string {
  return `${c.op}${c.variant === '' ? '' : `:${c.variant}`} ${String(c.i)}`;
}

/** docs/differences.md: element-wise functions take numbers wherever they take tensors. */
function isNumberForTensor(c: ErrorCase): boolean {
  return (
    c.args.some((a) => 'int' in a || 'float' in a) &&
    /must be Tensor, not (int|float)|invalid combination of arguments/.test(c.actual_message)
  );
}

/** What is wrong with the reaction to a bad call; undefined: nothing. */
function complaint(c: ErrorCase): string | undefined {
  const decoder = new Decoder(undefined, false);
  const thrown = thrownBy(() => {
    const args = c.args.map((v, i) => decoder.decode(v, ['args', i]));
    const kwargs = Object.entries(c.kwargs).map(([k, v]) => [k, decoder.decode(v, [k])]);
    try {
      const result = callCase(c, args, Object.fromEntries(kwargs) as Record<string, unknown>);
      if (result instanceof Tensor) result.dataSync();
    } catch (e) {
      if (!(e instanceof Missing)) throw e;
      throw Object.assign(e, { code: 'MISSING' });
    }
  });
  // operators.test.ts lists functions that do not exist.
  if (thrown.code === 'MISSING') return undefined;
  if (thrown.kind === 'nothing' && isNumberForTensor(c)) return undefined;
  if (thrown.kind === 'nothing') return `no error; PyTorch: ${c.actual_message}`;
  if (thrown.kind === 'Error' || thrown.code === 'ERR_INTERNAL' || thrown.code === '') {
    return `${thrown.kind} ${thrown.code}: ${thrown.message}`;
  }
  return undefined;
}

if (parityFolder === undefined) {
  console.warn('skipped: no folder of parity cases (AMPGRAD_PARITY or ../shared/parity)');
  test.skip('parity cases are not there', () => undefined);
} else {
  const cases = readFileSync(join(parityFolder, 'opinfo_errors.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ErrorCase)
    .filter((c) => !('out' in c.kwargs));
  const known = new Set(pending);

  if (process.env['AMPGRAD_PARITY_UPDATE'] !== undefined) {
    const failing = cases.filter((c) => complaint(c) !== undefined).map(nameOf);
    writeFileSync(pendingPath, `${JSON.stringify(failing, null, 2)}\n`);
  }

  test.each(cases.map((c) => [nameOf(c), c] as const))('%s', (name, c) => {
    const problem = complaint(c);
    if (known.has(name)) {
      if (problem === undefined)
        throw new Error(`passes now; remove '${name}' from pendingErrors.json`);
    } else if (problem !== undefined) {
      throw new Error(problem);
    }
  });
}
