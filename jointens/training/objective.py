"""The objective of a training step: L^β, with a random subset of the learners, a cap on diversity, or a warm start."""

from __future__ import annotations

import torch
from torch import Tensor

from ..losses import check_names, decompose_unchecked, objective_unchecked


class Objective:
    """Computes the training objective of R ensembles on a batch, with one β for each.

    Without options it is L^β = individual − β · diversity. With `kept_learners` the ensemble loss is that of a random
    subset of the learners, drawn anew in each call and for each run; diversity is the individual loss of all learners
    minus that. With `diversity_cap` it is individual − β · min(diversity, cap), per example.

    Subsets are drawn on the device from torch's global generator, as masks of dropout are. Nothing waits for the
    device, so a call can be recorded as a part of a CUDA graph.

    Args:
        loss: "cross_entropy" or "squared_error".
        average: what the ensemble averages: "scores", "probabilities" or "released".
        num_learners: M.
        kept_learners: the size of the subset, 1..M; None and M: all of them, and nothing is drawn.
        diversity_cap: in nats or squared target units, more than 0; None: no cap.

    Raises:
        ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        loss: str,
        average: str,
        num_learners: int,
        kept_learners: int | None = None,
        diversity_cap: float | None = None,
    ):
        check_names(loss, average)
        if kept_learners is not None and not 1 <= kept_learners <= num_learners:
            raise ValueError(f"kept_learners is {kept_learners}; allowed is 1..{num_learners}, the number of learners")
        if diversity_cap is not None and not diversity_cap > 0:
            raise ValueError(f"diversity_cap is {diversity_cap}; allowed is more than 0")
        self.averaging = {"loss": loss, "average": average}
        self.kept_learners = None if kept_learners == num_learners else kept_learners
        self.diversity_cap = diversity_cap

    def __call__(self, outputs: Tensor, targets: Tensor, betas: Tensor) -> Tensor:
        """Compute the objective: outputs `(R, M, B, K)`, targets `(R, B)` or `(R, B, K)`, betas `(R,)` → `(R, B)`."""
        if self.kept_learners is None and self.diversity_cap is None:
            return objective_unchecked(outputs, targets, betas, **self.averaging)
        parts = decompose_unchecked(outputs, targets, **self.averaging)
        individual, diversity = parts.individual, parts.diversity
        if self.kept_learners is not None:
            weights = draw_subsets(outputs, self.kept_learners)
            diversity = individual - decompose_unchecked(outputs, targets, weights=weights, **self.averaging).ensemble
        if self.diversity_cap is not None:
            diversity = diversity.clamp_max(self.diversity_cap)
        return individual - betas.unsqueeze(-1) * diversity


def draw_subsets(outputs: Tensor, kept: int) -> Tensor:
    """Draw weights that are 1 / kept for a random subset of the learners, 0 for others: `(R, M, B, K)` → `(R, M)`."""
    ranks = torch.rand(outputs.shape[:-2], device=outputs.device).argsort(-1)  # a random permutation of 0..M − 1
    return (ranks < kept).to(outputs) / kept


class WarmStart:
    """Keeps the β of R runs at 0 for the first epochs.

    Args:
        betas: what training reads, `(R,)`; it is changed in place, since recorded steps read it, too.
        epochs: how many; 0: `betas` is left as it is.

    Raises:
        ValueError: fewer epochs than 0.
    """

    def __init__(self, betas: Tensor, epochs: int):
        if epochs < 0:
            raise ValueError(f"warm_start is {epochs}; allowed is at least 0 epochs")
        self.betas, self.epochs, self._after = betas, epochs, betas.clone()
        self.begin(1)

    def begin(self, epoch: int) -> None:
        """Set β for an epoch, counted from 1."""
        if self.epochs:
            self.betas.copy_(self._after).mul_(epoch > self.epochs)
