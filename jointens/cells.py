"""The cells of a grid: one training run for each β and seed."""

from typing import NamedTuple


class Cell(NamedTuple):
    """One training run of the grid."""

    beta: float
    seed: int

    def __str__(self) -> str:
        return f"beta={self.beta:.12g},seed={self.seed}"


def canonical_beta(beta: float) -> float:
    """β as its cell's file names it: twelve digits are all of it, and −0 is 0."""
    return float(f"{beta:.12g}") + 0.0
