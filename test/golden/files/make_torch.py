"""Writes the .pt files of this folder.

Usage: python test/golden/files/make_torch.py (needs torch)
"""

import collections
import os
import pickle
import zipfile
from pathlib import Path

import torch

folder = Path(__file__).parent
torch.manual_seed(0)

base = torch.arange(12.0).reshape(3, 4)
dtypes = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
]
nested = {
    "dtypes": {str(d).removeprefix("torch."): torch.tensor([0, 1, 100]).to(d) for d in dtypes},
    "base": base,
    "transposed": base.t(),
    "part": base[1:, ::2],
    "expanded": torch.tensor([5.0]).expand(3, 2),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
    "wants": torch.ones(2, requires_grad=True),
    "numbers": [1, -1, 255, 65536, 2**40, 2**70, -(2**70), 0.1, float("inf")],
    "tuple": (1, ("a", None)),
    "text": "naïve \U0001f600",
    "bytes": b"\x00\xff",
    "array": bytearray(b"ab"),
    "flags": (True, False, None),
    "set": {1, 2},
    "by_number": {0: "a", 1: "b"},
    "ordered": collections.OrderedDict(z=1, a=2),
    "size": base.shape,
    "dtype": torch.float16,
    "device": torch.device("cuda", 1),
    "__proto__": 1,
}
nested["same"] = nested["numbers"]
for protocol in range(2, 6):
    torch.save(nested, folder / f"nested{protocol}.pt", pickle_protocol=protocol)

model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
optimizer = torch.optim.Adam(model.parameters())
model(torch.randn(5, 3)).sum().backward()
optimizer.step()
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, folder / "train.pt")
torch.save(base, folder / "legacy.pt", _use_new_zipfile_serialization=False)
torch.save(torch.zeros(2, dtype=torch.complex64), folder / "complex.pt")
torch.save(base.to_sparse(), folder / "sparse.pt")
torch.save(model, folder / "module.pt")


class Attack:
    def __reduce__(self):
        return os.system, ("touch /tmp/ampgrad-was-attacked",)


class Hidden:
    def __reduce__(self):
        return eval, ("__import__('os').system('touch /tmp/ampgrad-was-attacked')",)


for name, value in {"attack": Attack(), "eval": Hidden()}.items():
    with zipfile.ZipFile(folder / f"{name}.pt", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"a": value}, protocol=2))
        archive.writestr("x/version", "3\n")
