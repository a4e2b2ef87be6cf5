"""Means over examples with their bootstrap intervals, taken chunk by chunk, so that no resample is ever held whole.

It is the Bayesian bootstrap (Rubin, 1981): in each resample every example has a weight drawn from the exponential
distribution, in place of the number of times it is drawn. For means the intervals are those of the usual bootstrap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

RESAMPLES = 500


class Estimate(NamedTuple):
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def resampled_means(chunks: Iterable[dict[str, Tensor]], generator: torch.Generator) -> dict[str, Tensor]:
    """Means over all examples: of the sample itself in row 0, and of each resample in the rows after it.

    Args:
        chunks: what is averaged, by name, of some examples at a time: `(B,)` or `(B, F)`, float64.
        generator: of the weights.

    Returns:
        `(1 + RESAMPLES,)` or `(1 + RESAMPLES, F)` by name. All are of the same resamples, so what is computed from
        several of them, row by row, is resampled as well.
    """
    sums, total = 0.0, 0.0
    for chunk in chunks:
        columns = torch.cat([values.reshape(len(values), -1) for values in chunk.values()], dim=1)  # (B, all F)
        weights = torch.empty(1 + RESAMPLES, len(columns), dtype=torch.float64).exponential_(generator=generator)
        weights[0] = 1
        sums = sums + weights @ columns
        total = total + weights.sum(1, keepdim=True)
        shapes = {name: values.shape[1:] for name, values in chunk.items()}
    parts = (sums / total).split([shape.numel() for shape in shapes.values()], dim=1)
    return {name: part.reshape(-1, *shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def estimate(rows: Tensor) -> Estimate:
    """The value in row 0 and the middle 95 % of the resamples in the other rows."""
    low, high = rows[1:].quantile(torch.tensor([0.025, 0.975], dtype=rows.dtype)).tolist()
    return Estimate(rows[0].item(), low, high)
