"""An ensemble's loss and its decomposition into individual loss and diversity, on tensors; needs torch alone.

decomposition.py   cross-entropy and squared error: `decompose`, the training objective L^β
probabilities.py   outputs of a classifier that are single logits or probabilities
checks.py          input checks
bregman.py         Bregman divergences and the average that belongs to each

Every function takes learner outputs `(..., M, B, K)`. The `*_unchecked` variants are for training loops: they read no
values, so they neither wait for the device nor validate.
"""

from .bregman import DIVERGENCES, Divergence, Domain, bregman_mean, decompose_bregman
from .checks import AVERAGES, LOSSES, check_ensemble, check_names, check_outputs, check_targets, checked_outputs
from .decomposition import (
    Decomposition,
    decompose,
    decompose_unchecked,
    ensemble_output,
    ensemble_output_unchecked,
    joint_objective,
    objective_unchecked,
)
from .probabilities import (
    FEWEST_ROWS,
    OUTPUTS_ARE,
    at_least_float32,
    class_logits,
    two_columns,
    zero_stands_for,
)

__all__ = [
    "AVERAGES", "DIVERGENCES", "FEWEST_ROWS", "LOSSES", "OUTPUTS_ARE", "Decomposition", "Divergence", "Domain",
    "at_least_float32", "bregman_mean", "check_ensemble", "check_names", "check_outputs", "check_targets",
    "checked_outputs", "class_logits", "decompose", "decompose_bregman", "decompose_unchecked", "ensemble_output",
    "ensemble_output_unchecked", "joint_objective", "objective_unchecked", "two_columns", "zero_stands_for",
]  # fmt: skip
