/** Keys and values of the tokens that a decoder has seen. */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { empty } from '../../ops.gen';
import type { Tensor } from '../../tensor';

interface Layer {
  keys: Tensor;
  values: Tensor;
}

/**
 * Room for keys and values [batch, heads, length, size] of each layer. New ones are written behind
 * those before; where room is short it doubles, so n tokens cost O(n) copies.
 */
export class KVCache {
  #layers: (Layer | undefined)[] = [];
  #length = 0;
  readonly #room: number;

  /** @param room positions to make room for at once; 0: as few as are needed. */
  constructor(room = 0) {
    if (!Number.isSafeInteger(room) || room < 0) {
      throw makeError('ERR_VALUE', `KVCache: argument 'room' must be an integer, got ${room}`);
    }
    this.#room = room;
  }

  /** Tokens seen so far. */
  get length(): number {
    return this.#length;
  }

  /** Forgets everything and keeps the memory. */
  reset(): void {
    this.#length = 0;
  }

  /**
   * Adds the keys and values of new tokens and returns those of all. The length grows with
   * {@link advance}, once all layers have theirs.
   */
  append(index: number, keys: Tensor, values: Tensor): [keys: Tensor, values: Tensor] {
    const count = keys.size(2);
    const end = this.#length + count;
    return noGrad(() => {
      const layer = this.#reserve(index, end, keys, values);
      layer.keys.narrow(2, this.#length, count).copy_(keys);
      layer.values.narrow(2, this.#length, count).copy_(values);
      return [layer.keys.narrow(2, 0, end), layer.values.narrow(2, 0, end)];
    });
  }

  /** Counts tokens whose keys and values every layer has got. */
  advance(count: number): void {
    this.#length += count;
  }

  #reserve(index: number, end: number, keys: Tensor, values: Tensor): Layer {
    const old = this.#layers[index];
    const had = old === undefined ? 0 : old.keys.size(2);
    if (old !== undefined && end <= had) return old;
    const room = Math.max(end, 2 * had, this.#room);
    const make = (like: Tensor, from: Tensor | undefined): Tensor => {
      const [batch = 0, heads = 0, , size = 0] = like.shape;
      const { dtype, device } = like;
      const out = empty([batch, heads, room, size], { dtype, device });
      if (from !== undefined && this.#length > 0) {
        out.narrow(2, 0, this.#length).copy_(from.narrow(2, 0, this.#length));
      }
      return out;
    };
    const layer = { keys: make(keys, old?.keys), values: make(values, old?.values) };
    this.#layers[index] = layer;
    return layer;
  }
}
