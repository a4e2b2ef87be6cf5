"""Check the arguments of public functions; every check raises ValueError with one line.

They read values, which waits for the device, so training uses the unchecked variants. Under `torch.func.vmap` and
`torch.func.grad` the values are read below the wrappers, for all runs at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .probabilities import OUTPUTS_ARE, as_logits, at_least_float32, check_logits, unwrapped

LOSSES = ("cross_entropy", "squared_error")
"""The names that `loss=` takes."""
AVERAGES = ("scores", "probabilities", "released")
"""The names that `average=` takes."""


def check_ensemble(outputs: Tensor, targets: Tensor, loss: str, average: str, outputs_are: str = "logits") -> Tensor:
    """Check the arguments of `decompose`; returns the outputs, probabilities converted to logits."""
    outputs = checked_outputs(outputs, loss, average, outputs_are)
    check_targets(outputs, targets, loss)
    return outputs


def checked_outputs(outputs: Tensor, loss: str, average: str, outputs_are: str = "logits") -> Tensor:
    """Check the arguments of `ensemble_output`; returns the outputs, probabilities converted to logits."""
    check_names(loss, average, outputs_are)
    check_outputs(outputs)
    if loss == "squared_error":
        return outputs
    if outputs_are == "probabilities":
        return as_logits(outputs)
    check_logits(outputs)
    return outputs


def check_names(loss: str, average: str, outputs_are: str = "logits") -> None:
    """Check that loss, average and what outputs are are known names, and go together."""
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; allowed are {', '.join(LOSSES)}")
    if average not in AVERAGES:
        raise ValueError(f"unknown average {average!r}; allowed are {', '.join(AVERAGES)}")
    if outputs_are not in OUTPUTS_ARE:
        raise ValueError(f"unknown outputs_are {outputs_are!r}; allowed are {', '.join(OUTPUTS_ARE)}")
    if outputs_are != "logits" and loss == "squared_error":
        raise ValueError(f"outputs_are={outputs_are!r} is for classification; squared_error takes outputs as they are")


def check_outputs(outputs: Tensor) -> None:
    """Check that outputs are finite floating-point numbers `(..., M, B, K)`."""
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
        kind = outputs.dtype if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(f"outputs are {kind}; allowed is a tensor of floating-point numbers")
    if outputs.ndim < 3 or 0 in outputs.shape:
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}; allowed is (..., M, B, K), no axis empty")
    if not (finite := unwrapped(outputs.isfinite())).all():
        found = f"{int((~finite).sum())} of {finite.numel()}"
        raise ValueError(f"outputs hold NaN or infinite values, {found}; allowed are finite numbers")


def check_targets(outputs: Tensor, targets: Tensor, loss: str) -> None:
    """Check that targets fit outputs `(..., M, B, K)` and the loss."""
    lead, batch, num_outputs = tuple(outputs.shape[:-3]), outputs.shape[-2], outputs.shape[-1]
    num_classes = max(2, num_outputs)  # a single output is the logit of class 1
    allowed = [(*lead, batch)] + ([(batch,)] if lead else [])
    if loss == "squared_error":
        allowed = [(*lead, batch, num_outputs)] + (allowed if num_outputs == 1 else [])
    if not isinstance(targets, Tensor):
        raise ValueError(f"targets are {type(targets).__name__}; allowed is a tensor")
    if tuple(targets.shape) not in allowed:
        shapes = " or ".join(map(str, allowed))
        raise ValueError(f"targets have shape {tuple(targets.shape)}; outputs {tuple(outputs.shape)} allow {shapes}")
    if loss == "squared_error":
        if not targets.is_floating_point() or not unwrapped(targets.isfinite()).all():
            raise ValueError("targets of squared_error are invalid; allowed are finite floating-point numbers")
        return
    if targets.is_floating_point() or targets.is_complex() or (targets.dtype == torch.bool and num_classes > 2):
        raise ValueError(f"targets of cross_entropy are {targets.dtype}; allowed are integer classes")
    targets = unwrapped(targets.long())  # of unsigned integers, torch compares bytes only
    if targets.min() < 0 or targets.max() >= num_classes:
        found = f"{int(targets.min())}..{int(targets.max())}"
        raise ValueError(f"targets hold classes {found}; allowed are 0..{num_classes - 1}")


def checked_weights(outputs: Tensor, weights: Tensor) -> Tensor:
    """Check weights and convert them to the outputs' precision, renormalised to sum 1 there."""
    lead = tuple(outputs.shape[:-2])  # (..., M)
    shape = tuple(weights.shape) if isinstance(weights, Tensor) else type(weights).__name__
    if shape not in (lead, lead[-1:]):
        allowed = " or ".join(map(str, dict.fromkeys((lead[-1:], lead))))
        raise ValueError(f"weights have shape {shape}; allowed is {allowed}, one weight for each learner")
    if weights.is_complex():
        raise ValueError(f"weights are {weights.dtype}; allowed are real numbers")
    if not unwrapped(weights >= 0).all() or not unwrapped((weights.sum(-1) - 1).abs() <= 2e-5).all():
        found = unwrapped(weights).tolist()
        raise ValueError(f"weights are {found}; allowed are non-negative numbers with sum 1")
    weights = weights.to(at_least_float32(outputs))
    return weights / weights.sum(-1, keepdim=True)
