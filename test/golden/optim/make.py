"""Writes optimizers.json and schedulers.json: what PyTorch 2.13 does with recorded gradients.

Run with a Python that has torch: python test/golden/optim/make.py
"""

import json
import os
import warnings

import torch
from torch.optim import lr_scheduler, swa_utils

STEPS = 8
HERE = os.path.dirname(os.path.abspath(__file__))


def plain(value):
    """Numbers with as many digits as the dtype holds; tensors as nested lists with their dtype."""
    if isinstance(value, torch.Tensor):
        digits = 17 if value.dtype == torch.float64 else 9
        flat = [float(f"{v:.{digits}g}") for v in value.detach().double().flatten().tolist()]
        return {"shape": list(value.shape), "dtype": str(value.dtype)[6:], "values": flat}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def optimizer_case(name, dtype=torch.float32, absent=(), **options):
    g = torch.Generator().manual_seed(len(name) + len(options))
    shapes = {"W": (4, 3), "b": (3,), "s": ()}
    if name == "Muon":
        shapes = {"W": (4, 3)}
    params = [torch.randn(s, generator=g).to(dtype).requires_grad_() for s in shapes.values()]
    optimizer = getattr(torch.optim, name)(params, **options)
    case = {
        "optimizer": name,
        "options": plain(options),
        "init": [plain(p) for p in params],
        "steps": [],
    }
    for step in range(STEPS):
        grads = [torch.randn(p.shape, generator=g).to(dtype) for p in params]
        for i, (p, grad) in enumerate(zip(params, grads)):
            p.grad = None if (step, i) in absent else grad
        optimizer.step()
        case["steps"].append(
            {
                "grads": [None if p.grad is None else plain(p.grad) for p in params],
                "params": [plain(p) for p in params],
            }
        )
    case["stateDict"] = plain(optimizer.state_dict())
    return case


def optimizer_cases():
    f64 = torch.float64
    c = optimizer_case
    return [
        c("SGD", lr=0.1),
        c("SGD", lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
        c("SGD", lr=0.1, momentum=0.9, dampening=0.5, maximize=True, absent={(0, 2), (3, 1)}),
        c("SGD", f64, lr=0.1, momentum=0.5),
        c("Adam", lr=0.05),
        c("Adam", lr=0.05, amsgrad=True, weight_decay=0.3, maximize=True, absent={(1, 0), (2, 2)}),
        c("Adam", f64, lr=0.05, betas=(0.5, 0.7), eps=1e-3),
        c("AdamW", lr=0.05, weight_decay=0.2, amsgrad=True),
        c("AdamW", lr=0.05, betas=(0.0, 0.0)),
        c("RMSprop", lr=0.01, momentum=0.7, centered=True, weight_decay=0.1, alpha=0.8),
        c("RMSprop", lr=0.01),
        c("Adagrad", lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5),
        c("Adadelta", lr=0.5, rho=0.5, eps=1e-3, weight_decay=0.1),
        c("Adamax", lr=0.05, weight_decay=0.2, maximize=True),
        c("NAdam", lr=0.05, weight_decay=0.2, decoupled_weight_decay=True),
        c("NAdam", lr=0.05, weight_decay=0.2),
        c("RAdam", lr=0.05, weight_decay=0.2),
        c("RAdam", lr=0.05, betas=(0.5, 0.9), decoupled_weight_decay=True, weight_decay=0.1),
        c("Rprop", lr=0.05, etas=(0.3, 1.5), step_sizes=(1e-3, 0.2)),
        c("ASGD", lr=0.05, t0=3, lambd=0.1, alpha=0.5, weight_decay=0.1),
        c("Adafactor", lr=0.1, weight_decay=0.1, eps=(1e-3, 1e-2), d=2.0),
        c("Adafactor", f64, lr=0.5),
        c("Muon", lr=0.1),
    ]


def lambda_of(kind, value):
    return {"pow": lambda e: value**e, "inv": lambda e: 1 / (1 + value * e)}[kind]


def build(spec, optimizer):
    name, options = spec
    cls = getattr(lr_scheduler, name, None) or getattr(swa_utils, name)
    made = {}
    for key, value in options.items():
        if key == "lr_lambda":
            value = lambda_of(*value)
        if key == "schedulers":
            value = [build(s, optimizer) for s in value]
        made[key] = value
    return cls(made["schedulers"]) if name == "ChainedScheduler" else cls(optimizer, **made)


def scheduler_case(name, base=(0.1,), optimizer="SGD", metrics=None, **options):
    groups = [{"params": [torch.zeros(1)], "lr": lr} for lr in base]
    opt = getattr(torch.optim, optimizer)(groups, **({"momentum": 0.9} if optimizer == "SGD" else {}))
    scheduler = build((name, options), opt)

    def momentum(group):
        return group["betas"][0] if "betas" in group else group["momentum"]

    rows = [[(g["lr"], momentum(g)) for g in opt.param_groups]]
    for t in range(20):
        opt.step()
        scheduler.step(*([metrics[t]] if metrics else []))
        rows.append([(g["lr"], momentum(g)) for g in opt.param_groups])
    return {
        "scheduler": name,
        "optimizer": optimizer,
        "base": list(base),
        "options": options,
        "metrics": metrics,
        "lrs": [[lr for lr, _ in row] for row in rows],
        "momenta": [[m for _, m in row] for row in rows],
    }


def scheduler_cases():
    c = scheduler_case
    plateau = [1.0, 0.9, 0.9, 0.9, 0.9, 0.5] + [0.6] * 14
    return [
        c("StepLR", step_size=4),
        c("MultiStepLR", milestones=[3, 3, 11], gamma=0.3),
        c("ConstantLR", factor=0.5, total_iters=4),
        c("LinearLR", base=(0.1, 0.2), start_factor=0.1, end_factor=0.5, total_iters=8),
        c("ExponentialLR", gamma=0.9),
        c("PolynomialLR", total_iters=12, power=2.0),
        c("CosineAnnealingLR", base=(0.1, 0.5), T_max=7, eta_min=0.01),
        c("CosineAnnealingWarmRestarts", T_0=3, T_mult=2, eta_min=0.01),
        c("OneCycleLR", max_lr=0.3, total_steps=21),
        c("OneCycleLR", optimizer="AdamW", max_lr=0.3, epochs=3, steps_per_epoch=8,
          anneal_strategy="linear", three_phase=True),
        c("CyclicLR", base_lr=0.01, max_lr=0.2, step_size_up=5, step_size_down=3),
        c("CyclicLR", base_lr=0.01, max_lr=0.2, step_size_up=4, mode="triangular2"),
        c("CyclicLR", optimizer="Adam", base_lr=0.01, max_lr=0.2, step_size_up=4,
          mode="exp_range", gamma=0.9),
        c("ReduceLROnPlateau", metrics=plateau, patience=2, factor=0.5),
        c("ReduceLROnPlateau", metrics=[0.1 * (i % 5) for i in range(20)], mode="max",
          threshold_mode="abs", threshold=0.01, cooldown=2, patience=1, min_lr=0.001),
        c("LambdaLR", lr_lambda=["pow", 0.9]),
        c("MultiplicativeLR", lr_lambda=["inv", 0.05]),
        c("SequentialLR", milestones=[4, 12], schedulers=[
            ["LinearLR", {"total_iters": 4}], ["CosineAnnealingLR", {"T_max": 8}],
            ["ExponentialLR", {"gamma": 0.9}]]),
        c("ChainedScheduler", schedulers=[
            ["ConstantLR", {"factor": 0.1, "total_iters": 4}], ["ExponentialLR", {"gamma": 0.9}]]),
        c("SWALR", base=(0.1, 0.2), swa_lr=[0.02, 0.03], anneal_epochs=4),
    ]


def write(name, cases):
    with open(os.path.join(HERE, name), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


warnings.simplefilter("ignore")
torch.set_num_threads(1)
write("optimizers.json", optimizer_cases())
write("schedulers.json", scheduler_cases())
