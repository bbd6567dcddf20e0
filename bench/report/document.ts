/** What of docs/performance.md is made from a saved comparison: the table and the charts. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { drawCharts } from './charts';
import { type SavedRun } from './saved';
import { markdownTable } from './tables';

const begin = '<!-- Made by npm run bench:compare from a saved run: begin -->';
const end = '<!-- end -->';

/** The document with its table replaced, formatted as the linter wants it. */
export async function withTable(path: string, run: SavedRun): Promise<string> {
  const text = readFileSync(path, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`${path} lacks the lines '${begin}' and '${end}'`);
  const { format, resolveConfig } = await import('prettier');
  const whole = `${text.slice(0, from + begin.length)}\n\n${markdownTable(run)}\n\n${text.slice(to)}`;
  return format(whole, { ...(await resolveConfig(path)), filepath: path });
}

/** Writes the table into the document, and its charts into a folder of the same name. */
export async function writeDocument(path: string, run: SavedRun): Promise<void> {
  writeFileSync(path, await withTable(path, run));
  const folder = path.replace(/\.md$/, '');
  mkdirSync(folder, { recursive: true });
  for (const [name, svg] of await drawCharts(run)) writeFileSync(join(folder, name), svg);
}
