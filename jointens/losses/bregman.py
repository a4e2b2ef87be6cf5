"""Decompose ensemble losses that are Bregman divergences, each with the average that belongs to it.

    D(y, q) = φ(y) − φ(q) − ⟨∇φ(q), y − q⟩          φ convex, the divergence's potential

For the loss L(q, y) = D(y, q) the identity ensemble = individual − diversity holds with a diversity that does not
depend on the target, mean_i D(q̄, q_i), if the learners are averaged in the dual space: ∇φ(q̄) = mean_i ∇φ(q_i). That is
the arithmetic mean for squared error, the (normalised) geometric mean for the Kullback–Leibler divergence, and the
harmonic mean for the Itakura–Saito divergence. Any other average leaves a term that depends on the target. Source: Wood
et al., "A Unified Theory of Diversity in Ensemble Learning" (2023). The chapter `decomposition` has the proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import check_outputs, checked_weights
from .decomposition import Decomposition, mean_over_learners
from .probabilities import at_least_float32


class Domain(NamedTuple):
    """A set on which a divergence is defined."""

    words: str
    """The allowed values, as error messages name them."""
    contains: Callable[[Tensor], Tensor]
    """Membership test for points `(..., K)`; returns bools `(...)` per point or `(..., K)` per coordinate."""


ANYWHERE = Domain("finite numbers", torch.isfinite)
POSITIVE = Domain("positive numbers", lambda q: q > 0)
NOT_NEGATIVE = Domain("numbers that are not negative", lambda q: q >= 0)


def _sums_to_one(q: Tensor) -> Tensor:
    return (q.sum(-1) - 1).abs() < 1e-3  # the accuracy of float16


INSIDE_SIMPLEX = Domain("positive probabilities with sum 1", lambda q: (q > 0).all(-1) & _sums_to_one(q))
SIMPLEX = Domain("probabilities with sum 1", lambda q: (q >= 0).all(-1) & _sums_to_one(q))


class Divergence(NamedTuple):
    """A Bregman divergence: its potential φ and the maps between predictions and the dual space."""

    potential: Callable[[Tensor], Tensor]
    """The convex φ, from points `(..., K)` to `(...)`."""
    gradient: Callable[[Tensor], Tensor]
    """The gradient ∇φ, from points `(..., K)` to the dual space, `(..., K)`, where the average is taken."""
    inverse: Callable[[Tensor], Tensor]
    """The inverse map, from the dual space `(..., K)` to points; `inverse(gradient(q))` is q."""
    predictions: Domain = ANYWHERE
    """Domain of the learners' outputs."""
    targets: Domain = ANYWHERE
    """Domain of the targets."""

    def __call__(self, target: Tensor, prediction: Tensor) -> Tensor:
        """Compute D(target, prediction): two tensors `(..., K)` → `(...)`."""
        slope = (self.gradient(prediction) * (target - prediction)).sum(-1)
        return self.potential(target) - self.potential(prediction) - slope


DIVERGENCES = {
    "squared_error": Divergence(lambda q: q.square().sum(-1), lambda q: 2 * q, lambda g: g / 2),
    # The mean has to lie on the simplex: softmax maps to it and drops the gradient's additive constant.
    "kl": Divergence(
        lambda q: torch.xlogy(q, q).sum(-1), lambda q: q.log() + 1, lambda g: g.softmax(-1), INSIDE_SIMPLEX, SIMPLEX
    ),
    "poisson": Divergence(lambda q: (torch.xlogy(q, q) - q).sum(-1), torch.log, torch.exp, POSITIVE, NOT_NEGATIVE),
    "itakura_saito": Divergence(lambda q: -q.log().sum(-1), lambda q: -1 / q, lambda g: -1 / g, POSITIVE, POSITIVE),
}
"""The built-in divergences by name.

- "squared_error": ‖y − q‖², for any numbers.
- "kl": Σ y log(y/q), for probabilities; cross-entropy if y is one-hot.
- "poisson": Σ y log(y/q) − y + q, for positive rates; half the Poisson deviance.
- "itakura_saito": Σ y/q − log(y/q) − 1, for positive numbers; half the gamma deviance.
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
        divergence: a name from `DIVERGENCES`, or a custom `Divergence`.
        weights: the learners' weights, `(M,)` or `(..., M)`, non-negative with sum 1; None is uniform.

    Returns:
        The three parts `(..., B)`, each by its own formula, in the units of the divergence. They are computed in
        float64, since a divergence is a small difference of large potentials, and returned in the outputs' precision
        (float32 for half precision).

    Raises:
        ValueError: shapes that do not fit, values outside of the divergence's domain, an unknown name, a `Divergence`
            whose `inverse` does not invert its gradient, or which is negative somewhere.
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
    # The identity holds for any map in place of the gradient; a non-negative loss needs the potential's own gradient.
    if (losses < -1e-9 * (1 + chosen.potential(points).abs())).any():
        raise ValueError("the divergence is negative: its potential is not convex, or its gradient is wrong")
    parts = Decomposition(
        individual=mean_over_learners(losses, weights, axis=-2),
        ensemble=chosen(targets, mean),
        diversity=mean_over_learners(chosen(mean.unsqueeze(-3), points), weights, axis=-2),
    )
    return Decomposition(*(part.to(at_least_float32(outputs).dtype) for part in parts))


def bregman_mean(outputs: Tensor, *, divergence: str | Divergence = "kl", weights: Tensor | None = None) -> Tensor:
    """Average the learners in a divergence's dual space, ∇φ(q̄) = mean_i ∇φ(q_i): `(..., M, B, K)` → `(..., B, K)`.

    Arguments and errors are those of `decompose_bregman`.
    """
    chosen, points, weights = _checked(outputs, divergence, weights)
    mean = chosen.inverse(mean_over_learners(chosen.gradient(points), weights))
    return mean.to(at_least_float32(outputs).dtype)


def _checked(
    outputs: Tensor, divergence: str | Divergence, weights: Tensor | None
) -> tuple[Divergence, Tensor, Tensor | None]:
    """Validate the arguments; returns the divergence, the outputs in float64 and the normalised weights."""
    if not isinstance(divergence, Divergence):
        if not isinstance(divergence, str) or divergence not in DIVERGENCES:
            known = ", ".join(DIVERGENCES)
            raise ValueError(f"unknown divergence {divergence!r}; allowed are {known}, or a Divergence")
        divergence = DIVERGENCES[divergence]
    check_outputs(outputs)
    points = outputs.double()
    _check_points("outputs", points, divergence.predictions)
    recovered = divergence.inverse(divergence.gradient(points))
    tolerance = 1e-5 * points.abs().max()
    if recovered.shape != points.shape or not torch.allclose(recovered, points, rtol=5e-3, atol=tolerance):
        raise ValueError("the divergence's inverse does not invert its gradient: inverse(gradient(q)) is not q")
    return divergence, points, None if weights is None else checked_weights(points, weights)


def _check_points(name: str, points: Tensor, domain: Domain) -> None:
    if not points.isfinite().all() or not domain.contains(points).all():
        raise ValueError(f"{name} hold values outside of the divergence's domain; allowed are {domain.words}")
