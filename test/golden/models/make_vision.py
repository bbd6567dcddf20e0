"""Dumps of torchvision's ResNet and ViT; needs torch, torchvision and safetensors.

The small ResNets are torchvision's own class with narrower stages.
"""
import copy

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet, vision_transformer

from common import make, options, randomise, record, save


class SmallResNet(resnet.ResNet):
    def __init__(self, block, layers, width, classes):
        nn.Module.__init__(self)
        self._norm_layer = nn.BatchNorm2d
        self.inplanes, self.dilation, self.groups, self.base_width = width, 1, 1, 64
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, width, layers[0])
        self.layer2 = self._make_layer(block, 2 * width, layers[1], stride=2)
        self.layer3 = self._make_layer(block, 4 * width, layers[2], stride=2)
        self.layer4 = self._make_layer(block, 8 * width, layers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width * block.expansion, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


def images(n, size, classes, seed=2):
    """Images stay bytes in the file; the model sees x / 255 - 0.5."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "images": torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8),
        "labels": torch.randint(0, classes, (n,), generator=generator),
    }


def pixels(inputs):
    return inputs["images"].float() / 255 - 0.5


def forward(model, inputs):
    logits = model(pixels(inputs).to(next(model.parameters()).dtype))
    return {"logits": logits}, F.cross_entropy(logits, inputs["labels"])


def sgd(lr):
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=0.9)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)


def gradients(model, inputs, dtype):
    model = copy.deepcopy(model).to(dtype).train()
    F.cross_entropy(model(pixels(inputs).to(dtype)), inputs["labels"]).backward()
    return [p.grad.double() for p in model.parameters()]


def smooth_images(model, n, size, classes):
    """Images at which the gradients exist in float32.

    A ReLU with an input next to 0 may be open in one correct implementation and closed in another, and
    the gradients then differ by percents: those of PyTorch with and without oneDNN do. So the first
    images are taken for which PyTorch's gradients in float32 are those in float64. Ten steps are too
    many for such luck: those are in float64.
    """
    for seed in range(2, 100):
        inputs = images(n, size, classes, seed)
        exact = gradients(model, inputs, torch.float64)
        floor = 1e-3 * max(g.abs().max() for g in exact)
        pairs = zip(gradients(model, inputs, torch.float32), exact)
        if max((a - b).abs().max() / max(b.abs().max(), floor) for a, b in pairs) < 3e-5:
            return inputs
    raise RuntimeError("no images with well-conditioned gradients")


def dump(args, name, model, inputs, optimizer, smooth=None):
    randomise(model)
    if smooth is not None:
        inputs = smooth_images(model, *smooth)
    model.eval()
    with torch.no_grad():
        evaluated = model(pixels(inputs))
    dtype = torch.float32 if smooth is None else torch.float64
    save(args.out, name, record(model, inputs, forward, optimizer, {"output.eval": evaluated}, dtype))


def resnet18(args):
    if args.full:
        dump(args, "resnet18", resnet.resnet18(), None, sgd(1e-3), smooth=(4, 64, 1000))
    else:
        dump(args, "resnet18", SmallResNet(resnet.BasicBlock, [2, 1, 1, 1], 6, 10), images(4, 64, 10), sgd(0.01))


def resnet50(args):
    if args.full:
        dump(args, "resnet50", resnet.resnet50(), None, sgd(1e-3), smooth=(4, 64, 1000))
    else:
        dump(args, "resnet50", SmallResNet(resnet.Bottleneck, [2, 1, 1, 1], 4, 10), images(4, 64, 10), sgd(0.01))


def vit(args):
    if args.full:
        model = vision_transformer.vit_b_16()
        nn.init.normal_(model.heads.head.weight, std=0.02)  # as below
        dump(args, "vit", model, images(2, 224, 1000), adamw)
        return
    model = vision_transformer.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=3, hidden_dim=24, mlp_dim=48, num_classes=10
    )
    nn.init.normal_(model.heads.head.weight, std=0.1)  # torchvision starts it at 0: no gradient below
    dump(args, "vit", model, images(4, 32, 10), adamw)


make(options(__doc__), {"resnet18": resnet18, "resnet50": resnet50, "vit": vit})
