/** Networks for images against torchvision: names, outputs, gradients, training. */
import { manualSeed, nn, noGrad, optim, rand, type Tensor, vision } from '../../lib';
import {
  dumps,
  expectClose,
  expectGradients,
  expectTraining,
  type Golden,
  loadGolden,
} from '../support/golden';

const { models } = vision;
const { crossEntropy } = nn.functional;

/** The dumps hold bytes. */
function pixels(golden: Golden): Tensor {
  return golden.get('input.images').to('float32').div(255).sub(0.5);
}

function compare(
  golden: Golden,
  model: nn.Module,
  optimizer: (parameters: nn.Parameter[]) => optim.Optimizer,
  trainingDType: 'float32' | 'float64' = 'float32',
): void {
  const state = golden.part('state');
  expect(Object.keys(model.stateDict()).sort()).toEqual(Object.keys(state).sort());
  model.loadStateDict(state);
  const images = pixels(golden);
  const labels = golden.get('input.labels');
  model.eval();
  expectClose(
    noGrad(() => model.call(images) as Tensor),
    golden.get('output.eval'),
  );
  model.train();
  const logits = model.call(images) as Tensor;
  expectClose(logits, golden.get('output.logits'));
  const loss = crossEntropy(logits, labels);
  expectClose(loss, golden.get('loss'));
  loss.backward();
  expectGradients(model, golden);
  model.to(trainingDType);
  const given = images.to(trainingDType);
  expectTraining(golden, optimizer(model.parameters()), () =>
    crossEntropy(model.call(given) as Tensor, labels),
  );
}

/** Large models learn four images by heart at once; a loss near 0 is nothing but rounding. */
const sgd =
  (size: 'small' | 'full') =>
  (parameters: nn.Parameter[]): optim.Optimizer =>
    new optim.SGD(parameters, { lr: size === 'full' ? 1e-3 : 0.01, momentum: 0.9 });

/** In float32 a ReLU with an input next to 0 may open here and not there: see make_vision.py. */
const residualDType = (size: 'small' | 'full') => (size === 'full' ? 'float64' : 'float32');

describe('ResNet', () => {
  test.each(dumps('resnet18'))('with basic blocks follows torchvision, %s', (size, folder) => {
    const model =
      size === 'full'
        ? models.resnet18()
        : new models.ResNet(models.BasicBlock, [2, 1, 1, 1], { numClasses: 10, width: 6 });
    compare(loadGolden(folder, 'resnet18'), model, sgd(size), residualDType(size));
  });

  test.each(dumps('resnet50'))('with bottlenecks follows torchvision, %s', (size, folder) => {
    const model =
      size === 'full'
        ? models.resnet50()
        : new models.ResNet(models.Bottleneck, [2, 1, 1, 1], { numClasses: 10, width: 4 });
    compare(loadGolden(folder, 'resnet50'), model, sgd(size), residualDType(size));
  });

  test('has the sizes of the paper', () => {
    const count = (model: nn.Module): number =>
      model.parameters().reduce((sum, p) => sum + p.numel(), 0);
    expect(count(models.resnet18())).toBe(11689512);
    expect(count(models.resnet34())).toBe(21797672);
    expect(count(models.resnet50())).toBe(25557032);
  });

  test('starts as torchvision does', () => {
    manualSeed(0);
    const model = models.resnet18({ zeroInitResidual: true, numClasses: 10 });
    const { weight } = model.getSubmodule('layer3.0.conv1') as nn.Conv2d;
    const std = Math.sqrt(2 / (256 * 9));
    expect(Math.abs(weight.std().item() / std - 1)).toBeLessThan(0.02);
    expect((model.getParameter('layer1.0.bn2.weight') as Tensor).sum().item()).toBe(0);
    expect((model.getParameter('bn1.weight') as Tensor).sum().item()).toBe(64);
  });

  test('takes small images, other widths, dilation and groups', () => {
    const small = models.resnet18({ width: 8, stem: 'small', inChannels: 1, numClasses: 10 });
    expect(small.call(rand([2, 1, 28, 28])).shape).toEqual([2, 10]);
    const dilated = new models.ResNet(models.Bottleneck, [1, 1, 1, 1], {
      width: 4,
      numClasses: 5,
      groups: 2,
      widthPerGroup: 32,
      replaceStrideWithDilation: [false, true, true],
    });
    expect(dilated.call(rand([2, 3, 64, 64])).shape).toEqual([2, 5]);
    const grouped = models.resnet18({
      width: 8,
      numClasses: 3,
      normLayer: (channels) => new nn.GroupNorm(4, channels),
    });
    expect(grouped.call(rand([1, 3, 32, 32])).shape).toEqual([1, 3]);
    expect(Object.keys(grouped.stateDict()).some((key) => key.includes('running'))).toBe(false);
  });

  test('says which argument is wrong', () => {
    expect(() => models.resnet18({ numClasses: 0 })).toThrow(/ResNet: argument 'numClasses'/);
    expect(() => models.resnet18({ clases: 3 } as never)).toThrow(/unknown option 'clases'/);
    expect(() => models.resnet18({ groups: 2 })).toThrow(/BasicBlock: .* use Bottleneck/);
    expect(() => new models.ResNet(models.BasicBlock, [1, 2] as never)).toThrow(/'layers'/);
    expect(() => models.resnet18({ normLayer: 3 as never })).toThrow(/'normLayer'/);
  });
});

describe('small networks', () => {
  test('SimpleNN and LeNet classify digits', () => {
    const digits = rand([4, 1, 28, 28]);
    const simple = new models.SimpleNN();
    expect(simple.call(digits).exp().sum(1).toArray()).toEqual([
      expect.closeTo(1, 5),
      expect.closeTo(1, 5),
      expect.closeTo(1, 5),
      expect.closeTo(1, 5),
    ]);
    expect(Object.keys(simple.stateDict())).toHaveLength(6);
    expect(new models.LeNet().call(digits).shape).toEqual([4, 10]);
  });
});

describe('ViT', () => {
  test.each(dumps('vit'))('follows torchvision, %s', (size, folder) => {
    const model =
      size === 'full'
        ? models.vitB16()
        : new models.VisionTransformer({
            imageSize: 32,
            patchSize: 8,
            numLayers: 2,
            numHeads: 3,
            hiddenDim: 24,
            mlpDim: 48,
            numClasses: 10,
          });
    compare(
      loadGolden(folder, 'vit'),
      model,
      (parameters) => new optim.AdamW(parameters, { lr: 1e-3, weightDecay: 0.01 }),
    );
  });

  test('takes a layer in front of its classifier, and says what is wrong', () => {
    const size = { imageSize: 8, patchSize: 4, numLayers: 1, numHeads: 2, hiddenDim: 8 };
    const model = new models.VisionTransformer({ ...size, representationSize: 6, numClasses: 3 });
    expect(model.call(rand([2, 3, 8, 8])).shape).toEqual([2, 3]);
    expect(Object.keys(model.stateDict())).toContain('heads.pre_logits.weight');
    expect(() => model.call(rand([2, 3, 9, 9]))).toThrow(/shape \[N, C, 8, 8\]/);
    expect(() => new models.VisionTransformer({ ...size, patchSize: 3 })).toThrow(/multiple/);
  });
});
