/**
 * Recurrent steps and the loop over time, for batches of equal length and for packed ones.
 * The input's part of every gate is one product over all steps; only the hidden part is sequential.
 */
import { cat } from '../ops.gen';
import type { Tensor } from '../tensor';
import { linear } from './functional/linear';

export interface CellWeights {
  readonly ih: Tensor;
  readonly hh: Tensor;
  readonly bih: Tensor | null;
  readonly bhh: Tensor | null;
  /** Projection of the hidden state (LSTM only). */
  readonly hr: Tensor | null;
}

/** [h] or, for LSTM, [h, c]. */
export type State = readonly Tensor[];

/** One step: gates of the input, state, weights -> next state. */
export type Step = (gates: Tensor, state: State, w: CellWeights) => State;

export type RnnMode = 'RNN_TANH' | 'RNN_RELU' | 'LSTM' | 'GRU';

export const gateCounts: Readonly<Record<RnnMode, number>> = {
  RNN_TANH: 1,
  RNN_RELU: 1,
  LSTM: 4,
  GRU: 3,
};

/** i, f, g, o: Hochreiter & Schmidhuber 1997, with projection as in Sak et al. 2014. */
const lstmStep: Step = (gates, [h, c], w) => {
  const sum = gates.add(linear(h as Tensor, w.hh, w.bhh));
  const [i, f, g, o] = sum.chunk(4, -1) as [Tensor, Tensor, Tensor, Tensor];
  const cell = f
    .sigmoid()
    .mul(c as Tensor)
    .add(i.sigmoid().mul(g.tanh()));
  const hidden = o.sigmoid().mul(cell.tanh());
  return [w.hr === null ? hidden : linear(hidden, w.hr), cell];
};

/** r, z, n: Cho et al. 2014, with the reset gate behind the product. */
const gruStep: Step = (gates, [h], w) => {
  const state = h as Tensor;
  const [xr, xz, xn] = gates.chunk(3, -1) as [Tensor, Tensor, Tensor];
  const [hr, hz, hn] = linear(state, w.hh, w.bhh).chunk(3, -1) as [Tensor, Tensor, Tensor];
  const reset = xr.add(hr).sigmoid();
  const update = xz.add(hz).sigmoid();
  const fresh = xn.add(reset.mul(hn)).tanh();
  return [fresh.add(update.mul(state.sub(fresh)))];
};

export const steps: Readonly<Record<RnnMode, Step>> = {
  RNN_TANH: (gates, [h], w) => [gates.add(linear(h as Tensor, w.hh, w.bhh)).tanh()],
  RNN_RELU: (gates, [h], w) => [gates.add(linear(h as Tensor, w.hh, w.bhh)).relu()],
  LSTM: lstmStep,
  GRU: gruStep,
};

/** Rows of all steps below each other; `sizes[t]` rows belong to step t and never increase. */
export interface Rows {
  readonly data: Tensor;
  readonly sizes: readonly number[];
}

/** Runs one layer in one direction; returns outputs row by row and the last state. */
export function runDirection(
  step: Step,
  { data, sizes }: Rows,
  initial: State,
  w: CellWeights,
  reverse: boolean,
): { output: Tensor; state: State } {
  const gates = linear(data, w.ih, w.bih).split([...sizes], 0);
  const outputs = new Array<Tensor>(sizes.length);
  const state = reverse
    ? backwards(step, gates, sizes, initial, w, outputs)
    : forwards(step, gates, sizes, initial, w, outputs);
  return { output: cat(outputs, 0), state };
}

function forwards(
  step: Step,
  gates: readonly Tensor[],
  sizes: readonly number[],
  initial: State,
  w: CellWeights,
  outputs: Tensor[],
): State {
  let state = initial;
  let rows = sizes[0] as number;
  // States of sequences that have ended, last ones first.
  const ended: State[] = [];
  for (let t = 0; t < sizes.length; ++t) {
    const size = sizes[t] as number;
    if (size < rows) {
      ended.push(state.map((s) => s.narrow(0, size, rows - size)));
      state = state.map((s) => s.narrow(0, 0, size));
      rows = size;
    }
    state = step(gates[t] as Tensor, state, w);
    outputs[t] = state[0] as Tensor;
  }
  if (ended.length === 0) return state;
  const parts = [state, ...ended.reverse()];
  return state.map((_, i) =>
    cat(
      parts.map((p) => p[i] as Tensor),
      0,
    ),
  );
}

function backwards(
  step: Step,
  gates: readonly Tensor[],
  sizes: readonly number[],
  initial: State,
  w: CellWeights,
  outputs: Tensor[],
): State {
  let rows = sizes[sizes.length - 1] as number;
  let state: State = rows === sizes[0] ? initial : initial.map((s) => s.narrow(0, 0, rows));
  for (let t = sizes.length - 1; t >= 0; --t) {
    const size = sizes[t] as number;
    if (size > rows) {
      const [from, count] = [rows, size - rows];
      state = state.map((s, i) => cat([s, (initial[i] as Tensor).narrow(0, from, count)], 0));
      rows = size;
    }
    state = step(gates[t] as Tensor, state, w);
    outputs[t] = state[0] as Tensor;
  }
  return state;
}
