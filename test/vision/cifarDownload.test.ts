/** CIFAR archives from a server: fetched, verified, unpacked, and refused. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { vision } from '../../lib';
import { temporaryFolder } from './helpers';

const { CIFAR10, CIFAR100 } = vision.datasets;
const root = temporaryFolder();

interface File {
  readonly name: string;
  readonly body?: Buffer;
  readonly size?: string;
  readonly kind?: string;
}

function tar(...files: File[]): Buffer {
  const blocks = files.flatMap(({ name, body = Buffer.alloc(0), size, kind = '0' }) => {
    const head = Buffer.alloc(512);
    head.write(name);
    head.write(size ?? body.length.toString(8).padStart(11, '0'), 124);
    head.write(' '.repeat(8) + kind, 148);
    const sum = head.reduce((a, b) => a + b, 0);
    head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [head, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const record = (labels: readonly number[]): Buffer =>
  Buffer.concat([Buffer.from(labels), Buffer.alloc(3072, 7)]);
const ten = 'cifar-10-batches-bin';
const good = [
  { name: `${ten}/`, kind: '5' },
  ...[1, 2, 3, 4, 5].map((i) => ({ name: `${ten}/data_batch_${i}.bin`, body: record([i]) })),
  { name: '../escaped.txt', body: Buffer.from('no') },
  { name: `${ten}/readme.html`, body: Buffer.alloc(700, 1) },
  { name: `${ten}/test_batch.bin`, body: record([0]) },
  { name: `${ten}/batches.meta.txt`, body: Buffer.from('abcdefghij'.split('').join('\n')) },
];

let archive: Buffer;
let requests = 0;
const server = createServer((request, response) => {
  ++requests;
  response.writeHead(200, { 'content-length': archive.length });
  response.end(archive);
});
let mirror: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  mirror = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let count = 0;
function fresh(): string {
  const folder = join(root, String(++count), 'data');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Downloads what the server has, with its true checksum. */
function fetchArchive(folder: string, packed: Buffer, more: object = {}): Promise<void> {
  archive = packed;
  const md5 = createHash('md5').update(archive).digest('hex');
  return CIFAR10.download(folder, { mirror, md5, ...more });
}

test('fetches and unpacks what belongs to the dataset, once', async () => {
  const folder = fresh();
  const seen: number[] = [];
  const onProgress = (p: { received: number }): void => void seen.push(p.received);
  await fetchArchive(folder, gzipSync(tar(...good)), { onProgress });
  expect(seen.at(-1)).toBe(archive.length);
  const set = new CIFAR10(folder);
  expect([set.length, set.classes[3], new CIFAR10(folder, { train: false }).length]).toEqual([
    5,
    'd',
    1,
  ]);
  expect(readdirSync(join(folder, ten))).toHaveLength(7);
  expect(existsSync(join(folder, '../escaped.txt'))).toBe(false);
  const before = requests;
  await fetchArchive(folder, Buffer.from('something else'));
  expect(requests).toBe(before);
});

test('CIFAR100', async () => {
  const names = ['train.bin', 'test.bin', 'fine_label_names.txt', 'coarse_label_names.txt'];
  const bodies = [record([3, 50]), record([0, 1]), 'f', 'c'];
  const lines = (n: number, letter: string): Buffer =>
    Buffer.from(Array.from({ length: n }, (_, i) => `${letter}${i}`).join('\n'));
  const files = names.map((name, i) => {
    const given = bodies[i] as Buffer | string;
    const body = typeof given === 'string' ? lines(given === 'f' ? 100 : 20, given) : given;
    return { name: `cifar-100-binary/${name}`, body };
  });
  archive = gzipSync(tar(...files));
  const folder = fresh();
  const md5 = createHash('md5').update(archive).digest('hex');
  await CIFAR100.download(folder, { mirror, md5 });
  const set = new CIFAR100(folder, { labels: 'coarse' });
  expect([set.length, set.classes[19], set.targets.item()]).toEqual([1, 'c19', 3]);
});

const half = gzipSync(tar(...good));
test.each([
  ['with another checksum', half, /checksum/, { md5: undefined }],
  ['not compressed', tar(...good), /broken/, {}],
  ['cut off', half.subarray(0, half.length / 2), /broken|ends early/, {}],
  ['of something else', gzipSync(Buffer.alloc(2048, 65)), /not a sound tar archive/, {}],
  ['without a file', gzipSync(tar(...good.slice(0, 4))), /has no file .*data_batch_4/, {}],
  ['empty', gzipSync(Buffer.alloc(0)), /ends early/, {}],
  [
    'with a size that is a lie',
    gzipSync(tar({ name: `${ten}/test_batch.bin`, size: '77777777777' })),
    /ends early/,
    {},
  ],
  [
    'with a negative size',
    gzipSync(tar({ name: `${ten}/test_batch.bin`, size: '-0000000001' })),
    /not a sound/,
    {},
  ],
  [
    'with a link in the place of a file',
    gzipSync(tar({ name: `${ten}/test_batch.bin`, kind: '2' })),
    /has no file/,
    {},
  ],
])('refuses an archive %s', async (_name, packed, message, more) => {
  const folder = fresh();
  const error = await fetchArchive(folder, packed, more).then(
    () => undefined,
    (e: Error & { code?: string }) => e,
  );
  expect(error?.code).toBe('ERR_FILE');
  expect(error?.message).toMatch(message);
  expect(existsSync(join(folder, ten, 'test_batch.bin'))).toBe(false);
});
