/**
 * Modules against recorded answers of PyTorch: state dicts, outputs, gradients, statistics.
 * pendingModules.json lists, by device, the modules that fail there; AMPGRAD_PARITY_UPDATE=1 rewrites it.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { memory } from '../../lib';
import { parityFolder } from './all';
import { testDevice } from './device';
import { type ModuleSample, runModule } from './modules';
import { SafeTensors } from './safetensors';

interface ModuleFile {
  readonly kind: string;
  readonly samples: readonly ModuleSample[];
}

function failuresOf(folder: string, name: string): string[] {
  const path = join(folder, 'module_cases', name);
  const file = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as ModuleFile;
  if (file.kind !== 'module') return [];
  const tensors = existsSync(`${path}.safetensors`)
    ? new SafeTensors(`${path}.safetensors`)
    : (undefined as never);
  return file.samples.flatMap((sample) => {
    try {
      memory.tidy(() => runModule(sample, tensors));
      return [];
    } catch (e) {
      const mode = sample.training ? 'training' : 'evaluation';
      return [
        `sample ${String(sample.i)} (${sample.desc}, ${sample.dtype}, ${mode}): ` +
          (e as Error).message,
      ];
    }
  });
}

const path = join(__dirname, 'pendingModules.json');
const lists = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string[]>;
const known = lists[testDevice] ?? [];

if (parityFolder === undefined) {
  test.skip('parity cases are not there', () => undefined);
} else {
  const folder = parityFolder;
  const names = readdirSync(join(folder, 'module_cases'))
    .filter((name) => /^[A-Z].*\.json$/.test(name))
    .map((name) => name.replace(/\.json$/, ''));
  const update = process.env['AMPGRAD_PARITY_UPDATE'] !== undefined;
  const found: string[] = [];
  test.each(names)('%s', (name) => {
    const failures = failuresOf(folder, name);
    if (failures.length > 0) found.push(name);
    if (update) return;
    if (!known.includes(name)) expect(failures).toEqual([]);
    else if (failures.length === 0) throw new Error(`${name} passes: remove it from the list`);
  });
  afterAll(() => {
    if (update)
      writeFileSync(path, `${JSON.stringify({ ...lists, [testDevice]: found }, null, 2)}\n`);
  });
}
