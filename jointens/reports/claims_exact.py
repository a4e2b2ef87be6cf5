"""Checks of exact statements: both sides on random draws, in float64.

Each check takes `count`, the number of examples, and `seed`, and gives pairs of tensors, the left and the right side.
Its other arguments build the statement; a negative control is the check with one of them changed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.func import jacrev, vmap
from torch.nn.functional import cross_entropy, one_hot

from ..common import generator
from ..diagnostics import debias, expected_increase
from ..losses import DIVERGENCES, bregman_mean, decompose, ensemble_output, joint_objective
from ..theory import draws, second_order

Sides = Iterator[tuple[Tensor, Tensor]]
FEW = ((2, 3), (3, 4), (5, 7))  # sizes for what takes a loop for each example
CASES = {  # loss and average
    "squared error": {"loss": "squared_error"},
    "scores": {"average": "scores"},
    "probabilities": {"average": "probabilities"},
    "released": {"average": "released"},
}


def _kind(case: str) -> str:
    return CASES[case].get("loss", "cross_entropy")


def _own(values: Tensor, labels: Tensor) -> Tensor:
    """Pick each example's own class: `(..., B, K)` and classes `(B,)` → `(..., B)`."""
    index = labels.expand(values.shape[:-1]).unsqueeze(-1)
    return values.gather(-1, index).squeeze(-1)


def _gain(outputs: Tensor, labels: Tensor, average: str) -> Tensor:
    """Compute individual minus ensemble loss with torch's own functions, one learner after the other."""
    if average == "probabilities":
        likelihood = _own(outputs.softmax(-1), labels)
        return likelihood.mean(0).log() - likelihood.log().mean(0)
    losses = torch.stack([cross_entropy(f, labels, reduction="none") for f in outputs])
    return losses.mean(0) - cross_entropy(outputs.mean(0), labels, reduction="none")


def squared_error(count: int, seed: int, *, centre: str = "mean") -> Sides:
    """Individual minus ensemble loss of squared error, and the learners' spread about a centre, "mean" or "median"."""
    for outputs, values in draws("squared_error", count=count, seed=seed):
        gain = (outputs - values).square().sum(-1).mean(0) - (outputs.mean(0) - values).square().sum(-1)
        middle = outputs.mean(0) if centre == "mean" else outputs.median(0).values
        yield gain, (outputs - middle).square().sum(-1).mean(0)


def cross_entropy_diversity(count: int, seed: int, *, average: str, formula: str) -> Sides:
    """Individual minus ensemble loss of cross-entropy, and the formula "divergence" or "log ratio"."""
    for outputs, labels in draws(count=count, seed=seed):
        log_p = outputs.log_softmax(-1)
        if formula == "divergence":
            log_joint = outputs.mean(0).log_softmax(-1)
            right = (log_joint.exp() * (log_joint - log_p)).sum(-1).mean(0)
        else:
            own = _own(log_p, labels)
            right = (own.logsumexp(0) - math.log(len(own)) - own).mean(0)
        yield _gain(outputs, labels, average), right


def other_label(count: int, seed: int, *, average: str) -> Sides:
    """Individual minus ensemble loss of cross-entropy, for one label and for another."""
    for outputs, labels in draws(count=count, seed=seed):
        yield _gain(outputs, labels, average), _gain(outputs, (labels + 1) % outputs.shape[-1], average)


def second_order_form(count: int, seed: int, *, point: str = "on the segment") -> Sides:
    """Individual minus ensemble loss of scores, and the quadratic form of the Hessian at the points found, or at f̄."""

    def loss(outputs: Tensor, labels: Tensor) -> Tensor:
        return outputs.logsumexp(-1) - _own(outputs, labels)

    hessians = vmap(vmap(jacrev(jacrev(lambda f: f.logsumexp(-1)))))  # of cross-entropy: the label's term is linear
    for outputs, labels in draws(count=max(count // 10, len(FEW)), seed=seed, sizes=FEW):
        deviations = outputs - outputs.mean(0)
        points = outputs.mean(0).expand_as(outputs)
        if point == "on the segment":
            points = second_order(loss, outputs, labels).points
        form = torch.einsum("mbk,mbkl,mbl->b", deviations, hessians(points), deviations) / (2 * len(outputs))
        yield _gain(outputs, labels, "scores"), form


def bregman(count: int, seed: int, *, mean: str = "its own") -> Sides:
    """Individual minus ensemble loss of each Bregman divergence, and the mean divergence from the ensemble."""
    domains = {"squared_error": torch.clone, "kl": torch.nn.Softmax(-1)}
    for name, divergence in DIVERGENCES.items():
        into = domains.get(name, torch.exp)
        for outputs, values in draws("squared_error", count=count, seed=seed, scale=1.0):
            q, y = into(outputs), into(values)
            middle = bregman_mean(q, divergence=name) if mean == "its own" else q.mean(0)
            yield divergence(y, q).mean(0) - divergence(y, middle), divergence(middle, q).mean(0)


def moved_ensemble(count: int, seed: int, *, zero_sum: bool = True) -> Sides:
    """The ensemble's output and its loss after the learners moved, and before."""
    for case, outputs, targets, moves in _moves(count, seed):
        moved = outputs + (moves - moves.mean(0) if zero_sum else moves)
        sides = []
        for of in (moved, outputs):
            loss = decompose(of, targets, **CASES[case]).ensemble
            sides.append(torch.cat([ensemble_output(of, **CASES[case]).flatten(), loss]))
        yield tuple(sides)


def price_of_a_move(count: int, seed: int, *, zero_sum: bool = True) -> Sides:
    """What a move changes in the objective, and 1 − β times what it changes in the individual loss, for several β."""
    for case, outputs, targets, moves in _moves(count, seed):
        moved = outputs + (moves - moves.mean(0) if zero_sum else moves)
        before, after = (decompose(of, targets, **CASES[case]) for of in (outputs, moved))
        for beta in (0.0, 0.3, 0.9, 1.0, 1.5):
            paid = joint_objective(after, beta) - joint_objective(before, beta)
            yield paid, (1 - beta) * (after.individual - before.individual)


def _moves(count: int, seed: int) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
    chance = generator(seed, "moves")
    for case in ("squared error", "scores"):
        for outputs, targets in draws(_kind(case), count=count, seed=seed):
            yield case, outputs, targets, torch.randn(outputs.shape, generator=chance, dtype=torch.float64)


def dropped_learners(count: int, seed: int, *, case: str = "squared error") -> Sides:
    """The mean increase of the ensemble loss over all subsets of K learners, and DIV (M − K) / (K (M − 1))."""
    for outputs, targets in draws(_kind(case), count=count, seed=seed, sizes=((2, 2), (3, 5), (6, 1), (7, 3))):
        parts, how = decompose(outputs, targets, **CASES[case]), CASES[case]
        for keep in range(1, len(outputs)):
            subsets = itertools.combinations(range(len(outputs)), keep)
            losses = [decompose(outputs[list(subset)], targets, **how).ensemble for subset in subsets]
            increase = torch.stack(losses).mean(0) - parts.ensemble
            yield increase, expected_increase(parts.diversity, len(outputs), keep)


def debiased(count: int, seed: int, *, shifts_from: str = "the same examples") -> Sides:
    """The fall of diversity and of individual loss by debiasing, and the mean squared shift."""
    for outputs, values in draws("squared_error", count=count, seed=seed):
        shifts = outputs - debias(outputs)
        if shifts_from != "the same examples":
            shifts = shifts.flip(0)  # those of other learners
        before, after = (decompose(of, values, loss="squared_error") for of in (outputs, outputs - shifts))
        falls = [(before.diversity - after.diversity).mean(), (before.individual - after.individual).mean()]
        squared = (outputs - outputs.mean(0)).mean(1).square().sum(-1).mean()  # mean over i of ‖b_i‖²
        yield torch.stack(falls), torch.stack([squared, squared])


def lowest_loss(count: int, seed: int, *, average: str = "released") -> Sides:
    """Losses of learners and of the ensemble, and log(e + K − 1) − 1."""
    for outputs, labels in draws(count=count, seed=seed):
        parts = decompose(outputs, labels, average=average)
        losses = torch.cat([parts.individual, parts.ensemble])
        yield losses, torch.full_like(losses, math.log(math.e + outputs.shape[-1] - 1) - 1)


def between_the_losses(count: int, seed: int, *, betas: tuple[float, ...] = (0.0, 0.3, 0.9, 1.0)) -> Sides:
    """Ensemble loss and objective, and objective and individual loss, in every case and for each β."""
    for case, how in CASES.items():
        for outputs, targets in draws(_kind(case), count=count, seed=seed):
            parts = decompose(outputs, targets, **how)
            for beta in betas:
                middle = joint_objective(parts, beta)
                yield torch.cat([parts.ensemble, middle]), torch.cat([middle, parts.individual])


def two_learners_apart(count: int, seed: int, *, beta: float = 1.1) -> Sides:
    """The objective when two of M learners move apart by c in opposite directions, and −c / 1000, for random c."""
    chance = generator(seed, "distances")
    c = 1e3 + 1e4 * torch.rand(count, generator=chance, dtype=torch.float64)
    for case, (num_learners, num_outputs) in itertools.product(("squared error", "scores"), FEW):
        outputs = torch.zeros(num_learners, count, num_outputs, dtype=torch.float64)
        outputs[0, :, 0], outputs[1, :, 0] = c, -c
        labels = torch.zeros(count, dtype=torch.int64)
        targets = outputs[0] * 0 if case == "squared error" else labels
        yield joint_objective(decompose(outputs, targets, **CASES[case]), beta), -c / 1000


def one_hot_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """Compute p_i − e_y, the gradient of each learner's own cross-entropy: `(M, B, K)`."""
    return outputs.softmax(-1) - one_hot(labels, outputs.shape[-1])


EXACT_CHECKS: dict[str, Callable[..., Sides]] = {
    check.__name__: check
    for check in (
        squared_error, cross_entropy_diversity, other_label, second_order_form, bregman, moved_ensemble,
        price_of_a_move, dropped_learners, debiased, lowest_loss, between_the_losses, two_learners_apart,
    )
}  # fmt: skip
