"""Outputs of a classifier in other forms than logits of each class: single logits, and probabilities.

A binary classifier often has a single output z, the logit of class 1. Its logits are (0, z).

Probabilities that are taken for logits go through softmax twice. The losses are then wrong, but look right: finite, and
in the right order. So outputs that look like probabilities are rejected, and converted only where the caller says so.
"""

from __future__ import annotations

import torch
from torch import Tensor

OUTPUTS_ARE = ("logits", "probabilities")
"""The names that `outputs_are=` takes."""
TOLERANCE = 0.1
"""Largest distance from 1 of the sum of a row of probabilities: room for bfloat16, clipping, and two decimals."""
ROUNDING = 1e-6  # a probability may be below zero by this much
FEWEST_ROWS = 20
"""Logits of fewer rows may look like probabilities by chance, and are not judged."""


def unwrapped(values: Tensor) -> Tensor:
    """Return the tensor below the wrappers of `torch.func.vmap` and `torch.func.grad`, whose values can be read.

    Under vmap it has an axis more, at any place. So this is for values that are reduced over all axes.
    """
    return torch.func.debug_unwrap(values, recurse=True)


def at_least_float32(outputs: Tensor) -> Tensor:
    """Convert half precision to float32; leave float32 and float64 as they are."""
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs


def class_logits(outputs: Tensor) -> Tensor:
    """Convert single logits z, `(..., 1)`, to the logits (0, z) of two classes, `(..., 2)`; others stay as they are."""
    return torch.cat([torch.zeros_like(outputs), outputs], dim=-1) if outputs.shape[-1] == 1 else outputs


def check_logits(outputs: Tensor) -> None:
    """Check that outputs `(..., K)` do not look like probabilities, or like per cent; raises ValueError.

    They do if none is negative and most rows sum to about 1, or about 100.
    """
    if outputs.shape[-1] == 1:
        return
    low, high = unwrapped(outputs).min().item(), unwrapped(outputs).max().item()
    for whole, words, remedy in ((1, "probabilities", ""), (100, "per cent", "a hundredth of them as ")):
        if low < -ROUNDING * whole or high > (1 + TOLERANCE) * whole:
            continue
        sums = unwrapped(at_least_float32(outputs).sum(-1))
        near = (sums / whole - 1).abs() < TOLERANCE
        if near.numel() >= FEWEST_ROWS and near.float().mean() > 0.5:
            allowed = f"{remedy}probabilities with outputs_are='probabilities'"
            raise ValueError(f"outputs look like {words}; allowed are logits, or {allowed}")


def as_logits(outputs: Tensor) -> Tensor:
    """Convert probabilities `(..., K)` to their logarithms, whose softmax they are.

    Each row is divided by its sum. A probability of 0, whose logarithm is not finite, is replaced by `zero_stands_for`.
    K = 1 is the probability of class 1, and becomes its logit, log p − log(1 − p).

    Raises:
        ValueError: negative numbers, a row whose sum is not 1 within `TOLERANCE`, or only 0 and 1.
    """
    p = two_columns(at_least_float32(outputs))
    sums = p.sum(-1)
    wrong = unwrapped((p < -ROUNDING).any(-1) | ((sums - 1).abs() > TOLERANCE))
    if wrong.any():
        found = f"{int(wrong.sum())} of {wrong.numel()} rows are no probabilities"
        if outputs.shape[-1] == 1:
            raise ValueError(f"outputs: {found} of class 1; allowed are numbers from 0 to 1")
        spread = f"{unwrapped(sums).min().item():.3g} to {unwrapped(sums).max().item():.3g}"
        raise ValueError(
            f"outputs: {found} (sums are {spread}, the lowest value is {unwrapped(p).min().item():.3g}); "
            f"allowed are numbers of at least 0 that sum to 1 within {TOLERANCE}"
        )
    if unwrapped((p == 0) | (p == 1)).all():
        found = "outputs hold only 0 and 1, votes whose cross-entropy is infinite"
        raise ValueError(f"{found}; allowed are probabilities, clipped if votes are all there is")
    p = torch.where(p > 0, p, zero_stands_for(p))
    if outputs.shape[-1] == 1:
        return p[..., 1:].log() - p[..., :1].log()
    return p.log() - p.sum(-1, keepdim=True).log()


def zero_stands_for(p: Tensor) -> Tensor:
    """Return what replaces a probability of 0 among probabilities `(..., K)`: half of the smallest positive one.

    So it is in the range that rounding took to 0. It is at most `TOLERANCE / K`, since all of a row may be replaced.
    """
    smallest = torch.where(p > 0, p, torch.inf).detach().amin() / 2
    return smallest.clamp(torch.finfo(p.dtype).tiny, TOLERANCE / p.shape[-1])


def two_columns(p: Tensor) -> Tensor:
    """Convert probabilities of class 1, `(..., 1)`, to those of both classes, `(..., 2)`; leave others as they are."""
    return torch.cat([1 - p, p], dim=-1) if p.shape[-1] == 1 else p
