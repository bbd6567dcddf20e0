/** Batches from the samples of a stream. */

/** The samples of a stream in groups of `size`. */
export function* grouped(
  stream: Iterable<unknown>,
  size: number,
  dropLast: boolean,
): Iterable<unknown[]> {
  let group: unknown[] = [];
  for (const sample of stream) {
    group.push(sample);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0 && !dropLast) yield group;
}

export async function* groupedAsync(
  stream: AsyncIterable<unknown>,
  size: number,
  dropLast: boolean,
): AsyncIterable<unknown[]> {
  let group: unknown[] = [];
  for await (const sample of stream) {
    group.push(sample);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0 && !dropLast) yield group;
}
