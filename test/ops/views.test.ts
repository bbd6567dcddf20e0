/** Views share the storage of their input; what is not a view does not. */
import { type DType, Tensor } from '../../lib';
import { describeSample, opCases, runsIn, type OpCase } from './support/cases';
import { expectNoLeaks } from './support/leaks';
import { bits, build, inputsOf, mapArgs, mapOptions, run } from './support/run';
import type { Input, Sample } from './support/sample';

expectNoLeaks();

function call(c: OpCase, sample: Sample, dtype: DType): { inputs: Tensor[]; outputs: Tensor[] } {
  const inputs: Tensor[] = [];
  const to = (i: Input): Tensor => {
    inputs.push(build(i, dtype, 'contiguous'));
    return inputs[inputs.length - 1] as Tensor;
  };
  const outputs = run(c.name, mapArgs(sample, to), mapOptions(sample, to));
  return { inputs, outputs: outputs.filter((t): t is Tensor => t instanceof Tensor) };
}

/** Views that may show an element twice refuse to be written. */
const overlaps = new Set(['expand', 'unfold']);

/** A change of the view shows in the input and counts as a change of its storage. */
function checkView(c: OpCase, sample: Sample, dtype: DType): void {
  const { inputs, outputs } = call(c, sample, dtype);
  const base = inputs[0] as Tensor;
  for (const view of outputs) {
    expect(view.sharesStorage(base)).toBe(true);
    if (view.numel() === 0) continue;
    const version = base.version;
    const before = bits(base);
    if (!overlaps.has(c.name)) {
      view.copy_(view.logicalNot());
      expect(base.version).toBeGreaterThan(version);
      expect([c.name, bits(base) === before]).toEqual([c.name, false]);
    }
    const seen = bits(view);
    base.copy_(base.logicalNot());
    expect([c.name, bits(view) === seen]).toEqual([c.name, false]);
  }
}

/** Ops that may return an argument, or a view of it when its memory happens to fit. */
const mayAlias = new Set([
  'alphaDropout',
  'asStrided',
  'atleast1d',
  'atleast2d',
  'atleast3d',
  'broadcastTensors',
  'broadcastTo',
  'cartesianProd',
  'meshgrid',
  'movedim',
  'ravel',
  'reshapeAs',
  'splitIndices',
  'splitSections',
  'splitWithSizes',
  'viewAs',
  'linalgDiagonal',
  'channelShuffle',
  'contiguous',
  'detach',
  'dropout',
  'dropout1d',
  'dropout2d',
  'dropout3d',
  'einsum',
  'expandAs',
  'featureAlphaDropout',
  'featureDropout',
  'flatten',
  'narrow',
  'pixelShuffle',
  'pixelUnshuffle',
  'reshape',
  'split',
  'chunk',
  'unbind',
  'sumToSize',
  't',
  'to',
  'unflatten',
]);

function checkCopy(c: OpCase, sample: Sample, dtype: DType): void {
  const { inputs, outputs } = call(c, sample, dtype);
  const before = inputs.map(bits);
  for (const out of outputs) {
    for (const input of inputs) expect(out.sharesStorage(input)).toBe(false);
    if (out.numel() > 0) out.zero_();
  }
  expect(inputs.map(bits)).toEqual(before);
}

describe.each(opCases().map((c) => [c.name, c] as const))('%s', (_, c) => {
  test(c.schema.view ? 'is a view' : 'does not change or share its inputs', () => {
    const dtype = (['float32', 'int32', 'bool'] as const).find((d) => c.schema.dtypes.includes(d));
    for (const sample of c.samples) {
      if (dtype === undefined || !runsIn(sample, dtype)) continue;
      if (inputsOf(sample).length === 0) continue;
      try {
        if (c.schema.view) checkView(c, sample, dtype);
        else if (!mayAlias.has(c.name)) checkCopy(c, sample, dtype);
      } catch (e) {
        throw new Error(`${c.name}(${describeSample(sample)}): ${(e as Error).message}`, {
          cause: e,
        });
      }
    }
  });
});
