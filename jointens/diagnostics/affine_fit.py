"""Cross-validated affine fit of the learners' deviations to the ensemble's own prediction.

Learner i's deviation from the ensemble is d_i = f_i − f̄. If it is an affine function of f̄, a_i + s_i · f̄, then learner
i repeats the ensemble's prediction, shifted and stretched, and other learners compensate: such diversity carries no
information about any example. Two-fold cross-validation measures the share of the deviations that affine functions
explain: each is fitted on one half of the examples and scored on the other half. Every output has a fit of its own.
Reports call this share *systematic drift*.
"""

from __future__ import annotations

import torch
from torch import Tensor


class CrossValidatedAffineFit:
    """Least-squares fit of deviation to ensemble prediction, per fold, learner and output, accumulated in chunks."""

    def __init__(self) -> None:
        self._origin: Tensor | None = None  # near the mean of f̄, to avoid cancellation between squares of large numbers
        self._sums: Tensor | float = 0.0
        self._bounds: Tensor | None = None  # (2, 2, K): minimum of f̄ and of −f̄ in each fold

    def update(self, ensemble: Tensor, deviations: Tensor, fold: Tensor) -> None:
        """Add a chunk of examples: f̄ `(B, K)`, d `(B, M, K)`, and each example's fold, 0 or 1, `(B,)`."""
        if self._origin is None:
            self._origin = ensemble.mean(0)
            self._bounds = ensemble.new_full((2, 2, ensemble.shape[1]), torch.inf)
        x = (ensemble - self._origin).unsqueeze(1)  # (B, 1, K)
        ones = torch.ones_like(deviations)
        terms = torch.stack([ones, x * ones, x.square() * ones, deviations, x * deviations], dim=1)  # (B, 5, M, K)
        sums = terms.new_zeros(2, *terms.shape[1:]).index_add_(0, fold, terms)
        self._sums = self._sums + sums
        for index in range(2):
            if len(own := x[fold == index, 0]):  # (B', K)
                bounds = torch.stack([own.amin(0), (-own).amin(0)])
                self._bounds[index] = torch.minimum(self._bounds[index], bounds)

    def held_out_residuals(self, ensemble: Tensor, deviations: Tensor, fold: Tensor) -> Tensor:
        """Compute the residuals of the fits of the *other* fold, `(B, M, K)`.

        f̄ is clamped to its range in the other fold, so that a single outlier does not dominate the residuals.
        """
        count, x, xx, y, xy = (self._sums[:, term] for term in range(5))  # (2, M, K) each
        variation = xx - x.square() / count
        slope = torch.where(variation > 0, (xy - x * y / count) / variation.clamp_min(1e-300), 0)
        intercept = (y - slope * x) / count
        other = 1 - fold
        low, high = self._bounds[other, 0], -self._bounds[other, 1]  # (B, K)
        clamped = (ensemble - self._origin).clamp(low, high).unsqueeze(1)
        return deviations - intercept[other] - slope[other] * clamped
