"""jointens: the executable companion to "Joint Training of Deep Ensembles Fails Due to Learner Collusion".

import jointens

experiment = jointens.Experiment(dataset="digits", beta_vals=[0, 1], seeds=range(5))
results = jointens.run(experiment)
results.tests()                                    # a tidy frame: one row per β, seed and checkpoint
jointens.load(results.folder, beta=1, seed=0)      # a trained ensemble

parts = jointens.decompose(outputs, targets)       # of any ensemble: outputs (..., M, B, K)
"""

from .bregman import Divergence, bregman_mean, decompose_bregman
from .cells import Cell
from .decomposition import Decomposition, decompose, ensemble_output, joint_objective
from .ensemble import Ensemble
from .errors import InputError
from .experiment import Experiment
from .learners import make_learner
from .results import Results, load
from .sweep import run

__version__ = "0.1.0"
__all__ = [
    "Cell", "Decomposition", "Divergence", "Ensemble", "Experiment", "InputError", "Results",
    "bregman_mean", "decompose", "decompose_bregman", "ensemble_output", "joint_objective", "load", "make_learner",
    "run",
]  # fmt: skip
