"""Diagnostics of learner collusion for any ensemble, computed from its outputs `(M, N, K)` alone.

diagnosis.py      `diagnose`, `debias` and `drop_learners`
inputs.py         conversion of arrays of any framework to tensors
checks.py         checks of what outputs and targets mean, and conversion to logits and classes
duplicates.py     learners that give the same outputs
statistics.py     per-example statistics, accumulated in chunks
bootstrap.py      means with bootstrap intervals, accumulated in chunks
affine_fit.py     cross-validated affine fit of the learners' deviations to the ensemble's prediction
codependence.py   losses of random subsets of the learners
criteria.py       thresholds and sentences: what is reported as a sign of collusion
report.py         `Report` and `Finding`
"""

from .checks import is_one_hot
from .codependence import expected_increase
from .diagnosis import debias, diagnose, drop_learners, increases
from .inputs import as_tensor
from .report import Finding, Report
from .statistics import REPEATS, SHARES, dropped_of

__all__ = [
    "REPEATS", "SHARES", "Finding", "Report", "as_tensor", "debias", "diagnose", "drop_learners", "dropped_of",
    "expected_increase", "increases", "is_one_hot",
]  # fmt: skip
