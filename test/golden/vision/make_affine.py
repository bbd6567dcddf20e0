"""Writes affine.json: torchvision's rotations, affine maps and RandAugment's changes of one small image."""

import json
import pathlib

import torch
from torchvision.transforms import _functional_tensor as T
from torchvision.transforms import functional as F
from torchvision.transforms import InterpolationMode
from torchvision.transforms.autoaugment import RandAugment, _apply_op
from torchvision.transforms.v2.functional import adjust_sharpness_image

image = ((torch.arange(3 * 7 * 9) * 37) % 256).to(torch.uint8).view(3, 7, 9)
MODES = [InterpolationMode.NEAREST, InterpolationMode.BILINEAR]


def digest(change):
    """The bytes, and weighted sums of the rows of the floats."""
    floats = change(image.double() / 255)
    weights = torch.arange(1, floats[0].numel() + 1, dtype=torch.float64).view(floats[0].shape)
    sums = (floats * weights).sum(-1)
    return {
        "shape": list(floats.shape),
        "bytes": change(image).flatten().tolist(),
        "sums": [round(v, 9) for v in sums.flatten().tolist()],
    }


rotations = []
for mode in MODES:
    for angle, expand, center, fill in [
        (30.0, False, None, [0.0]),
        (-77.5, True, None, [0.5, 0.25, 1.0]),
        (180.0, False, None, None),
        (12.0, False, [1, 2.5], [1.0]),
        (101.0, True, [2, 2], [0.25]),
    ]:
        change = lambda x: F.rotate(
            x,
            angle,
            mode,
            expand,
            center,
            # Fills of floats; bytes get the same share of 255.
            None if fill is None else [v if x.is_floating_point() else v * 255 for v in fill],
        )
        rotations.append(
            {"mode": mode.value, "angle": angle, "expand": expand, "center": center, "fill": fill}
            | digest(change)
        )

maps = []
for mode in MODES:
    for angle, translate, scale, shear, center in [
        (20.0, [2, -1], 0.8, [0.0, 0.0], None),
        (-35.0, [0, 0], 1.3, [10.0, 0.0], None),
        (5.0, [-1, 3], 1.0, [-12.0, 25.0], [4, 1]),
    ]:
        change = lambda x: F.affine(x, angle, translate, scale, shear, mode, [0.0], center)
        maps.append(
            {"mode": mode.value, "angle": angle, "translate": translate, "scale": scale}
            | {"shear": shear, "center": center}
            | digest(change)
        )

augment = []
bins = 31
space = RandAugment()._augmentation_space(bins, (7, 9))
for name, (magnitudes, signed) in space.items():
    for level in [0, 9, 22, 30] if magnitudes.ndim > 0 else [0]:
        size = float(magnitudes[level].item()) if magnitudes.ndim > 0 else 0.0
        for sign in [1, -1] if signed else [1]:
            y = _apply_op(image, name, sign * size, InterpolationMode.NEAREST, [7.0, 8.0, 9.0])
            if name == "Sharpness":
                # The older function also blends the rim with itself, and may round it down.
                y = adjust_sharpness_image(image, 1 + sign * size)
            case = {"op": name, "level": level, "sign": sign, "bytes": y.flatten().tolist()}
            augment.append(case)

out = {"rotations": rotations, "maps": maps, "augment": augment}
pathlib.Path(__file__).with_name("affine.json").write_text(json.dumps(out) + "\n")
