"""Keep the best checkpoint of each run, and note which runs have diverged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from .trained import moved


class BestCheckpoint:
    """The weights of R runs, each at its validation with the lowest ensemble loss.

    A run *diverges* at its first validation whose ensemble loss is not finite. From then on nothing of it is kept.

    Args:
        weights: the initial ones by name, `(R, M, ...)`.
        runs: the number of runs, R.
    """

    validation: Tensor
    """Of each run the number of its best validation, from 1; 0 if there was none. `(R,)`"""
    diverged: Tensor
    """Of each run the number of the validation at which it diverged; 0 if it did not. `(R,)`"""

    def __init__(self, weights: Iterable[tuple[str, Tensor]], runs: int):
        self.weights = {name: value.clone() for name, value in weights}
        device = next(iter(self.weights.values())).device
        self.loss = torch.full((runs,), torch.inf, dtype=torch.float32, device=device)
        self.validation = torch.zeros(runs, dtype=torch.int64, device=device)
        self.diverged = torch.zeros_like(self.validation)

    def update(self, number: int, loss: Tensor, weights: Iterable[tuple[str, Tensor]]) -> Tensor:
        """Take a validation into account; returns which runs are better than before, `(R,)`.

        Args:
            number: of the validation, from 1.
            loss: its ensemble loss, `(R,)`.
            weights: as they are now.
        """
        self.diverged = torch.where((self.diverged == 0) & ~loss.isfinite(), number, self.diverged)
        better = (loss < self.loss) & (self.diverged == 0)
        self.loss = torch.where(better, loss, self.loss)
        self.validation = torch.where(better, number, self.validation)
        for name, value in weights:
            best = self.weights[name]
            torch.where(better.view(-1, *[1] * (value.ndim - 1)), value, best, out=best)
        return better

    def state(self) -> dict[str, Any]:
        """Return what `load_state` goes on from."""
        return {
            "best_loss": self.loss, "best_epoch": self.validation, "best_weights": self.weights,
            "diverged": self.diverged,
        }  # fmt: skip

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state; one that was written before divergence was noted has none."""
        names, device = ("best_loss", "best_epoch", "best_weights"), self.loss.device
        self.loss, self.validation, self.weights = (moved(state[name], device) for name in names)
        self.diverged = moved(state.get("diverged", torch.zeros_like(self.validation)), device)
