import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { data, vision } from '../../lib';

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31) & 255));
const sha256 = createHash('sha256').update(content).digest('hex');
const md5 = createHash('md5').update(content).digest('hex');

let folder: string;
let server: Server;
let base: string;
let requests: (string | undefined)[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

/** Serves `content` as servers with ranges do. */
function serve(request: IncomingMessage, response: ServerResponse, end = content.length): void {
  const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start >= content.length) {
    response.writeHead(416).end();
    return;
  }
  response.writeHead(start === 0 ? 200 : 206, {
    'content-length': content.length - start,
    ...(start === 0
      ? {}
      : { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
  });
  if (end === content.length) response.end(content.subarray(start));
  else response.write(content.subarray(start, end), () => setTimeout(() => response.destroy(), 20));
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ampgrad-download-'));
  server = createServer((request, response) => {
    requests.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`;
});
beforeEach(() => {
  requests = [];
  answer = (request, response) => serve(request, response);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const target = (name: string): string => join(folder, name);
const message = (p: Promise<unknown>): Promise<string> =>
  p.then(
    () => 'no error',
    (e: Error & { code?: string }) => `${String(e.code)}: ${e.message}`,
  );

describe('download', () => {
  test('fetches, reports progress, verifies, and does not fetch again', async () => {
    const path = target('new/folder/whole');
    const seen: data.DownloadProgress[] = [];
    await data.download(`${base}a`, path, { sha256, md5, onProgress: (p) => seen.push(p) });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(seen.at(-1)).toEqual({ url: `${base}a`, path, received: 300_000, total: 300_000 });
    await data.download(`${base}a`, path, { sha256 });
    expect(requests).toHaveLength(1);
    expect(existsSync(`${path}.part`)).toBe(false);
  });

  test('goes on where a broken connection stopped', async () => {
    const path = target('resumed');
    let count = 0;
    answer = (request, response) => serve(request, response, ++count === 1 ? 100_000 : undefined);
    await data.download(`${base}a`, path, { sha256 });
    expect(requests[0]).toBeUndefined();
    expect(requests[1]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  test('goes on in a later call, also where servers know no ranges', async () => {
    const path = target('later');
    writeFileSync(`${path}.part`, content.subarray(0, 1234));
    await data.download(`${base}a`, path, { sha256 });
    expect(requests).toEqual(['bytes=1234-']);
    expect(readFileSync(path).equals(content)).toBe(true);
    const other = target('plain');
    writeFileSync(`${other}.part`, content.subarray(0, 1234));
    answer = (_, response) => response.end(content);
    await data.download(`${base}a`, other, { sha256 });
    expect(readFileSync(other).equals(content)).toBe(true);
  });

  test('a beginning of something else is dropped', async () => {
    const path = target('mixed');
    writeFileSync(`${path}.part`, Buffer.alloc(1000, 7));
    await data.download(`${base}a`, path, { sha256 });
    expect(requests).toEqual(['bytes=1000-', undefined]);
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  test('wrong content, refusals, limits and lost servers are typed errors', async () => {
    const path = target('wrong');
    expect(await message(data.download(`${base}a`, path, { sha256: '0'.repeat(64) }))).toMatch(
      /ERR_FILE.*checksum/,
    );
    expect(await message(data.download(`${base}a`, path, { maxBytes: 1000 }))).toMatch(
      /ERR_FILE.*limit of 1000/,
    );
    answer = (_, response) => response.writeHead(404).end();
    expect(await message(data.download(`${base}b`, target('c')))).toMatch(/ERR_FILE.*404/);
    answer = (_, response) => response.destroy();
    expect(await message(data.download(`${base}b`, target('d'), { retries: 1 }))).toMatch(
      /ERR_FILE.*connection broke/,
    );
    expect(await message(data.download('file:///etc/passwd', target('e')))).toMatch(/ERR_VALUE/);
    expect(existsSync(path)).toBe(false);
  });

  test('aborts on a signal and keeps what it has', async () => {
    const path = target('aborted');
    const stop = new AbortController();
    answer = (request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 50_000));
      void request;
    };
    const onProgress = (): void => stop.abort();
    const text = await message(
      data.download(`${base}a`, path, { signal: stop.signal, onProgress }),
    );
    expect(text).toMatch(/abort/i);
    expect(existsSync(`${path}.part`)).toBe(true);
  });
});

test('MNIST.download takes a mirror and refuses other files', async () => {
  const root = target('mnist');
  const text = await message(vision.datasets.MNIST.download(root, { mirror: base.slice(0, -1) }));
  expect(text).toMatch(/ERR_FILE.*train-images-idx3-ubyte\.gz.*checksum/);
  expect(() => new vision.datasets.MNIST(root, { download: true as never })).toThrow(
    /await MNIST\.download\(root\)/,
  );
});
