import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cuda, data } from '../../lib';
import { codeOf } from './helpers';

const folder = mkdtempSync(join(tmpdir(), 'ampgrad-lines-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

function file(content: string): string {
  const path = join(folder, `f${count++}`);
  writeFileSync(path, content);
  return path;
}

describe('TextLines', () => {
  test('lines of every form', () => {
    const of = (text: string, options = {}): string[] => [
      ...new data.TextLines(file(text), options),
    ];
    expect(of('')).toEqual([]);
    expect(of('a')).toEqual(['a']);
    expect(of('a\n')).toEqual(['a']);
    expect(of('a\r\n\nnaïve \u{1f600}\n \nb')).toEqual(['a', '', 'naïve \u{1f600}', ' ', 'b']);
    expect(of('a\n\n \t\r\nb\n', { skipBlank: true })).toEqual(['a', 'b']);
    const long = Array.from({ length: 5 }, (_, i) => String(i).repeat(700_000));
    expect(of(long.join('\n'))).toEqual(long);
  });

  test('positions, errors', () => {
    const lines = new data.TextLines(file('a\nb\nc'));
    expect([lines.length, lines.getItem(1), lines.getItem(-1)]).toEqual([3, 'b', 'c']);
    expect(codeOf(() => lines.getItem(3))).toBe('ERR_RANGE');
    expect(codeOf(() => new data.TextLines(join(folder, 'none')))).toBe('ERR_FILE');
    expect(codeOf(() => new data.TextLines(folder))).toBe('ERR_FILE');
    expect(codeOf(() => new data.TextLines(3 as never))).toBe('ERR_TYPE');
    expect(codeOf(() => new data.TextLines(file(''), { skip: 1 } as never))).toBe('ERR_TYPE');
  });

  test('JSON lines, also in workers', () => {
    const path = file('{"x": 1}\n\n{"x": 2}\n{"x": 3}\n');
    const rows = new data.JsonLines<{ x: number }>(path);
    expect([...rows]).toEqual([{ x: 1 }, { x: 2 }, { x: 3 }]);
    const loader = new data.DataLoader(rows, {
      batchSize: 2,
      numWorkers: 1,
      workerOptions: { execArgv: ['--require', 'tsx/cjs'] },
    });
    expect(Array.from(loader, (b) => b.x.toArray())).toEqual([[1, 2], [3]]);
    expect(codeOf(() => new data.JsonLines(file('{')).getItem(0))).toBe('ERR_FILE');
  });
});

test('pinMemory warns and changes nothing where there is no GPU', () => {
  if (cuda.isAvailable()) return;
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const loader = new data.DataLoader([1, 2, 3], { batchSize: 3, pinMemory: true });
  expect(Array.from(loader, (b) => b.toArray())).toEqual([[1, 2, 3]]);
  expect(warn).toHaveBeenCalledTimes(1);
  warn.mockRestore();
  expect(codeOf(() => new data.DataLoader([1], { pinMemory: 1 as never }))).toBe('ERR_TYPE');
});
