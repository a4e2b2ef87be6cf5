"""Base learners by name, and `Ensemble`: M of them as one module.

learners.py         the registry, and the learners for small images and tables
imagenet.py         the authors' learners for ImageNet, and timm's
own_learner.py      learners that a function of the user's own builds
ensemble.py         M learners as one module
shared_ensemble.py  M learners that share some of their weights
scaled_learner.py   the perceptron whose ensemble shares weights
comparison.py       what learners have in common, and whether they may be stacked
stacked.py          the modules of one learner with the weights of all
vectorized.py       many learners as one tensor program
manual_backward.py  the gradients of stacked perceptrons on a CPU, without autograd
"""

from .ensemble import Ensemble, seeded_learners
from .imagenet import TIMM
from .learners import LEARNERS, Learner, check_learner, known_learner, make_learner
from .manual_backward import ManualBackward
from .shared_ensemble import SharedEnsemble

__all__ = [
    "LEARNERS", "TIMM", "Ensemble", "Learner", "ManualBackward", "SharedEnsemble", "check_learner", "known_learner",
    "make_learner", "seeded_learners",
]  # fmt: skip
