/** Finds the folder of parity cases and runs all operator files. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { memory } from '../../lib';
import { Missing } from './call';
import { runSample, type OpFile } from './run';
import { SafeTensors } from './safetensors';

const beside = join(__dirname, '../../../shared/parity');

/** The folder of cases: AMPGRAD_PARITY, or shared/parity beside the repository. */
export const parityFolder: string | undefined = [process.env['AMPGRAD_PARITY'], beside].find(
  (folder): folder is string => folder !== undefined && existsSync(join(folder, 'opinfo')),
);

export function operatorFiles(folder: string): string[] {
  return readdirSync(join(folder, 'opinfo'))
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.replace(/\.json$/, ''));
}

/** Failures listed in docs/differences.md, by file: what the message must match. */
const accepted = JSON.parse(readFileSync(join(__dirname, 'accepted.json'), 'utf8')) as Record<
  string,
  { readonly failure: string }
>;

function isAccepted(name: string, message: string): boolean {
  const entry = accepted[name];
  return entry !== undefined && new RegExp(entry.failure).test(message);
}

/** What failed: by sample number, why. `missing`: there is no such function. */
export interface Outcome {
  readonly file: string;
  readonly samples: number;
  readonly missing: boolean;
  readonly failures: Readonly<Record<string, string>>;
}

export function runFile(folder: string, name: string): Outcome {
  const path = join(folder, 'opinfo', name);
  const file = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as OpFile;
  const data = `${path}.safetensors`;
  const tensors = existsSync(data) ? new SafeTensors(data) : (undefined as never);
  const failures: Record<string, string> = {};
  for (const sample of file.samples) {
    try {
      memory.tidy(() => {
        runSample(file, sample, tensors);
      });
    } catch (e) {
      if (e instanceof Missing) {
        return { file: name, samples: file.samples.length, missing: true, failures: {} };
      }
      if (isAccepted(name, (e as Error).message)) continue;
      failures[String(sample.i)] = `${sample.dtype}, ${sample.origin}: ${(e as Error).message}`;
    }
  }
  return { file: name, samples: file.samples.length, missing: false, failures };
}
