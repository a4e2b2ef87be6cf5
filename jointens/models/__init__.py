"""Base learners by name, and M of them behind one forward.

learners.py     the registry, and the learners for small images and tables
imagenet.py     the authors' learners for ImageNet, and timm's
ensemble.py     M learners behind one forward
vectorized.py   many learners as one tensor program
"""

from .ensemble import Ensemble, seeded_learners
from .imagenet import TIMM
from .learners import LEARNERS, Learner, check_learner, known_learner, make_learner

__all__ = [
    "LEARNERS", "TIMM", "Ensemble", "Learner", "check_learner", "known_learner", "make_learner", "seeded_learners",
]  # fmt: skip
