"""Statements confirmed on random draws, in float64: what every theorem's cell in the book calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ..losses.decomposition import LOSSES

SIZES = ((1, 3), (2, 2), (3, 10), (5, 7), (20, 4))
"""Learners M and outputs K of the draws, unless told otherwise."""


def draws(
    loss: str = "cross_entropy",
    *,
    count: int = 1000,
    seed: int = 0,
    sizes: Sequence[tuple[int, int]] = SIZES,
    scale: float = 3.0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Random outputs and targets, in float64, on which a statement can be tried.

    Args:
        loss: "cross_entropy" gives classes as targets, `(B,)`; "squared_error" gives values, `(B, K)`.
        count: examples in all, shared out over the sizes.
        seed: equal seeds give equal draws.
        sizes: pairs of M and K; a batch is drawn for each.
        scale: standard deviation of the outputs; that of the values is 1.

    Returns:
        Pairs of outputs `(M, B, K)` and targets, one after the other.

    Raises:
        ValueError: an unknown loss, a seed that is no whole number, or fewer examples than sizes.
    """
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; allowed are {', '.join(LOSSES)}")
    if not isinstance(seed, int):
        raise ValueError(f"seed is {seed!r}; allowed is a whole number")
    if not isinstance(count, int) or count < len(sizes):
        raise ValueError(f"count is {count!r}; allowed is a whole number, at least {len(sizes)}, one for each size")
    return _drawn(loss, count, seed, sizes, scale)


def _drawn(
    loss: str, count: int, seed: int, sizes: Sequence[tuple[int, int]], scale: float
) -> Iterator[tuple[Tensor, Tensor]]:
    chance = torch.Generator().manual_seed(seed)
    for index, (num_learners, num_outputs) in enumerate(sizes):
        batch = count // len(sizes) + (index < count % len(sizes))
        shape = (num_learners, batch, num_outputs)
        outputs = scale * torch.randn(shape, generator=chance, dtype=torch.float64)
        if loss == "squared_error":
            yield outputs, torch.randn(shape[1:], generator=chance, dtype=torch.float64)
        else:
            yield outputs, torch.randint(num_outputs, (batch,), generator=chance)


def confirm(
    statement: str,
    sides: Callable[..., tuple[Tensor, Tensor]],
    cases: Iterable[Sequence],
    *,
    relation: str = "=",
    tolerance: float = 1e-10,
) -> None:
    """Print that a statement holds on every case, or fail with how far it is from holding.

    Args:
        statement: in words, for the line that is printed.
        sides: gives the statement's left and right side for a case, two tensors of the same shape in float64, each
            computed in its own way.
        cases: what `sides` is called with, one after the other, such as `draws()`.
        relation: "=" or "<=".
        tolerance: how far apart the sides may be, absolutely.

    Raises:
        AssertionError: the statement does not hold, or nothing was compared.
        ValueError: sides that cannot be compared, or an unknown relation.
    """
    if relation not in ("=", "<="):
        raise ValueError(f"unknown relation {relation!r}; allowed are = and <=")
    compared = 0
    for case in cases:
        left, right = sides(*case)
        if left.dtype != torch.float64 or right.dtype != torch.float64 or left.shape != right.shape:
            told = " and ".join(f"{side.dtype} {tuple(side.shape)}" for side in (left, right))
            raise ValueError(f"{statement}: the sides are {told}; allowed are two of one shape in float64")
        apart = left - right if relation == "<=" else (left - right).abs()
        if not (apart <= tolerance).all():  # never true for NaN
            raise AssertionError(f"{statement}: does not hold, by {apart.max():.3g}; allowed is {tolerance:g}")
        compared += left.numel()
    if not compared:
        raise AssertionError(f"{statement}: nothing was compared")
    kept = "agree" if relation == "=" else "hold"
    print(f"{statement}: {compared:,} of {compared:,} {kept} to {tolerance:g}")
