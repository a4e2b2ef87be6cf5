"""Bootstrap intervals of means over examples, accumulated in chunks so that no resample is held in memory.

This is the Bayesian bootstrap (Rubin, 1981): in each resample every example has a weight drawn from the exponential
distribution, in place of the number of times it is drawn. For means its intervals agree with the usual bootstrap's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

RESAMPLES = 500


class Estimate(NamedTuple):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


def resampled_means(chunks: Iterable[dict[str, Tensor]], generator: torch.Generator) -> dict[str, Tensor]:
    """Compute means over all examples: of the sample itself in row 0, and of a resample in each following row.

    Args:
        chunks: named values to average, for a chunk of examples at a time: `(B,)` or `(B, F)`, float64.
        generator: generator of the resampling weights.

    Returns:
        `(1 + RESAMPLES,)` or `(1 + RESAMPLES, F)` for each name. All names share the same resamples, so a function of
        several means, applied row by row, is resampled as well.
    """
    sums, total = 0.0, 0.0
    for chunk in chunks:
        columns = torch.cat([values.reshape(len(values), -1) for values in chunk.values()], dim=1)  # (B, all F)
        weights = columns.new_empty(1 + RESAMPLES, len(columns)).exponential_(generator=generator)
        weights[0] = 1
        sums = sums + weights @ columns
        total = total + weights.sum(1, keepdim=True)
        shapes = {name: values.shape[1:] for name, values in chunk.items()}
    parts = (sums / total).split([shape.numel() for shape in shapes.values()], dim=1)
    return {name: part.reshape(-1, *shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def estimate(rows: Tensor) -> Estimate:
    """Take the value from row 0 and its interval from the middle 95 % of the resamples in the other rows."""
    low, high = rows[1:].quantile(rows.new_tensor([0.025, 0.975])).tolist()
    return Estimate(rows[0].item(), low, high)
