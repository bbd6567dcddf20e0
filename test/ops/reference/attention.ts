/** Attention and rearrangements of planes, element by element. */
import { broadcastShapes, Nd } from '../support/nd';

interface AttentionOptions {
  readonly attnMask?: Nd;
  readonly isCausal?: boolean;
  readonly scale?: number;
  readonly enableGqa?: boolean;
  /** Whether the mask says which scores count (else it is added to them). */
  readonly boolMask?: boolean;
}

/** softmax(query · key * scale + mask) · value; a row without any score is zero. */
export function attention(q: Nd, k: Nd, v: Nd, o: AttentionOptions): Nd {
  const [rows, width] = q.shape.slice(-2) as [number, number];
  const [keys, outs] = v.shape.slice(-2) as [number, number];
  const scale = o.scale ?? 1 / Math.sqrt(width);
  const lead = o.enableGqa === true ? q.shape.slice(0, -2) : batchShape(q, k, v);
  const heads = lead.length - 1;
  const share = (x: Nd, batch: number[]): number[] =>
    o.enableGqa === true
      ? batch.map((b, d) =>
          d === heads ? Math.floor((b * (x.shape[d] as number)) / (lead[d] as number)) : b,
        )
      : batch;
  const mask = (batch: number[], i: number, j: number): number => {
    if (o.isCausal === true && j > i) return -Infinity;
    if (o.attnMask === undefined) return 0;
    const m = o.attnMask.broadcastAt([...batch, i, j]);
    return o.boolMask === true ? (m === 0 ? -Infinity : 0) : m;
  };
  return Nd.from([...lead, rows, outs], (index) => {
    const batch = index.slice(0, -2);
    const [i, e] = index.slice(-2) as [number, number];
    const scores = Array.from({ length: keys }, (_, j) => {
      let dot = 0;
      for (let c = 0; c < width; ++c) {
        dot += q.broadcastAt([...batch, i, c]) * k.broadcastAt([...share(k, batch), j, c]);
      }
      return dot * scale + mask(batch, i, j);
    });
    const top = Math.max(...scores);
    if (top === -Infinity) return 0;
    const weights = scores.map((s) => Math.exp(s - top));
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.reduce(
      (sum, w, j) => sum + (w / total) * v.broadcastAt([...share(v, batch), j, e]),
      0,
    );
  });
}

function batchShape(...tensors: readonly Nd[]): number[] {
  return broadcastShapes(...tensors.map((t) => t.shape.slice(0, -2)));
}
