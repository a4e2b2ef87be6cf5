"""Analysis of finished sweeps: numbers over seeds, stored outputs, the paper's diagnostics, calibration.

statistics.py          means over seeds and paired differences between β, with intervals
learning_rates.py      learning rates and β chosen on validation data
expected_dropout.py    training on the expectation of learner dropout
stored.py              the learners' stored test outputs, ours or the authors'
sweep_diagnostics.py   the paper's three diagnostics for every ensemble of a sweep
settings_map.py        many settings on one map: what joint training changes, over how far training data are fitted
forests.py             leaf values of random forests, fitted jointly
calibration.py         predictions of finished runs and their calibration error
"""

from . import statistics, sweep_diagnostics
from .calibration import calibration_error, predictions
from .expected_dropout import train_on_expectation
from .forests import at_ridges, fit_forest
from .learning_rates import at_betas, at_rates, choose_betas, choose_rates, over_rates
from .settings_map import OUTCOMES, PREDICTORS, Hits, Line, fit_line, leave_one_out, map_settings, predict_signs
from .statistics import (
    METRIC_NAMES,
    compare,
    complete_seeds,
    independent,
    joint,
    mean_interval,
    over_beta,
    reference_beta,
    shift,
    side_by_side,
    verdict,
)
from .stored import PUBLISHED, StoredOutputs, stored_outputs

__all__ = [
    "METRIC_NAMES", "OUTCOMES", "PREDICTORS", "PUBLISHED", "Hits", "Line", "StoredOutputs", "at_betas", "at_rates",
    "at_ridges", "calibration_error", "choose_betas", "choose_rates", "compare", "complete_seeds", "fit_forest",
    "fit_line", "independent", "joint", "leave_one_out", "map_settings", "mean_interval", "over_beta", "over_rates",
    "predict_signs", "predictions", "reference_beta", "shift", "side_by_side", "statistics", "stored_outputs",
    "sweep_diagnostics", "train_on_expectation", "verdict",
]  # fmt: skip
