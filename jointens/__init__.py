"""jointens: the executable companion to "Joint Training of Deep Ensembles Fails Due to Learner Collusion".

import jointens

experiment = jointens.Experiment(dataset="digits", beta_vals=[0, 1], seeds=range(5))
results = jointens.run(experiment)
results.tests()                                    # a tidy frame: one row per β, seed and checkpoint
jointens.load(results.folder, beta=1, seed=0)      # a trained ensemble

parts = jointens.decompose(outputs, targets)       # of any ensemble: outputs (..., M, B, K)
print(jointens.diagnose(outputs, targets, loss="cross_entropy"))    # is it colluding? outputs (M, N, K)
"""

from .analysis import StoredOutputs, stored_outputs
from .common import InputError
from .diagnostics import Report, debias, diagnose, drop_learners
from .experiment import Cell, Experiment, Results, check_parameters
from .losses import (
    Decomposition,
    Divergence,
    bregman_mean,
    decompose,
    decompose_bregman,
    ensemble_output,
    joint_objective,
)
from .models import Ensemble, make_learner
from .sweeps import load, predict, run

__version__ = "0.1.0"
__all__ = [
    "Cell", "Decomposition", "Divergence", "Ensemble", "Experiment", "InputError", "Report",
    "Results", "StoredOutputs", "bregman_mean", "check_parameters", "debias", "decompose", "decompose_bregman",
    "diagnose", "drop_learners", "ensemble_output", "joint_objective", "load", "make_learner", "predict", "run",
    "stored_outputs",
]  # fmt: skip
