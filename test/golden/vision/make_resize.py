"""Writes resize.json: torch's interpolate (weighted row sums) and Pillow's resize of one small image."""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

SIZES = [(4, 5), (10, 13)]
image = ((torch.arange(7 * 9) * 37) % 256).to(torch.uint8).view(7, 9)
out = {"torch": [], "pillow": [], "nearest": None}
for mode in ["bilinear", "bicubic"]:
    for antialias in [True, False]:
        for size in SIZES:
            x = image.double()[None, None]
            y = F.interpolate(x, size=size, mode=mode, antialias=antialias, align_corners=False)[0, 0]
            weights = torch.arange(1, size[0] * size[1] + 1).view(size)
            sums = (y * weights).sum(1).tolist()
            out["torch"].append({"mode": mode, "antialias": antialias, "size": size, "sums": sums})
for mode in ["bilinear", "bicubic", "lanczos", "box", "hamming"]:
    for h, w in SIZES:
        y = Image.fromarray(image.numpy()).resize((w, h), Image.Resampling[mode.upper()])
        out["pillow"].append({"mode": mode, "size": (h, w), "pixels": np.array(y).ravel().tolist()})
x = image.double()[None, None]
out["nearest"] = F.interpolate(x, size=(4, 13), mode="nearest")[0, 0].int().tolist()
path = pathlib.Path(__file__).with_name("resize.json")
path.write_text(json.dumps(out) + "\n")
