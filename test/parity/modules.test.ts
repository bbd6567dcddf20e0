/** Modules against recorded answers of PyTorch: state dicts, outputs, gradients, statistics. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { memory } from '../../lib';
import { parityFolder } from './all';
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

if (parityFolder === undefined) {
  test.skip('parity cases are not there', () => undefined);
} else {
  const folder = parityFolder;
  const names = readdirSync(join(folder, 'module_cases'))
    .filter((name) => /^[A-Z].*\.json$/.test(name))
    .map((name) => name.replace(/\.json$/, ''));
  test.each(names)('%s', (name) => {
    expect(failuresOf(folder, name)).toEqual([]);
  });
}
