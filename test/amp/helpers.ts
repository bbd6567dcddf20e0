import { type amp, noGrad, type Tensor } from '../../lib';

interface SgdOptions {
  readonly lr: number;
  readonly momentum?: number;
  readonly names?: readonly string[];
}

/** A plain optimizer: a scaler must unscale for it and decide whether it steps. */
export class PlainSgd implements amp.ScalableOptimizer {
  readonly paramGroups: { params: Tensor[]; paramNames?: string[] }[];
  readonly #buffers = new Map<Tensor, Tensor>();
  steps = 0;
  skips = 0;

  constructor(
    params: readonly Tensor[],
    readonly options: SgdOptions,
  ) {
    this.paramGroups = [{ params: [...params] }];
    if (options.names)
      (this.paramGroups[0] as { paramNames?: string[] }).paramNames = [...options.names];
  }

  step(): number {
    const { lr, momentum = 0 } = this.options;
    noGrad(() => {
      for (const p of this.paramGroups.flatMap((g) => g.params)) {
        const { grad } = p;
        if (grad === null) continue;
        const before = this.#buffers.get(p);
        const buffer = before === undefined ? grad.clone() : before.mul(momentum).add(grad);
        this.#buffers.set(p, buffer);
        p.sub_(buffer, { alpha: lr });
      }
    });
    return ++this.steps;
  }

  noteSkippedStep(): void {
    ++this.skips;
  }

  zeroGrad(): void {
    for (const p of this.paramGroups.flatMap((g) => g.params)) p.grad = null;
  }
}

/** An optimizer that takes scale and flag itself, as those of ampgrad/optim do. */
export class FusedSgd extends PlainSgd {
  readonly supportsGradScale = true;
  gradScale: Tensor | null = null;
  foundInf: Tensor | null = null;
  readonly seen: { scale: number; inf: number }[] = [];

  override step(): number {
    const scale = this.gradScale?.item() ?? 1;
    const inf = this.foundInf?.item() ?? 0;
    this.seen.push({ scale, inf });
    if (inf !== 0) return this.steps;
    noGrad(() => {
      for (const p of this.paramGroups.flatMap((g) => g.params)) {
        if (p.grad) p.grad = p.grad.div(scale);
      }
    });
    return super.step();
  }
}
