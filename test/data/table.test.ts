import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { data } from '../../lib';
import { codeOf } from './helpers';

const folder = mkdtempSync(join(tmpdir(), 'ampgrad-table-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});
let count = 0;

function file(content: string | Buffer): string {
  const path = join(folder, `t${String(count++)}`);
  writeFileSync(path, content);
  return path;
}

describe('readCsv', () => {
  const csv = '\ufeffid,x,text\r\n007,1.5,"a, ""b"""\r\n008,-2e1,\r\n\r\n009,3,c\r\n';

  test('a header, quotes, numbers by column', () => {
    const table = data.readCsv(file(csv));
    expect([...table]).toEqual([
      { id: '007', x: 1.5, text: 'a, "b"' },
      { id: '008', x: -20, text: '' },
      { id: '009', x: 3, text: 'c' },
    ]);
    expect(table.column('x')).toEqual([1.5, -20, 3]);
    expect(table.getItem(-1).text).toBe('c');
    expect(data.readCsv(file(csv), { numbers: false }).getItem(0).x).toBe('1.5');
    expect(data.readCsv(file('n\n9007199254740993\n')).getItem(0).n).toBe('9007199254740993');
    expect(data.readCsv(file('')).length).toBe(0);
  });

  test('names and delimiters, in a loader with a worker', () => {
    const table = data.readCsv<{ a: number; b: number }>(file('1;2\n3;4\n'), {
      columns: ['a', 'b'],
      delimiter: ';',
    });
    const loader = new data.DataLoader(table, {
      batchSize: 2,
      numWorkers: 1,
      workerOptions: { execArgv: ['--require', 'tsx/cjs'] },
    });
    const rows = Array.from(loader, (b) => [b.a.toArray(), b.b.toArray()]);
    expect(rows).toEqual([
      [
        [1, 3],
        [2, 4],
      ],
    ]);
  });

  test('wrong arguments and files', () => {
    const table = data.readCsv(file(csv));
    const cases: [() => unknown, string][] = [
      [() => data.readCsv(1 as never), 'ERR_TYPE'],
      [() => data.readCsv(join(folder, 'none')), 'ERR_FILE'],
      [() => data.readCsv(file('a,b\n1\n')), 'ERR_FILE'],
      [() => data.readCsv(file('a\n"1\n')), 'ERR_FILE'],
      [() => data.readCsv('x', { delimiter: '' }), 'ERR_TYPE'],
      [() => data.readCsv('x', { columns: [] }), 'ERR_TYPE'],
      [() => data.readCsv('x', { numbers: 1 as never }), 'ERR_TYPE'],
      [() => data.readCsv('x', { header: true } as never), 'ERR_TYPE'],
      [() => table.column('y'), 'ERR_VALUE'],
      [() => table.getItem(3), 'ERR_RANGE'],
      [() => new data.Table(1 as never), 'ERR_TYPE'],
      [() => new data.Table([1] as never), 'ERR_TYPE'],
    ];
    for (const [fn, code] of cases) expect(codeOf(fn)).toBe(code);
  });
});

/** A process of its own: modules of the kind of hyparquet cannot be imported inside of Jest. */
function run(script: string): unknown {
  const lib = JSON.stringify(join(__dirname, '../../lib'));
  const text = `const { data } = require(${lib}); (async () => { ${script} })();`;
  const args = ['--require', 'tsx/cjs', '-e', text];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

describe('readParquet', () => {
  test('rows, chosen columns, broken files', () => {
    const path = join(folder, 'x.parquet');
    const bad = file('PAR1 nothing PAR1');
    const found = run(`
      const { parquetWriteBuffer } = await import('hyparquet-writer');
      const columnData = [
        { name: 'x', data: [1.5, 2, 3], type: 'DOUBLE' },
        { name: 'name', data: ['a', 'b', null], type: 'STRING' },
      ];
      const path = ${JSON.stringify(path)};
      require('node:fs').writeFileSync(path, Buffer.from(parquetWriteBuffer({ columnData })));
      const all = await data.readParquet(path);
      const some = await data.readParquet(path, { columns: ['x'] });
      const codes = [];
      for (const p of [${JSON.stringify(bad)}, path + 'no']) {
        codes.push(await data.readParquet(p).catch((e) => e.code));
      }
      console.log(JSON.stringify([[...all], [...some], codes]));
    `);
    const [x, y] = [{ x: 1.5 }, { x: 2 }];
    expect(found).toEqual([
      [
        { ...x, name: 'a' },
        { ...y, name: 'b' },
        { x: 3, name: null },
      ],
      [x, y, { x: 3 }],
      ['ERR_FILE', 'ERR_FILE'],
    ]);
  });

  test('wrong arguments', async () => {
    await expect(data.readParquet(1 as never)).rejects.toMatchObject({ code: 'ERR_TYPE' });
    const columns = 'x' as never;
    await expect(data.readParquet('x', { columns })).rejects.toMatchObject({ code: 'ERR_TYPE' });
  });
});

test('without the packages errors say what to install', async () => {
  const absent = (): never => {
    throw new Error('not here');
  };
  jest.resetModules();
  jest.doMock('csv-parse/sync', absent, { virtual: true });
  jest.doMock('hyparquet', absent, { virtual: true });
  expect(() => data.readCsv('x')).toThrow('npm install csv-parse');
  await expect(data.readParquet('x')).rejects.toMatchObject({ code: 'ERR_NOT_IMPLEMENTED' });
});
