/** Downloads over HTTP that go on where they stopped and end only with the right content. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { makeError } from '../errors';
import { checkFunction, checkInteger, checkKeys, describe } from './options';

/** How far a download is. */
export interface DownloadProgress {
  readonly url: string;
  readonly path: string;
  /** Bytes on disk. */
  readonly received: number;
  /** Bytes of the file, if the server says so. */
  readonly total: number | undefined;
}

export interface DownloadOptions {
  /** Checksum of the file in hex. Without one, what the server sends is taken. */
  readonly sha256?: string | undefined;
  /** Checksum of the file in hex, for datasets that publish no other. */
  readonly md5?: string | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Aborts the download; what was received stays for the next attempt. */
  readonly signal?: AbortSignal | undefined;
  /** Attempts after a broken connection, each going on where the last one stopped. Default 3. */
  readonly retries?: number | undefined;
  /** Refuse files with more bytes. Default 2^34. */
  readonly maxBytes?: number | undefined;
}

const where = 'download';
const names = ['sha256', 'md5', 'onProgress', 'signal', 'retries', 'maxBytes'];

interface Plan {
  readonly url: string;
  readonly path: string;
  readonly partial: string;
  readonly options: DownloadOptions;
  readonly maxBytes: number;
}

function failed(plan: Plan, what: string): Error {
  return makeError('ERR_FILE', `${where} of '${plan.url}': ${what}`);
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined;
  }
}

/** Whether a file has the checksums that were asked for. */
async function fits(path: string, options: DownloadOptions): Promise<boolean> {
  for (const kind of ['sha256', 'md5'] as const) {
    const wanted = options[kind];
    if (wanted === undefined) continue;
    const hash = createHash(kind);
    for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
    if (hash.digest('hex') !== wanted.toLowerCase()) return false;
  }
  return true;
}

/** Size of the whole file by the answer's headers. */
function totalOf(response: Response, start: number): number | undefined {
  const range = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (range !== null) return Number(range[1]);
  const length = response.headers.get('content-length');
  // With a content encoding the length is not that of the file.
  const plain = response.headers.get('content-encoding') === null;
  return length === null || !plain ? undefined : start + Number(length);
}

/** Receives what is missing of the partial file. */
async function receive(plan: Plan): Promise<void> {
  const have = (await sizeOf(plan.partial)) ?? 0;
  const { signal, onProgress } = plan.options;
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (have > 0) headers['range'] = `bytes=${String(have)}-`;
  const response = await fetch(plan.url, { headers, signal: signal ?? null });
  if (response.status === 416) {
    // Nothing is left, or the partial file is of something else: the checksum tells.
    await response.body?.cancel();
    return;
  }
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw failed(plan, `the server answered ${String(response.status)} ${response.statusText}`);
  }
  // A server that ignores ranges sends everything.
  const start = response.status === 206 ? have : 0;
  const total = totalOf(response, start);
  let received = start;
  const file = await open(plan.partial, start === 0 ? 'w' : 'a');
  try {
    for await (const piece of response.body) {
      const bytes = piece as Uint8Array;
      received += bytes.length;
      if (received > plan.maxBytes) {
        throw failed(plan, `more than the limit of ${String(plan.maxBytes)} bytes`);
      }
      await file.writeFile(bytes);
      onProgress?.({ url: plan.url, path: plan.path, received, total });
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (total !== undefined && received < total) throw new TypeError('the connection ended early');
}

/** Whether another attempt makes sense: the connection broke (a TypeError of fetch), not the agreement. */
function isBroken(error: unknown, signal: AbortSignal | undefined): boolean {
  const { name, code } = error as { name?: string; code?: string };
  return signal?.aborted !== true && name === 'TypeError' && code === undefined;
}

async function receiveAll(plan: Plan, retries: number): Promise<void> {
  for (let left = retries; ; --left) {
    try {
      await receive(plan);
      return;
    } catch (error) {
      if (!isBroken(error, plan.options.signal)) throw error;
      if (left > 0) continue;
      const cause = (error as { cause?: { message?: string } }).cause?.message;
      throw failed(plan, `the connection broke: ${cause ?? (error as Error).message}`);
    }
  }
}

/**
 * Fetches a file, unless `path` is there with the right checksum. An interrupted download is continued
 * from `path.part`; the file appears under its name only when it is complete and its checksum fits.
 *
 * @throws TensorError ERR_FILE if the server refuses, or sends something else.
 */
export async function download(
  url: string | URL,
  path: string,
  options: DownloadOptions = {},
): Promise<void> {
  checkKeys(where, options, names);
  const address = String(url);
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw makeError(
      'ERR_VALUE',
      `${where}: expected an http or https URL, got ${describe(address)}`,
    );
  }
  if (typeof path !== 'string' || path === '') {
    throw makeError('ERR_TYPE', `${where}: path must be a non-empty string, got ${describe(path)}`);
  }
  checkFunction(where, 'onProgress', options.onProgress);
  const retries = checkInteger(where, 'retries', options.retries ?? 3, 0);
  const maxBytes = checkInteger(where, 'maxBytes', options.maxBytes ?? 2 ** 34, 1);
  if ((await sizeOf(path)) !== undefined && (await fits(path, options))) return;
  const plan: Plan = { url: address, path, partial: `${path}.part`, options, maxBytes };
  await mkdir(dirname(path), { recursive: true });
  const continued = (await sizeOf(plan.partial)) !== undefined;
  await receiveAll(plan, retries);
  if (!(await fits(plan.partial, options))) {
    await rm(plan.partial, { force: true });
    // The beginning may have been of another version of the file: once more, from the start.
    if (continued) await receiveAll(plan, retries);
    if (!continued || !(await fits(plan.partial, options))) {
      await rm(plan.partial, { force: true });
      throw failed(plan, 'the checksum of what was received does not fit');
    }
  }
  await rename(plan.partial, path);
}
