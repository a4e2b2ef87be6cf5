"""Losses that are Bregman divergences, and the average that belongs to each.

    D(y, q) = φ(y) − φ(q) − ⟨∇φ(q), y − q⟩          φ convex, the divergence's potential

For the loss L(q, y) = D(y, q) the identity ensemble = individual − diversity holds with a diversity that does not know
the target, mean_i D(q̄, q_i), if the learners are averaged where ∇φ takes them: ∇φ(q̄) = mean_i ∇φ(q_i). That is the
arithmetic mean for squared error, the (normalised) geometric mean for Kullback and Leibler's divergence, and the
harmonic mean for Itakura and Saito's. Any other average leaves a term with the target in it. Source: Wood et al.,
"A Unified Theory of Diversity in Ensemble Learning" (2023). The chapter `decomposition` has the proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .decomposition import Decomposition, at_least_float32, check_outputs, checked_weights, mean_over_learners


class Domain(NamedTuple):
    """Where a divergence is defined."""

    words: str
    """What is allowed, as an error tells it."""
    contains: Callable[[Tensor], Tensor]
    """Whether points `(..., K)` are inside, `(...)`, or their numbers, `(..., K)`."""


ANYWHERE = Domain("finite numbers", torch.isfinite)
POSITIVE = Domain("positive numbers", lambda q: q > 0)
NOT_NEGATIVE = Domain("numbers that are not negative", lambda q: q >= 0)


def _sums_to_one(q: Tensor) -> Tensor:
    return (q.sum(-1) - 1).abs() < 1e-3  # float16 is no nearer


INSIDE_SIMPLEX = Domain("positive probabilities with sum 1", lambda q: (q > 0).all(-1) & _sums_to_one(q))
SIMPLEX = Domain("probabilities with sum 1", lambda q: (q >= 0).all(-1) & _sums_to_one(q))


class Divergence(NamedTuple):
    """A Bregman divergence: its potential φ, and the way to where learners are averaged and back."""

    potential: Callable[[Tensor], Tensor]
    """The convex φ, from points `(..., K)` to `(...)`."""
    gradient: Callable[[Tensor], Tensor]
    """Its gradient ∇φ, from points `(..., K)` to where the average is taken, `(..., K)`."""
    inverse: Callable[[Tensor], Tensor]
    """The way back, from averages `(..., K)` to points; `inverse(gradient(q))` is q."""
    predictions: Domain = ANYWHERE
    """Where learners' outputs may lie."""
    targets: Domain = ANYWHERE
    """Where targets may lie."""

    def __call__(self, target: Tensor, prediction: Tensor) -> Tensor:
        """D(target, prediction): two tensors `(..., K)` → `(...)`."""
        slope = (self.gradient(prediction) * (target - prediction)).sum(-1)
        return self.potential(target) - self.potential(prediction) - slope


DIVERGENCES = {
    "squared_error": Divergence(lambda q: q.square().sum(-1), lambda q: 2 * q, lambda g: g / 2),
    # The mean has to lie on the simplex; softmax leads there, and forgets the constant that the gradient has.
    "kl": Divergence(
        lambda q: torch.xlogy(q, q).sum(-1), lambda q: q.log() + 1, lambda g: g.softmax(-1), INSIDE_SIMPLEX, SIMPLEX
    ),
    "poisson": Divergence(lambda q: (torch.xlogy(q, q) - q).sum(-1), torch.log, torch.exp, POSITIVE, NOT_NEGATIVE),
    "itakura_saito": Divergence(lambda q: -q.log().sum(-1), lambda q: -1 / q, lambda g: -1 / g, POSITIVE, POSITIVE),
}
"""The divergences that have a name.

- "squared_error" is ‖y − q‖², of any numbers.
- "kl" is Σ y log(y/q), of probabilities; cross-entropy where y is one-hot.
- "poisson" is Σ y log(y/q) − y + q, of positive rates; half the Poisson deviance.
- "itakura_saito" is Σ y/q − log(y/q) − 1, of positive numbers; half the gamma deviance.
"""


def decompose_bregman(
    outputs: Tensor,
    targets: Tensor,
    *,
    divergence: str | Divergence = "kl",
    weights: Tensor | None = None,
) -> Decomposition:
    """Split an ensemble's Bregman loss D(y, q̄) into individual loss and diversity, per example.

    Args:
        outputs: `(..., M, B, K)`, the learners' predictions q_i in the divergence's own space: for "kl" probabilities,
            not logits.
        targets: `(..., B, K)`, or `(B, K)` for all runs; for "kl" probabilities, one-hot or soft.
        divergence: one of `DIVERGENCES`, or a `Divergence` of one's own.
        weights: the learners' weights, `(M,)` or `(..., M)`, non-negative with sum 1; None is uniform.

    Returns:
        The three parts `(..., B)`, each by its own formula, in the units of the divergence. They are computed in
        float64, since a divergence is a small difference of large potentials, and come back in the outputs' precision
        (float32 for half precision).

    Raises:
        ValueError: shapes that do not fit, values outside of the divergence's domain, an unknown name, a `Divergence`
            whose `inverse` does not lead back, or which is negative somewhere.
    """
    chosen, points, weights = _checked(outputs, divergence, weights)
    shapes = (tuple(outputs.shape[:-3] + outputs.shape[-2:]), tuple(outputs.shape[-2:]))
    if not isinstance(targets, Tensor) or targets.is_complex() or tuple(targets.shape) not in shapes:
        found = f"{targets.dtype} {tuple(targets.shape)}" if isinstance(targets, Tensor) else type(targets).__name__
        allowed = " or ".join(map(str, dict.fromkeys(shapes)))
        raise ValueError(f"targets are {found}; outputs {tuple(outputs.shape)} allow real numbers {allowed}")
    targets = targets.to(points)
    _check_points("targets", targets, chosen.targets)
    mean = chosen.inverse(mean_over_learners(chosen.gradient(points), weights))  # (..., B, K)
    losses = chosen(targets.unsqueeze(-3), points)  # (..., M, B)
    # The identity holds for any gradient; that the loss is not negative holds for the potential's alone.
    if (losses < -1e-9 * (1 + chosen.potential(points).abs())).any():
        raise ValueError("the divergence is negative: its potential is not convex, or its gradient is another's")
    parts = Decomposition(
        individual=mean_over_learners(losses, weights, axis=-2),
        ensemble=chosen(targets, mean),
        diversity=mean_over_learners(chosen(mean.unsqueeze(-3), points), weights, axis=-2),
    )
    return Decomposition(*(part.to(at_least_float32(outputs).dtype) for part in parts))


def bregman_mean(outputs: Tensor, *, divergence: str | Divergence = "kl", weights: Tensor | None = None) -> Tensor:
    """The average that belongs to a divergence, ∇φ(q̄) = mean_i ∇φ(q_i): `(..., M, B, K)` → `(..., B, K)`.

    Arguments and errors are those of `decompose_bregman`.
    """
    chosen, points, weights = _checked(outputs, divergence, weights)
    mean = chosen.inverse(mean_over_learners(chosen.gradient(points), weights))
    return mean.to(at_least_float32(outputs).dtype)


def _checked(
    outputs: Tensor, divergence: str | Divergence, weights: Tensor | None
) -> tuple[Divergence, Tensor, Tensor | None]:
    """The divergence, the outputs in float64 and the weights, all of them fit for use."""
    if not isinstance(divergence, Divergence):
        if not isinstance(divergence, str) or divergence not in DIVERGENCES:
            known = ", ".join(DIVERGENCES)
            raise ValueError(f"unknown divergence {divergence!r}; allowed are {known}, or a Divergence")
        divergence = DIVERGENCES[divergence]
    check_outputs(outputs)
    points = outputs.double()
    _check_points("outputs", points, divergence.predictions)
    back = divergence.inverse(divergence.gradient(points))
    if back.shape != points.shape or not torch.allclose(back, points, rtol=5e-3, atol=1e-5 * points.abs().max()):
        raise ValueError("the divergence's inverse does not lead back: inverse(gradient(q)) is not q")
    return divergence, points, None if weights is None else checked_weights(points, weights)


def _check_points(what: str, points: Tensor, domain: Domain) -> None:
    if not points.isfinite().all() or not domain.contains(points).all():
        raise ValueError(f"{what} hold values outside of the divergence's domain; allowed are {domain.words}")
