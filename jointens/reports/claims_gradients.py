"""Checks of exact statements about gradient, curvature and training, as those of claims_exact.py."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

from ..common import generator
from ..losses import decompose, joint_objective
from ..theory import draws, gradient_flow, output_curvature
from .claims_exact import FEW, Sides, one_hot_error


def _gradient(outputs: Tensor, labels: Tensor, beta: float, average: str) -> Tensor:
    """Compute the gradient of the objective of cross-entropy in the outputs by automatic differentiation."""
    outputs = outputs.clone().requires_grad_()
    joint_objective(decompose(outputs, labels, average=average), beta).sum().backward()
    return outputs.grad


def same_gradient(count: int, seed: int, *, beta: float = 1.0, average: str = "scores") -> Sides:
    """The gradient that each learner receives, and that of the first learner."""
    for outputs, labels in draws(count=count, seed=seed):
        gradient = _gradient(outputs, labels, beta, average)
        yield gradient, gradient[:1].expand_as(gradient)


def share_of_the_credit(count: int, seed: int, *, average: str = "probabilities") -> Sides:
    """The gradient at β = 1, and each learner's own gradient times its share p_{i,y} / p̄_y of the credit, over M."""
    for outputs, labels in draws(count=count, seed=seed):
        own = outputs.softmax(-1).gather(-1, labels.expand(outputs.shape[:-1]).unsqueeze(-1))  # (M, B, 1)
        yield (
            _gradient(outputs, labels, 1.0, average),
            own / own.mean(0) * one_hot_error(outputs, labels) / len(outputs),
        )


def flat_for_squared_error(count: int, seed: int, *, beta: float = 1.0) -> Sides:
    """The Hessian's eigenvalues, and (M − 1) K zeros followed by K times 2 / M."""
    for outputs, values in draws("squared_error", count=max(count // 30, len(FEW)), seed=seed, sizes=FEW, scale=1.0):
        num_learners, _, num_outputs = outputs.shape
        expected = [0.0] * (num_learners - 1) * num_outputs + [2 / num_learners] * num_outputs
        found = output_curvature(outputs, values, beta, loss="squared_error")
        yield found, torch.tensor(expected, dtype=torch.float64).expand_as(found)


def flat_for_scores(count: int, seed: int, *, beta: float = 1.0) -> Sides:
    """The Hessian's eigenvalues, and (M − 1) K zeros followed by those of diag(p̄) − p̄ p̄ᵀ over M."""
    for outputs, labels in draws(count=max(count // 30, len(FEW)), seed=seed, sizes=FEW, scale=1.0):
        p = outputs.mean(0).softmax(-1)
        of_mean = torch.linalg.eigvalsh(torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)) / len(outputs)
        zeros = of_mean.new_zeros(len(p), (len(outputs) - 1) * outputs.shape[-1])
        yield output_curvature(outputs, labels, beta), torch.cat([zeros, of_mean], -1)


def learners_at_the_target(count: int, seed: int, *, beta: float = 0.9) -> Sides:
    """Where gradient flow of squared error takes each learner, and the target, for random starts and responses."""
    chance, num_learners, num_outputs = generator(seed, "flows"), 4, 3

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=chance, dtype=torch.float64)

    for _ in range(max(count // 50, 1)):
        starts, target = normal(num_learners, num_outputs), normal(num_outputs)
        turns = torch.linalg.qr(normal(num_learners, num_outputs, num_outputs)).Q
        speeds = 0.5 + 1.5 * torch.rand(num_learners, num_outputs, generator=chance, dtype=torch.float64)
        responses = turns @ torch.diag_embed(speeds) @ turns.mT
        late = torch.tensor([300.0], dtype=torch.float64)
        end = gradient_flow(starts, target, beta=beta, times=late, responses=(responses + responses.mT) / 2)[0]
        yield end, target.expand_as(end)


def rate_over_learners(count: int, seed: int, *, decay_grows: bool = True) -> Sides:
    """Weights of M learners trained on their mean loss at (η, w), and each trained alone at (η / M, M w).

    Linear classifiers take 20 steps of SGD with momentum on `count` examples.
    """
    chance = generator(seed, "rates")
    inputs = torch.randn(count, 4, generator=chance, dtype=torch.float64)
    labels = torch.randint(3, (count,), generator=chance)
    for num_learners in (2, 5):
        fresh = []
        for _ in range(num_learners):
            learner = nn.Linear(4, 3, dtype=torch.float64)
            for weights in learner.parameters():
                nn.init.normal_(weights, generator=chance)
            fresh.append(learner)
        alone_decay = 0.01 * (num_learners if decay_grows else 1)
        alone = [_trained([learner], inputs, labels, 0.5 / num_learners, alone_decay) for learner in fresh]
        yield _trained(fresh, inputs, labels, 0.5, 0.01), torch.cat(alone)


def _trained(learners: list[nn.Module], inputs: Tensor, labels: Tensor, rate: float, decay: float) -> Tensor:
    """Train copies of the learners on their mean loss; gives their weights `(M, P)`."""
    copies = copy.deepcopy(nn.ModuleList(learners))
    optimiser = torch.optim.SGD(copies.parameters(), lr=rate, momentum=0.9, weight_decay=decay)
    for _ in range(20):
        optimiser.zero_grad()
        torch.stack([cross_entropy(learner(inputs), labels) for learner in copies]).mean().backward()
        optimiser.step()
    return torch.stack([parameters_to_vector(learner.parameters()).detach() for learner in copies])


GRADIENT_CHECKS: dict[str, Callable[..., Sides]] = {
    check.__name__: check
    for check in (
        same_gradient, share_of_the_credit, flat_for_squared_error, flat_for_scores, learners_at_the_target,
        rate_over_learners,
    )
}  # fmt: skip
