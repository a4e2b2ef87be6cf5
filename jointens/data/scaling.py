"""Scale inputs and targets of a regression set by the mean and standard deviation of its training part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scaling:
    """Means and standard deviations of a training part of N examples and D features.

    A missing number becomes the mean. A column that is constant in the training part is 0 in every part, since nothing
    can be learnt from it.
    """

    mean: Tensor
    """`(D,)`, of the numbers that are not missing."""
    std: Tensor
    """`(D,)`, with missing numbers at the mean; 0 of a constant column."""
    target_mean: Tensor
    target_std: Tensor
    """1 if the targets are constant."""

    @classmethod
    def of(cls, inputs: Tensor, targets: Tensor) -> Scaling:
        """Compute the scaling of inputs `(N, D)`, NaN where a number is missing, and targets `(N,)`."""
        known = ~inputs.isnan()
        mean = inputs.nan_to_num().sum(0) / known.sum(0).clamp(min=1)
        filled = torch.where(known, inputs, mean)
        varies = filled.amax(0) > filled.amin(0)  # exactly, which the deviation of equal numbers is not
        std, spread = filled.std(0, correction=0), targets.std(correction=0)
        return cls(mean, torch.where(varies, std, 0), targets.mean(), torch.where(spread > 0, spread, 1))

    def inputs(self, inputs: Tensor) -> Tensor:
        """Scale inputs `(..., D)` to zero mean and unit standard deviation on the training part; returns float32."""
        filled = torch.where(inputs.isnan(), self.mean, inputs)
        return torch.where(self.std > 0, (filled - self.mean) / torch.where(self.std > 0, self.std, 1), 0).float()

    def targets(self, targets: Tensor) -> Tensor:
        """Scale targets likewise; returns float32."""
        return ((targets - self.target_mean) / self.target_std).float()

    def values(self, outputs: Tensor) -> Tensor:
        """Scale outputs back into the units of the targets; returns the type of `target_mean`."""
        return outputs.to(self.target_mean) * self.target_std + self.target_mean
