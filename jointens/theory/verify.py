"""Verify equations and inequalities numerically on random ensembles, in float64; the book's theorems use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ..losses import LOSSES

SIZES = ((1, 3), (2, 2), (3, 10), (5, 7), (20, 4))
"""Default pairs of learners M and outputs K for `draws`."""


def draws(
    loss: str = "cross_entropy",
    *,
    count: int = 1000,
    seed: int = 0,
    sizes: Sequence[tuple[int, int]] = SIZES,
    scale: float = 3.0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw batches of random outputs and targets of several sizes, in float64.

    Args:
        loss: "cross_entropy" draws classes as targets, `(B,)`; "squared_error" draws values, `(B, K)`.
        count: total number of examples, divided evenly among the sizes.
        seed: equal seeds give equal draws.
        sizes: pairs of M and K; one batch is drawn for each.
        scale: standard deviation of the outputs; that of regression targets is 1.

    Returns:
        An iterator over pairs of outputs `(M, B, K)` and targets.

    Raises:
        ValueError: an unknown loss, a seed that is no whole number, or fewer examples than sizes.
    """
    _check_loss(loss)
    if not isinstance(seed, int):
        raise ValueError(f"seed is {seed!r}; allowed is a whole number")
    if not isinstance(count, int) or count < len(sizes):
        raise ValueError(f"count is {count!r}; allowed is a whole number, at least {len(sizes)}, one for each size")
    generator = torch.Generator().manual_seed(seed)
    batch_sizes = [count // len(sizes) + (index < count % len(sizes)) for index in range(len(sizes))]
    return (
        draw_batch((num_learners, batch_size, num_outputs), loss, generator, scale)
        for (num_learners, num_outputs), batch_size in zip(sizes, batch_sizes, strict=True)
    )


def draw_batch(
    shape: Sequence[int], loss: str = "cross_entropy", seed: int | torch.Generator = 0, scale: float = 3.0
) -> tuple[Tensor, Tensor]:
    """Draw random outputs of one shape and targets for them, in float64.

    Args:
        shape: `(..., M, B, K)` of the outputs.
        loss: "cross_entropy" draws classes as targets, `(..., B)`; "squared_error" draws values, `(..., B, K)`.
        seed: a seed, or a generator to draw from.
        scale: standard deviation of the outputs; that of regression targets is 1.

    Returns:
        The outputs and the targets.

    Raises:
        ValueError: an unknown loss.
    """
    _check_loss(loss)
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    *lead, _, batch_size, num_outputs = shape
    outputs = scale * torch.randn(tuple(shape), generator=generator, dtype=torch.float64)
    if loss == "squared_error":
        return outputs, torch.randn((*lead, batch_size, num_outputs), generator=generator, dtype=torch.float64)
    return outputs, torch.randint(num_outputs, (*lead, batch_size), generator=generator)


def _check_loss(loss: str) -> None:
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; allowed are {', '.join(LOSSES)}")


def confirm(
    statement: str,
    sides: Callable[..., tuple[Tensor, Tensor]],
    cases: Iterable[Sequence],
    *,
    relation: str = "=",
    tolerance: float = 1e-10,
) -> None:
    """Assert that an equation or inequality holds on every case, and print how many numbers were compared.

    Args:
        statement: name of the statement, for the printed line and for errors.
        sides: function that computes the left and the right side for a case: two tensors of the same shape in float64,
            computed independently of each other.
        cases: argument lists for `sides`, such as `draws()`.
        relation: "=" or "<=".
        tolerance: absolute tolerance.

    Raises:
        AssertionError: the statement does not hold, or there was nothing to compare.
        ValueError: sides that cannot be compared, or an unknown relation.
    """
    if relation not in ("=", "<="):
        raise ValueError(f"unknown relation {relation!r}; allowed are = and <=")
    compared = 0
    for case in cases:
        left, right = sides(*case)
        if left.dtype != torch.float64 or right.dtype != torch.float64 or left.shape != right.shape:
            found = " and ".join(f"{side.dtype} {tuple(side.shape)}" for side in (left, right))
            raise ValueError(f"{statement}: the sides are {found}; allowed are two of one shape in float64")
        violation = left - right if relation == "<=" else (left - right).abs()
        if not (violation <= tolerance).all():  # never true for NaN
            raise AssertionError(f"{statement}: does not hold, by {violation.max():.3g}; allowed is {tolerance:g}")
        compared += left.numel()
    if not compared:
        raise AssertionError(f"{statement}: nothing was compared")
    verb = "agree" if relation == "=" else "hold"
    print(f"{statement}: {compared:,} of {compared:,} {verb} to {tolerance:g}")
