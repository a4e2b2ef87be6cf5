"""Learners of each kind that fit a test, and the same ensemble stacked and looped."""

from torch import nn

from jointens import Ensemble, make_learner
from jointens.models.ensemble import seeded_learners


def batch_norm_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))


def mlp() -> nn.Module:
    return make_learner("MLP", (1, 8, 8), 10, hidden=(16,))


def cnn() -> nn.Module:
    return make_learner("CNN", (3, 17, 20), 10)


def both(make, *, runs=None, num_learners=3):
    learners = seeded_learners(make, num_learners * (runs or 1), seed=0)
    return [Ensemble(learners, runs=runs, stack=stack) for stack in (True, False)]
