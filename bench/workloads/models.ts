/** Training steps and generation: `resnet18.*`, `gpt2.mini.*` and `bert.base.*` of the workloads. */
import { amp, nn, noGrad, optim, type Tensor, text, vision } from '../../lib';
import { deviceKind, integers, place, uniform } from '../harness/data';
import { type AnyWorkload, type Prepared } from '../harness/runner';

const { crossEntropy } = nn.functional;

/** Bound of the matrices of a model, from their shapes in PyTorch's layout. */
type Bound = (shape: readonly number[]) => number;

const fanIn: Bound = ([, ...rest]) => 1 / Math.sqrt(rest.reduce((a, b) => a * b, 1));
const fixed: Bound = () => 0.02 * Math.sqrt(3);

/**
 * Weights from the hash: parameter k is U(-a, a) with seed 1000 + k if it is a matrix, else 1 for
 * weights and 0 for biases. Projections with weights [in, out] get the transpose of PyTorch's.
 */
function hashInit<M extends nn.Module>(fresh: M, bound: Bound): M {
  const model = place(fresh);
  const turned = new Set<Tensor>();
  for (const module of model.modules()) {
    if (module instanceof text.models.Conv1D) turned.add(module.weight);
  }
  noGrad(() => {
    model.namedParameters().forEach(([name, p], k) => {
      if (p.ndim < 2) {
        p.fill_(name.endsWith('weight') ? 1 : 0);
        return;
      }
      const shape = turned.has(p) ? [...p.shape].reverse() : p.shape;
      const a = bound(shape);
      const values = uniform(shape, 1000 + k, -a, a);
      p.copy_(turned.has(p) ? values.t() : values);
    });
  });
  return model;
}

type Precision = 'bfloat16' | undefined;

/** Training steps on fixed data; their first two losses are what implementations compare. */
function training(optimizer: optim.Optimizer, loss: () => Tensor, precision: Precision): Prepared {
  const losses: number[] = [];
  const forward = (): Tensor =>
    precision === undefined ? loss() : amp.autocast(deviceKind(), { dtype: precision }, loss);
  return {
    run: () => {
      optimizer.zeroGrad();
      const value = forward();
      value.backward();
      optimizer.step();
      const number = value.item();
      if (losses.length < 2) losses.push(number);
    },
    check: () => losses,
  };
}

function resnetStep(precision?: Precision): Prepared {
  const model = hashInit(vision.models.resnet18({ numClasses: 10 }), fanIn);
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const images = uniform([16, 3, 64, 64], 1);
  const labels = integers([16], 2, 10);
  return training(optimizer, () => crossEntropy(model.call(images), labels), precision);
}

const noDropout = { residPdrop: 0, embdPdrop: 0, attnPdrop: 0 };

function makeGpt2(): text.models.GPT2LMHeadModel {
  const size = { nLayer: 6, nHead: 6, nEmbd: 384, nPositions: 128 };
  const tokens = { eosTokenId: null, bosTokenId: null };
  return hashInit(new text.models.GPT2LMHeadModel({ ...size, ...tokens, ...noDropout }), fixed);
}

export function gpt2Step(precision?: Precision): Prepared {
  const model = makeGpt2();
  const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-4, weightDecay: 0.01 });
  const ids = integers([4, 129], 1, 50257);
  const x = ids.narrow(1, 0, 128).contiguous();
  const y = ids.narrow(1, 1, 128).reshape(-1);
  const loss = (): Tensor => crossEntropy(model.call(x).logits.view(-1, 50257), y);
  return training(optimizer, loss, precision);
}

function gpt2Generate(): Prepared {
  const model = makeGpt2().eval();
  const prompt = integers([1, 64], 1, 50257);
  let made: number[] = [];
  return {
    run: () => {
      const whole = model.generate(prompt, { maxNewTokens: 64 });
      made = (whole.select(0, 0).toArray() as number[]).slice(64);
    },
    check: () => [made.reduce((a, b) => a + b, 0), made[0] ?? -1, made[63] ?? -1],
  };
}

function makeBert(): text.models.BertForSequenceClassification {
  const options = { hiddenDropoutProb: 0, attentionProbsDropoutProb: 0, padTokenId: null };
  return hashInit(new text.models.BertForSequenceClassification(options), fixed);
}

function bertForward(): Prepared {
  const { bert } = makeBert().eval();
  bert.pooler = null;
  const ids = integers([1, 128], 1, 30522);
  let hidden: Tensor | undefined;
  return {
    run: () => {
      hidden = noGrad(() => bert.call(ids).lastHiddenState);
    },
    check: () => hidden?.abs().mean().item() ?? 0,
  };
}

function bertStep(): Prepared {
  const model = makeBert();
  const optimizer = new optim.AdamW(model.parameters(), { lr: 2e-5, weightDecay: 0.01 });
  const ids = integers([2, 128], 1, 30522);
  const labels = integers([2], 0, 1);
  labels.set([1], 1);
  return training(optimizer, () => crossEntropy(model.call(ids).logits, labels), undefined);
}

// What one step takes at least, gradients included.
const resnetFlop = 14e9;
const gpt2Flop = 92e9;

export const models: readonly AnyWorkload[] = [
  {
    name: 'resnet18.cifar.step',
    unit: 'ms',
    work: 1,
    flop: resnetFlop,
    budget: 3,
    prepare: () => resnetStep(),
  },
  {
    name: 'resnet18.cifar.step.amp_bf16',
    unit: 'ms',
    work: 1,
    flop: resnetFlop,
    heavy: true,
    prepare: () => resnetStep('bfloat16'),
  },
  {
    name: 'gpt2.mini.step',
    unit: 'ms',
    work: 1,
    flop: gpt2Flop,
    budget: 3,
    prepare: () => gpt2Step(),
  },
  {
    name: 'gpt2.mini.step.amp_bf16',
    unit: 'ms',
    work: 1,
    flop: gpt2Flop,
    heavy: true,
    prepare: () => gpt2Step('bfloat16'),
  },
  { name: 'gpt2.mini.generate', unit: 'tokens/s', work: 64, budget: 2, prepare: gpt2Generate },
  { name: 'bert.base.fwd', unit: 'ms', work: 1, budget: 3, prepare: bertForward },
  { name: 'bert.base.step', unit: 'ms', work: 1, budget: 3, prepare: bertStep },
];
