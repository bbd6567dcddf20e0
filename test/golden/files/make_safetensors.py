"""Writes safetensors.safetensors: every dtype, as the reference library stores it.

Usage: python test/golden/files/make_safetensors.py (needs torch and safetensors)
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

values = torch.tensor([[0.0, -0.0, 1.5], [float("inf"), float("nan"), -2.25]])
tensors = {
    "f64": values.double() / 3,
    "f32": values / 3,
    "f16": (values / 3).half(),
    "bf16": (values / 3).bfloat16(),
    "i64": torch.tensor([-(2**63), 2**63 - 1, 0]),
    "i32": torch.tensor([[-(2**31)], [2**31 - 1]], dtype=torch.int32),
    "i16": torch.tensor([-32768, 32767], dtype=torch.int16),
    "i8": torch.tensor([-128, 127, 5], dtype=torch.int8),
    "u8": torch.tensor([0, 255, 7], dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(3.25),
    "empty": torch.zeros(2, 0, 3),
    "f8": torch.tensor([1.0, 2.0]).to(torch.float8_e4m3fn),
    "naïve.名": torch.arange(6.0).reshape(2, 3),
}
folder = Path(__file__).parent
f8 = tensors.pop("f8")
save_file(tensors, folder / "all.safetensors", metadata={"format": "pt", "note": 'a "b"'})
save_file({"w": tensors["f32"], "f8": f8}, folder / "float8.safetensors")
