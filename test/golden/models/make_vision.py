"""Dumps of torchvision's ResNet and ViT; needs torch, torchvision and safetensors.

The small ResNets are torchvision's own class with narrower stages.
"""
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet, vision_transformer

from common import options, randomise, record, save


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


def images(n, size, classes):
    """Images stay bytes in the file; the model sees x / 255 - 0.5."""
    generator = torch.Generator().manual_seed(2)
    return {
        "images": torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8),
        "labels": torch.randint(0, classes, (n,), generator=generator),
    }


def pixels(inputs):
    return inputs["images"].float() / 255 - 0.5


def forward(model, inputs):
    logits = model(pixels(inputs))
    return {"logits": logits}, F.cross_entropy(logits, inputs["labels"])


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)


def dump(args, name, model, inputs, optimizer):
    randomise(model)
    model.eval()
    with torch.no_grad():
        evaluated = model(pixels(inputs))
    save(args.out, name, record(model, inputs, forward, optimizer, {"output.eval": evaluated}))


def main():
    args = options(__doc__)
    if args.full:
        dump(args, "resnet18", resnet.resnet18(), images(4, 224, 1000), sgd)
        dump(args, "resnet50", resnet.resnet50(), images(4, 224, 1000), sgd)
        dump(args, "vit", vision_transformer.vit_b_16(), images(2, 224, 1000), adamw)
        return
    basic = SmallResNet(resnet.BasicBlock, [2, 1, 1, 1], 6, 10)
    dump(args, "resnet18", basic, images(4, 64, 10), sgd)
    bottleneck = SmallResNet(resnet.Bottleneck, [2, 1, 1, 1], 4, 10)
    dump(args, "resnet50", bottleneck, images(4, 64, 10), sgd)
    vit = vision_transformer.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=3, hidden_dim=24, mlp_dim=48, num_classes=10
    )
    nn.init.normal_(vit.heads.head.weight, std=0.1)  # torchvision starts it at 0: no gradient below
    dump(args, "vit", vit, images(4, 32, 10), adamw)


main()
