/** Tables: rows of CSV and Parquet files as samples. The files are read by optional packages. */
import { readFileSync } from 'node:fs';

import { makeError } from '../errors';
import { Dataset } from './dataset';
import { checkBoolean, checkIndex, checkKeys, describe } from './options';
import { type WorkerRecipe } from './workers/protocol';

/** Rows in memory; a sample is an object with the row's cells. */
export class Table<Row extends object = Record<string, unknown>> extends Dataset<Row> {
  readonly rows: readonly Row[];

  constructor(rows: readonly Row[]) {
    super();
    if (!Array.isArray(rows)) {
      throw makeError('ERR_TYPE', `Table: expected an array of objects, got ${describe(rows)}`);
    }
    for (const row of rows as readonly unknown[]) {
      if (typeof row === 'object' && row !== null && !Array.isArray(row)) continue;
      throw makeError('ERR_TYPE', `Table: rows must be objects, got ${describe(row)}`);
    }
    this.rows = rows as readonly Row[];
  }

  get length(): number {
    return this.rows.length;
  }

  getItem(index: number): Row {
    return this.rows[checkIndex('Table.getItem', index, this.length)] as Row;
  }

  /** The cells of one column. */
  column<K extends keyof Row & string>(name: K): Row[K][] {
    if (this.length > 0 && !Object.hasOwn(this.rows[0] as Row, name)) {
      throw makeError('ERR_VALUE', `Table.column: there is no column ${describe(name)}`);
    }
    return this.rows.map((row) => row[name]);
  }

  override workerRecipe(): WorkerRecipe | undefined {
    if (this.constructor !== Table) return undefined;
    return { module: __filename, export: 'Table', construct: true, args: [this.rows] };
  }
}

function missing(where: string, name: string, cause: unknown): Error {
  const error = makeError(
    'ERR_NOT_IMPLEMENTED',
    `${where}: reading such files needs the package '${name}', which is not installed: run ` +
      `'npm install ${name}'`,
  );
  error.cause = cause;
  return error;
}

function broken(where: string, path: string, cause: unknown): Error {
  const error = makeError('ERR_FILE', `${where}: '${path}': ${(cause as Error).message}`);
  error.cause = cause;
  return error;
}

function checkPath(where: string, path: unknown): void {
  if (typeof path === 'string' && path !== '') return;
  throw makeError('ERR_TYPE', `${where}: path must be a string, got ${describe(path)}`);
}

function readNames(where: string, value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === 'string')) {
    return value as string[];
  }
  throw makeError(
    'ERR_TYPE',
    `${where}: 'columns' must be a non-empty array of strings, got ${describe(value)}`,
  );
}

export interface CsvOptions {
  /** Names of the columns, where the file has no header. Default: the first line. */
  readonly columns?: readonly string[] | undefined;
  /** Default `','`. */
  readonly delimiter?: string | undefined;
  /** Make numbers of columns that hold nothing else. Default true. */
  readonly numbers?: boolean | undefined;
}

const numeric = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** Whether a cell is a number that survives the way to a double: no leading zeros, no long integers. */
function isNumber(cell: string): boolean {
  if (!numeric.test(cell)) return false;
  const value = Number(cell);
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}

type CsvRow = Record<string, string | number>;

function castNumbers(rows: readonly CsvRow[]): void {
  for (const name of Object.keys(rows[0] ?? {})) {
    if (!rows.every((row) => isNumber(row[name] as string))) continue;
    for (const row of rows) row[name] = Number(row[name]);
  }
}

type Parse = (text: Buffer, options: object) => CsvRow[];

function loadCsvParse(): Parse {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- only where it is installed
    return (require('csv-parse/sync') as { parse: Parse }).parse;
  } catch (cause) {
    throw missing('readCsv', 'csv-parse', cause);
  }
}

/**
 * The rows of a CSV file. Needs the optional package `csv-parse`.
 * @throws TensorError ERR_FILE if the file is missing, or rows differ in length.
 */
export function readCsv<Row extends object = Record<string, string | number>>(
  path: string,
  options: CsvOptions = {},
): Table<Row> {
  const where = 'readCsv';
  checkPath(where, path);
  checkKeys(where, options, ['columns', 'delimiter', 'numbers']);
  const columns = readNames(where, options.columns) ?? true;
  const numbers = checkBoolean(where, 'numbers', options.numbers ?? true);
  const delimiter: unknown = options.delimiter ?? ',';
  if (typeof delimiter !== 'string' || delimiter === '') {
    throw makeError(
      'ERR_TYPE',
      `${where}: 'delimiter' must be a non-empty string, got ${describe(delimiter)}`,
    );
  }
  const parse = loadCsvParse();
  let rows: CsvRow[];
  try {
    rows = parse(readFileSync(path), { columns, delimiter, bom: true, skip_empty_lines: true });
  } catch (cause) {
    throw broken(where, path, cause);
  }
  if (numbers) castNumbers(rows);
  return new Table(rows as unknown as Row[]);
}

export interface ParquetOptions {
  /** Columns to read. Default: all. */
  readonly columns?: readonly string[] | undefined;
}

/** What is used of hyparquet. */
interface Hyparquet {
  parquetReadObjects(options: { file: ArrayBuffer; columns?: string[] }): Promise<unknown[]>;
}

async function loadHyparquet(): Promise<Hyparquet> {
  try {
    return await import('hyparquet');
  } catch (cause) {
    throw missing('readParquet', 'hyparquet', cause);
  }
}

/**
 * The rows of a Parquet file, uncompressed or compressed by Snappy. Needs the optional package
 * `hyparquet`.
 * @throws TensorError ERR_FILE if the file is missing, broken or compressed otherwise.
 */
export async function readParquet<Row extends object = Record<string, unknown>>(
  path: string,
  options: ParquetOptions = {},
): Promise<Table<Row>> {
  const where = 'readParquet';
  checkPath(where, path);
  checkKeys(where, options, ['columns']);
  const columns = readNames(where, options.columns);
  const { parquetReadObjects } = await loadHyparquet();
  let rows: unknown[];
  try {
    const bytes = readFileSync(path);
    const file = new Uint8Array(bytes).buffer;
    rows = await parquetReadObjects(columns ? { file, columns: [...columns] } : { file });
  } catch (cause) {
    throw broken(where, path, cause);
  }
  return new Table(rows as Row[]);
}
