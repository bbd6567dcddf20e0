/** Checks of token ids and the masks that attention takes. */
import type { Device } from '../../dtype';
import { makeError } from '../../errors';
import { arange } from '../../ops.gen';
import { Tensor } from '../../tensor';

/** Throws unless `ids` is an integer tensor [batch, length]. */
export function checkIds(where: string, name: string, ids: unknown): asserts ids is Tensor {
  if (!(ids instanceof Tensor)) {
    throw makeError('ERR_TYPE', `${where}: argument '${name}' must be a Tensor of token ids`);
  }
  const shape = `[${ids.shape.join(', ')}]`;
  if (ids.ndim !== 2) {
    throw makeError(
      'ERR_SHAPE',
      `${where}: argument '${name}' must have shape [batch, length], got ${shape}`,
    );
  }
  if (ids.dtype !== 'int64' && ids.dtype !== 'int32') {
    throw makeError('ERR_DTYPE', `${where}: argument '${name}' must be integers, got ${ids.dtype}`);
  }
}

/** Throws unless `mask` is [batch, length]. */
export function checkMask(where: string, mask: unknown, batch: number, length: number): void {
  if (!(mask instanceof Tensor)) {
    throw makeError('ERR_TYPE', `${where}: argument 'attentionMask' must be a Tensor`);
  }
  if (mask.ndim !== 2 || mask.size(0) !== batch || mask.size(1) !== length) {
    throw makeError(
      'ERR_SHAPE',
      `${where}: argument 'attentionMask' must have shape [${batch}, ${length}] (1 for tokens, 0 ` +
        `for padding), got [${mask.shape.join(', ')}]`,
    );
  }
}

/** Throws where a text is longer than the table of positions. */
export function checkLength(where: string, length: number, limit: number): void {
  if (length <= limit) return;
  throw makeError(
    'ERR_RANGE',
    `${where}: a sequence of ${length} tokens is longer than the model's ${limit} positions`,
  );
}

/** Of padding: [batch, keys] of 1 and 0 to [batch, 1, 1, keys] of truth. */
export function paddingMask(mask: Tensor): Tensor {
  return mask.ne(0).unsqueeze(1).unsqueeze(1);
}

/**
 * What the last `queries` of `keys` positions may see: themselves and what comes before, without
 * padding. Tokens of padding that have nothing but padding before them see themselves, so that no
 * row is empty.
 * @param mask [batch, keys] of 1 and 0, or null.
 * @returns [queries, keys] or [batch, 1, queries, keys].
 */
export function causalMask(
  queries: number,
  keys: number,
  mask: Tensor | null,
  device?: Device,
): Tensor {
  const rows = arange(keys - queries, keys, 1, { device }).unsqueeze(1);
  const columns = arange(keys, { device });
  const causal = rows.ge(columns);
  if (mask === null) return causal;
  const valid = mask.ne(0);
  const seen = valid
    .cumsum(1)
    .narrow(1, keys - queries, queries)
    .gt(0);
  const own = rows.eq(columns).logicalAnd(seen.logicalNot().unsqueeze(2));
  return causal.logicalAnd(valid.unsqueeze(1).logicalOr(own)).unsqueeze(1);
}
