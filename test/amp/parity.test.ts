// PyTorch's answers: the dtype of every result under torch.autocast('cpu').
import { amp, callOp, opSchemas, randn, type Tensor, tensor } from '../../lib';
import cases from '../golden/amp/cases.json';

type LowDType = 'bfloat16' | 'float16';
type Answer = string | { error: string; message: string };
interface Row {
  function: string;
  shapes: number[][];
  arguments?: string | null;
  results: Record<LowDType, Record<string, Answer>>;
  plain: Record<string, Answer>;
}

const rows = cases.autocast.table as unknown as Row[];
const names = new Set(opSchemas().map((s) => s.name));
const rename: Record<string, string> = {
  logsigmoid: 'logSigmoid',
  'mul scalar': 'mul',
  'linalg.vector_norm': 'vectorNorm',
  'linalg.svdvals': 'linalgSvdvals',
};

/** How the engine writes the call. */
const calls: Record<string, (t: Tensor[]) => unknown> = {
  where: ([a, b]) => callOp('where', [callOp('gt', [a, 0]), a, b]),
  mul_scalar: ([a]) => callOp('mul', [a, 2.5]),
  einsum: (t) => callOp('einsum', ['ij,jk->ik', t]),
  cumprod: ([a]) => callOp('cumprod', [a, 0]),
  logSoftmax: ([a]) => callOp('logSoftmax', [a, 1]),
  sort: ([a]) => (callOp('sort', [a]) as Tensor[])[0],
  indexCopy: ([a, b]) => callOp('indexCopy', [a, 0, tensor([0, 2, 1]), b]),
  layerNorm: ([a]) => callOp('layerNorm', [a, [4]]),
  groupNorm: ([a]) => callOp('groupNorm', [a, 2]),
  maxPool2d: ([a]) => callOp('maxPool2d', [a, 2]),
  adaptiveAvgPool2d: ([a]) => callOp('adaptiveAvgPool2d', [a, 2]),
  pad: ([a]) => callOp('pad', [a, [1, 1]]),
  embedding: ([a]) => callOp('embedding', [tensor([0, 2, 1]), a]),
  nllLoss: ([a]) => callOp('nllLoss', [a, tensor([0, 2, 1])]),
  cosineEmbeddingLoss: ([a, b]) => callOp('cosineEmbeddingLoss', [a, b, tensor([1, -1, 1])]),
};

function camel(fn: string): string {
  const short = fn.replace(/^torch\.(nn\.functional\.)?/, '');
  return rename[short] ?? short.replace(/[_.](\w)/g, (_, c: string) => c.toUpperCase());
}

function makeInputs(row: Row, mix: string, low: LowDType): Tensor[] {
  const dtypes = mix.split(',').map((d) => (d === 'low' ? low : d) as LowDType);
  return row.shapes.map((shape, i) => {
    const dtype = dtypes[Math.min(i, dtypes.length - 1)] as LowDType;
    return randn(shape).abs().to(dtype);
  });
}

function run(row: Row, name: string, inputs: Tensor[]): string {
  const key = row.function.endsWith('mul scalar') ? 'mul_scalar' : name;
  const call = calls[key] ?? ((t: Tensor[]) => callOp(name, t));
  return (call(inputs) as Tensor).dtype;
}

/** Gaps of PyTorch's own CPU backend. */
const isGap = (answer: Answer): boolean =>
  typeof answer !== 'string' && /oneDNN|not implemented for|primitive/i.test(answer.message);

const absent = rows.map((row) => row.function).filter((name) => !names.has(camel(name)));
if (absent.length > 0) console.warn(`skipped, these ops do not exist yet: ${absent.join(', ')}`);

describe.each(rows)('$function', (row) => {
  const name = camel(row.function);
  const runs = names.has(name) ? test : test.skip;

  runs.each(['bfloat16', 'float16'] as const)('autocast to %s', (low) => {
    for (const [mix, answer] of Object.entries(row.results[low])) {
      if (isGap(answer)) continue;
      const inputs = makeInputs(row, mix, low);
      const call = () => amp.autocast('cpu', { dtype: low }, () => run(row, name, inputs));
      if (typeof answer === 'string') expect([mix, call()]).toEqual([mix, answer]);
      else expect(call).toThrow();
    }
  });

  runs('without autocast', () => {
    for (const [mix, answer] of Object.entries(row.plain)) {
      if (typeof answer !== 'string') continue;
      for (const low of ['bfloat16', 'float16'] as const) {
        const wanted = answer === 'bfloat16' ? low : answer;
        expect([mix, run(row, name, makeInputs(row, mix, low))]).toEqual([mix, wanted]);
      }
    }
  });
});
