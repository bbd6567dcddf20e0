"""What the scripts of this folder share: recording a model and writing safetensors.

A dump holds, for one model on fixed inputs: the weights before training (`state.`), the inputs
(`input.`), the outputs and the loss, the gradient of every parameter (`grad.`) and the losses of
ten steps (`losses`). Tied parameters are stored once.
"""
import argparse
import os
import sys

import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = 10


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", default=HERE, help="folder of the dumps")
    parser.add_argument("--full", action="store_true", help="full-size models instead of small ones")
    parser.add_argument("--only", nargs="*", help="names of the dumps to make; default: all")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    return args


def make(args, makers):
    """Runs the functions of a dict by their names. Each starts from the same seed, alone or not."""
    for name in args.only or makers:
        torch.manual_seed(0)
        makers[name](args)


def randomise(model):
    """Makes every part matter: no bias, scale or running statistic stays at 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1 or name.endswith(("class_token", "pos_embedding")):
                p.add_(torch.randn(p.shape, generator=generator) * 0.1)
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(torch.randn(b.shape, generator=generator) * 0.1)
            elif name.endswith("running_var"):
                b.copy_(torch.rand(b.shape, generator=generator) + 0.5)


def record(model, inputs, forward, optimizer, extra=None, dtype=torch.float32):
    """`forward(model, inputs)` gives (dict of outputs, loss). Training runs in `dtype`."""
    dump = {"state." + k: v for k, v in model.state_dict().items()}
    for a, b in model._tied_weights_keys.items() if getattr(model, "_tied_weights_keys", None) else ():
        dump.pop("state." + a, None)
        assert "state." + b in dump, b
    dump = {k: v.clone() for k, v in dump.items()}
    for name, value in inputs.items():
        dump["input." + name] = value
    model.train()
    outputs, loss = forward(model, inputs)
    loss.backward()
    for name, value in outputs.items():
        dump["output." + name] = value.detach()
    dump["loss"] = loss.detach().reshape(())
    for name, p in model.named_parameters():
        if p.grad is not None:
            dump["grad." + name] = p.grad.clone()
    for name, value in (extra or {}).items():
        dump[name] = value
    model.zero_grad()
    model.to(dtype)
    opt = optimizer(model.parameters())
    losses = []
    for _ in range(STEPS):
        opt.zero_grad()
        _, loss = forward(model, inputs)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    dump["losses"] = torch.tensor(losses, dtype=torch.float64)
    return dump


def save(folder, name, dump, metadata=None):
    """Under another name first: what an interrupted run leaves must not look like a dump."""
    path = os.path.join(folder, name + ".safetensors")
    save_file({k: v.contiguous() for k, v in dump.items()}, path + ".part", metadata)
    os.replace(path + ".part", path)
    print("%s: %d tensors, %.0f kB" % (path, len(dump), os.path.getsize(path) / 1e3), file=sys.stderr)
