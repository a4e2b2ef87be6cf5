"""Systematic drift: how much of what separates the learners can be read off the ensemble's own prediction.

Learner i's deviation from the ensemble is d_i = f_i − f̄. If it is an affine function of f̄, a_i + s_i · f̄, then learner
i says what the ensemble says, shifted and stretched, and others make up for it: diversity that knows nothing about any
example. The share of the deviations that such functions explain is measured by fitting them on one half of the
examples and scoring them on the other, and the other way round. With several outputs each has a function of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor


class AffineFit:
    """For each half of the examples, each learner and each output: the line that fits deviation to ensemble best."""

    def __init__(self) -> None:
        self._origin: Tensor | None = None  # near the mean of f̄: squares of large numbers would be subtracted
        self._sums: Tensor = torch.zeros(())
        self._ends: Tensor = torch.zeros(())  # (2, 2, K): the least and the largest of f̄, negated, in each half

    def add(self, ensemble: Tensor, deviations: Tensor, half: Tensor) -> None:
        """Take in some examples: f̄ `(B, K)`, d `(B, M, K)`, and in which half each is, `(B,)`, of 0 and 1."""
        if self._origin is None:
            self._origin = ensemble.mean(0)
            self._ends = torch.full((2, 2, ensemble.shape[1]), torch.inf, dtype=ensemble.dtype)
        x = (ensemble - self._origin).unsqueeze(1)  # (B, 1, K)
        ones = torch.ones_like(deviations)
        terms = torch.stack([ones, x * ones, x.square() * ones, deviations, x * deviations], dim=1)  # (B, 5, M, K)
        sums = torch.zeros(2, *terms.shape[1:], dtype=terms.dtype).index_add_(0, half, terms)
        self._sums = self._sums + sums
        for side in range(2):
            if len(own := x[half == side, 0]):  # (B', K)
                ends = torch.stack([own.amin(0), (-own).amin(0)])
                self._ends[side] = torch.minimum(self._ends[side], ends)

    def residuals(self, ensemble: Tensor, deviations: Tensor, half: Tensor) -> Tensor:
        """What the lines that the *other* half was fitted to leave unexplained, `(B, M, K)`.

        Beyond the other half's least and largest f̄ a line goes on level: one outlier is not to decide.
        """
        number, x, xx, y, xy = (self._sums[:, term] for term in range(5))  # (2, M, K) each
        spread = xx - x.square() / number
        slope = torch.where(spread > 0, (xy - x * y / number) / spread.clamp_min(1e-300), 0)
        intercept = (y - slope * x) / number
        other = 1 - half
        least, most = self._ends[other, 0], -self._ends[other, 1]  # (B, K)
        inside = (ensemble - self._origin).clamp(least, most).unsqueeze(1)
        return deviations - intercept[other] - slope[other] * inside
