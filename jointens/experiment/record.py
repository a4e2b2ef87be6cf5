"""The cells of a grid: one training run for each β and seed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Cell(NamedTuple):
    """One training run of the grid."""

    beta: float
    seed: int

    def __str__(self) -> str:
        return f"beta={self.beta:.12g},seed={self.seed}"

    @classmethod
    def named(cls, name: str) -> Cell | None:
        """The cell of that name, which is its file's without the ending; None if it is no cell's."""
        told = re.fullmatch(r"beta=([-+.e\d]+),seed=(\d+)", name)
        return cls(float(told[1]), int(told[2])) if told else None


@dataclass(frozen=True)
class TrainedCell:
    """What training one cell left: plain numbers and CPU tensors."""

    cell: Cell
    best_epoch: int  # the validation, from 1; 0: none had a finite loss, "best" is the initial weights
    history: dict  # one entry per validation: learning_rate, objective; train, val (and test) with those of `measure`
    test: dict  # "best" and "last", each with the keys of `measure`; None: not known (yet)
    outputs: dict[str, Tensor]  # test and validation outputs (M, N, K) at the best and last epoch, and targets (N,)
    weights: dict[str, Tensor]  # (M, ...) at the best epoch


def canonical_beta(beta: float) -> float:
    """β as its cell's file names it: twelve digits are all of it, and −0 is 0."""
    return float(f"{beta:.12g}") + 0.0
