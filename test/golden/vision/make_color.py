"""Writes color.json: torchvision's colour changes of one small image, for bytes and for floats."""

import json
import pathlib

import torch
from torchvision.transforms import _functional_tensor as F

image = ((torch.arange(3 * 4 * 5) * 37) % 256).to(torch.uint8).view(3, 4, 5)
image[:, 0, 0] = 7
CASES = [
    ("brightness", F.adjust_brightness, [0.5, 1.7]),
    ("contrast", F.adjust_contrast, [0.5, 1.7]),
    ("saturation", F.adjust_saturation, [0.3, 1.7]),
    ("hue", F.adjust_hue, [-0.3, 0.25]),
    ("grey", lambda x, _: F.rgb_to_grayscale(x), [0]),
]
out = []
for name, change, factors in CASES:
    for factor in factors:
        floats = change(image.float() / 255, factor).flatten().tolist()
        case = {"name": name, "factor": factor, "bytes": change(image, factor).flatten().tolist()}
        out.append({**case, "floats": [round(v, 6) for v in floats]})
pathlib.Path(__file__).with_name("color.json").write_text(json.dumps(out) + "\n")
