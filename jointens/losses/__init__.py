"""An ensemble's loss and its decomposition into individual loss and diversity, on tensors; needs torch alone.

decomposition.py   cross-entropy and squared error: `decompose`, the training objective L^β, input checks
bregman.py         Bregman divergences and the average that belongs to each

Every function takes learner outputs `(..., M, B, K)`. The `*_unchecked` variants are for training loops and
`torch.func.vmap`: they read no values, so they neither wait for the device nor validate.
"""

from .bregman import DIVERGENCES, Divergence, Domain, bregman_mean, decompose_bregman
from .decomposition import (
    AVERAGES,
    LOSSES,
    Decomposition,
    at_least_float32,
    check_ensemble,
    check_names,
    check_outputs,
    check_targets,
    decompose,
    decompose_unchecked,
    ensemble_output,
    ensemble_output_unchecked,
    joint_objective,
    objective_unchecked,
)

__all__ = [
    "AVERAGES", "DIVERGENCES", "LOSSES", "Decomposition", "Divergence", "Domain", "at_least_float32", "bregman_mean",
    "check_ensemble", "check_names", "check_outputs", "check_targets", "decompose", "decompose_bregman",
    "decompose_unchecked", "ensemble_output", "ensemble_output_unchecked", "joint_objective",
    "objective_unchecked",
]  # fmt: skip
