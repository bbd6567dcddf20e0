/** A training step large enough for threads to share gives the same bits every time. */
import { getNumThreads, manualSeed, nn, optim, randint, randn, setNumThreads } from '../../lib';

const F = nn.functional;

/** Losses of three steps and the parameters after them. */
function train(): unknown[] {
  manualSeed(5);
  const model = new nn.Sequential(
    new nn.Conv2d(3, 24, 3, { padding: 1 }),
    new nn.BatchNorm2d(24),
    new nn.ReLU(),
    new nn.Conv2d(24, 32, 3, { stride: 2, padding: 1 }),
    new nn.Flatten(2),
    new nn.Linear(256, 192),
    new nn.LayerNorm(192),
    new nn.GELU(),
    new nn.Dropout(0.1),
  );
  const attention = new nn.MultiheadAttention(192, 6, { batchFirst: true });
  const head = new nn.Linear(192, 512);
  const parameters = [model, attention, head].flatMap((m) => [...m.parameters()]);
  const optimizer = new optim.AdamW(parameters, { lr: 1e-3 });
  const x = randn([8, 3, 32, 32]);
  const target = randint(0, 512, [8 * 32]);
  const losses = Array.from({ length: 3 }, () => {
    optimizer.zeroGrad();
    const tokens = model.call(x);
    const [mixed] = attention.call(tokens, tokens, tokens);
    const loss = F.crossEntropy(head.call(mixed).view(-1, 512), target);
    loss.backward();
    nn.utils.clipGradNorm_(parameters, 1);
    optimizer.step();
    return loss.item();
  });
  return [losses, ...parameters.map((p) => p.toArray())];
}

test.each([1, 2, 3])('on %i threads', (threads) => {
  const before = getNumThreads();
  setNumThreads(threads);
  try {
    const first = train();
    expect((first[0] as number[]).every(Number.isFinite)).toBe(true);
    for (let i = 0; i < 3; ++i) expect(train()).toEqual(first);
  } finally {
    setNumThreads(before);
  }
});
