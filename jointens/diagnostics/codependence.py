"""Learner codependence: what becomes of an ensemble's loss when some of its learners are dropped."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ROWS = 8192  # pairs of an example and a subset that are looked at together: what they need stays in the cache


def expected_increase(diversity: Tensor, num_learners: int, keep: int) -> Tensor:
    """By how much squared error rises in the mean over all subsets of `keep` learners: a multiple of diversity.

    It does not depend on the targets (the chapter on codependence has the proof).
    """
    return diversity * ((num_learners - keep) / (keep * max(1, num_learners - 1)))  # of one learner none is dropped


class Dropping:
    """Losses of the averages of some learners, for some examples.

    Args:
        outputs: `(..., M, B, K)`, float64; ensembles along the leading axes, if any, are dropped from alike.
        targets: of all of them, `(B,)`, or `(B, K)` for squared error.
        losses: what is measured, any of "squared_error", "cross_entropy" and "zero_one".
        average: "scores", "probabilities" or "released".
    """

    def __init__(self, outputs: Tensor, targets: Tensor, losses: Sequence[str], average: str):
        self._lead = outputs.shape[:-3]
        outputs = outputs.reshape(-1, *outputs.shape[-3:]).permute(2, 1, 0, 3)  # (B, M, R, K)
        self._peak = None
        if "squared_error" not in losses and average != "scores":
            outputs = outputs.log_softmax(-1)
            if average == "probabilities":
                # Probabilities as shares of the largest that a learner has: none underflows within 700 nats of it.
                self._peak = outputs.amax(1)  # (B, R, K)
                outputs = outputs - self._peak.unsqueeze(1)
            outputs = outputs.exp()
        self.outputs, self.targets, self.losses = outputs, targets, losses
        self.whole = self._measured(outputs.mean(1), slice(None))  # {loss: (B, R)} of all learners

    def increase(self, keep: int, repeats: int, generator: torch.Generator | None) -> dict[str, Tensor]:
        """The mean increase of each loss, `(..., B)`, over `repeats` subsets of `keep` learners for each example."""
        number, num_learners, runs, _ = self.outputs.shape
        sums = {loss: torch.zeros(number, runs, dtype=torch.float64) for loss in self.losses}
        for rows in torch.arange(number).repeat(repeats).split(ROWS):
            order = torch.rand(len(rows), num_learners, generator=generator).argsort(-1)
            weights = (order < keep).double() / keep  # (ROWS, M): a random permutation has `keep` entries below `keep`
            combined = torch.bmm(weights.unsqueeze(1), self.outputs[rows].flatten(2))  # (ROWS, 1, R·K)
            for loss, values in self._measured(combined.view(len(rows), runs, -1), rows).items():
                sums[loss].index_add_(0, rows, values)
        mean = {loss: total / repeats - self.whole[loss] for loss, total in sums.items()}
        return {loss: of.T.reshape(*self._lead, number) for loss, of in mean.items()}

    def _measured(self, combined: Tensor, rows: Tensor | slice) -> dict[str, Tensor]:
        """The losses `(ROWS, R)` of averaged outputs `(ROWS, R, K)` of these examples."""
        if self._peak is not None:
            combined = combined.clamp_min(torch.finfo(combined.dtype).tiny).log() + self._peak[rows]
        targets, told = self.targets[rows].unsqueeze(1), {}  # (ROWS, 1[, K])
        for loss in self.losses:
            if loss == "squared_error":
                told[loss] = (combined - targets.reshape(len(combined), 1, -1)).square().sum(-1)
            elif loss == "zero_one":
                told[loss] = (combined.max(-1).indices != targets).double()
            else:
                classes = targets.expand(combined.shape[:-1]).unsqueeze(-1)
                told[loss] = -combined.log_softmax(-1).gather(-1, classes).squeeze(-1)
        return told
