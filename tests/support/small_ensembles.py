"""Learners of each kind that fit a test, and the same ensemble stacked and looped."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jointens import Ensemble, make_learner
from jointens.models.ensemble import seeded_learners

X = torch.linspace(-2, 2, 60).sin().reshape(5, 12)  # inputs of `net` and `Columns`


def batch_norm_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))


def mlp() -> nn.Module:
    return make_learner("MLP", (1, 8, 8), 10, hidden=(16,))


def cnn() -> nn.Module:
    return make_learner("CNN", (3, 17, 20), 10)


def net(*layers: nn.Module) -> nn.Sequential:
    """Two linear layers, which are no plain chain, and others between them."""
    return nn.Sequential(nn.Linear(12, 6), nn.Tanh(), *layers, nn.Linear(6, 3))


class Columns(nn.Module):
    """Reads some columns; takes any other attribute, too."""

    def __init__(self, **attributes):
        super().__init__()
        self.columns, self.factor = [0, 1, 2, 3], 1.0
        self.last = nn.Linear(4, 3)
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        factor = self.factor(x) if callable(self.factor) else self.factor
        return self.last(x[:, self.columns]) * factor


class Tied(nn.Module):
    """Two layers of so many units that share one weight."""

    def __init__(self, size: int = 64):
        super().__init__()
        self.one, self.two = nn.Linear(size, size), nn.Linear(size, size)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(self.one(x.flatten(1)).relu())


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
