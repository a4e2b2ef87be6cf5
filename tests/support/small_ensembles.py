"""Learners of each kind that fit a test, and the same ensemble stacked and looped."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

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


def assert_is_one_by_one(ensemble: Ensemble, learners: Sequence[nn.Module], inputs: Tensor) -> None:
    """Compare outputs and gradients of an ensemble without runs with those of its learners, called one by one."""
    for module in (ensemble, *learners):
        module.zero_grad()
    outputs, expected = ensemble(inputs), torch.stack([learner(inputs) for learner in learners])
    torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5)
    for each in (outputs, expected):
        if each.requires_grad:
            (each.sin() * torch.arange(1, each.shape[-1] + 1)).sum().backward()
    for index, learner in enumerate(learners):
        for name, value in learner.named_parameters():
            if ensemble.stacked:
                own = ensemble.learner.get_parameter(name).grad
                own = None if own is None else own[index]
            else:
                own = dict(ensemble.learners[index].named_parameters())[name].grad
            torch.testing.assert_close(own, value.grad, rtol=1e-4, atol=1e-5)
