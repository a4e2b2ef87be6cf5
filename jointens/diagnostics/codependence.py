"""Learner codependence: the increase in an ensemble's loss when some of its learners are dropped."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FLOAT64 = {"dtype": torch.float64, "device": "cpu"}  # whatever torch's defaults are
SMALLEST = 1e-290  # averages below have lost digits, or all of them
ROWS = 8192  # pairs of an example and a subset that are processed at once, so that they fit into the cache


def expected_increase(diversity: Tensor, num_learners: int, keep: int) -> Tensor:
    """Compute the mean increase in squared error over all subsets of `keep` learners, a multiple of diversity.

    It does not depend on the targets (the chapter `codependence` has the proof).

    Args:
        diversity: the diversity of all learners, of any shape.
        num_learners: M.
        keep: learners in a subset, 1 to M.

    Returns:
        `(M − keep) / (keep · (M − 1)) · diversity`, in the shape of `diversity`; 0 for M = 1.
    """
    return diversity * ((num_learners - keep) / (keep * max(1, num_learners - 1)))


class SubsetLosses:
    """Losses of the averages of subsets of the learners, for a chunk of examples.

    Per-example losses are computed here and not by `decompose`, which does not know zero-one loss and would average
    all learners' losses for every subset: a subset's loss needs its averaged output alone.

    Args:
        outputs: `(..., M, B, K)`, float64; with leading axes, the same subsets are drawn for all ensembles.
        targets: shared by all ensembles, `(B,)`, or `(B, K)` for squared error.
        losses: names of losses, any of "squared_error", "cross_entropy" and "zero_one".
        average: "scores", "probabilities" or "released".
    """

    def __init__(self, outputs: Tensor, targets: Tensor, losses: Sequence[str], average: str):
        self._lead = outputs.shape[:-3]
        outputs = outputs.reshape(-1, *outputs.shape[-3:]).permute(2, 1, 0, 3)  # (B, M, R, K)
        self._logs = self._peak = None
        if "squared_error" not in losses and average != "scores":
            outputs = outputs.log_softmax(-1)
            if average == "probabilities":
                # Probabilities relative to the largest of any learner: none underflows within 700 nats of it.
                self._peak = outputs.amax(1)  # (B, R, K)
                self._logs = outputs = outputs - self._peak.unsqueeze(1)
            outputs = outputs.exp()
        self.outputs, self.targets, self.losses = outputs, targets, losses
        averages = self._averaged(outputs.mean(1), slice(None))
        self.full_losses = self._losses_of_averages(averages, slice(None))  # {loss: (B, R)}, of all learners

    def mean_increase(self, keep: int, repeats: int, generator: torch.Generator | None) -> dict[str, Tensor]:
        """Compute the mean increase of each loss, `(..., B)`, over `repeats` random subsets of `keep` learners.

        The subsets are drawn independently for each example.
        """
        num_examples, num_learners, num_runs, _ = self.outputs.shape
        sums = {loss: torch.zeros(num_examples, num_runs, **FLOAT64) for loss in self.losses}
        for rows in torch.arange(num_examples, device="cpu").repeat(repeats).split(ROWS):
            # float32 whatever torch's default is, so that the draws are the same
            drawn = torch.rand(len(rows), num_learners, generator=generator, dtype=torch.float32, device="cpu")
            kept = drawn.argsort(-1) < keep  # (ROWS, M): a random permutation has `keep` entries below `keep`
            weights = kept.double() / keep
            averages = torch.bmm(weights.unsqueeze(1), self.outputs[rows].flatten(2))  # (ROWS, 1, R·K)
            averages = self._averaged(averages.view(len(rows), num_runs, -1), rows, kept)
            for loss, values in self._losses_of_averages(averages, rows).items():
                sums[loss].index_add_(0, rows, values)
        increases = {loss: total / repeats - self.full_losses[loss] for loss, total in sums.items()}  # (B, R)
        return {loss: increase.T.reshape(*self._lead, num_examples) for loss, increase in increases.items()}

    def _averaged(self, averages: Tensor, rows: Tensor | slice, kept: Tensor | None = None) -> Tensor:
        """Convert averaged probabilities `(ROWS, R, K)` to logits; other averages stay as they are.

        Where all learners that are kept, `(ROWS, M)`, lie so far below the largest one that their probabilities
        underflow, the average is computed from their logarithms.
        """
        if self._logs is None:
            return averages
        logs, lost = averages.log(), averages < SMALLEST
        rows_lost = lost.any(-1).any(-1)  # (ROWS,)
        if rows_lost.any():
            own = self._logs[rows][rows_lost]  # (B', M, R, K)
            kept = torch.ones(own.shape[:2], dtype=torch.bool, device="cpu") if kept is None else kept[rows_lost]
            own = own.masked_fill(~kept[..., None, None], -torch.inf)
            exact = own.logsumexp(1) - kept.sum(-1).double().log()[:, None, None]
            logs[rows_lost] = torch.where(lost[rows_lost], exact, logs[rows_lost])
        return logs + self._peak[rows]

    def _losses_of_averages(self, averages: Tensor, rows: Tensor | slice) -> dict[str, Tensor]:
        """Compute each loss, `(ROWS, R)`, of averaged outputs `(ROWS, R, K)` for the examples `rows`."""
        targets, values = self.targets[rows].unsqueeze(1), {}  # (ROWS, 1[, K])
        for loss in self.losses:
            if loss == "squared_error":
                values[loss] = (averages - targets.reshape(len(averages), 1, -1)).square().sum(-1)
            elif loss == "zero_one":
                values[loss] = (averages.max(-1).indices != targets).double()
            else:
                classes = targets.expand(averages.shape[:-1]).unsqueeze(-1)
                values[loss] = -averages.log_softmax(-1).gather(-1, classes).squeeze(-1)
        return values
