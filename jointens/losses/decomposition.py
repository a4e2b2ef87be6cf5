"""Decompose an ensemble's loss into the learners' mean loss minus their diversity.

    ensemble = individual − diversity            individual = mean_i L(f_i, y)        ensemble = L(f̄, y)

`decompose` computes each of the three by its own formula, so the identity can be checked instead of holding by
definition. `joint_objective` is the objective that the paper trains:

    L^β = individual − β · diversity = (1 − β) · individual + β · ensemble

β = 0 trains the learners independently, β = 1 trains the loss of the ensemble itself.

Shapes throughout: outputs `(..., M, B, K)` with any leading axes (runs), M learners, B examples and K outputs; targets
`(..., B)`. Losses are in nats (cross-entropy) or squared target units, one per example: `(..., B)`.

The paper's theorem holds for any convex combination of learners. `weights=` is there for that: training and all
experiments use uniform weights.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from .checks import check_ensemble, checked_outputs, checked_weights
from .probabilities import at_least_float32, class_logits

LARGEST_EXPONENT = 80.0  # exp of it is finite in float32


class Decomposition(NamedTuple):
    """The parts of an ensemble's loss, each `(..., B)`: one number per example."""

    individual: Tensor
    """The mean over learners of each learner's own loss."""
    ensemble: Tensor
    """The loss of the averaged output."""
    diversity: Tensor
    """The gain from averaging, individual − ensemble."""


def decompose(
    outputs: Tensor,
    targets: Tensor,
    *,
    loss: str = "cross_entropy",
    average: str = "scores",
    weights: Tensor | None = None,
    outputs_are: str = "logits",
) -> Decomposition:
    """Split the ensemble's loss into individual loss and diversity, per example.

    Cross-entropy ensembles are formed in one of three ways, the `average`:

    - "scores": f̄ is the mean of the logits; diversity is `mean_i KL(softmax f̄ ‖ softmax f_i)`.
    - "probabilities": p̄ is the mean of the softmax outputs, and f̄ is log p̄; diversity is `mean_i log(p̄_y / p_{i,y})`.
    - "released": as the authors' published β sweep computes it. Softmax outputs are averaged and then passed to
      cross-entropy as if they were logits, for each learner's own loss too.

    For squared error f̄ is the mean prediction, and diversity is `mean_i ‖f_i − f̄‖²` (Krogh & Vedelsby 1995).

    It can be differentiated, and works under `torch.func.vmap`.

    Args:
        outputs: `(..., M, B, K)`, logits for cross-entropy, predictions for squared error. For cross-entropy K = 1 is
            the single logit z of a binary classifier, and stands for the logits (0, z). Half precision is converted to
            float32 first; float64 stays float64.
        targets: integer classes `(..., B)` for cross-entropy, for two classes also bool; values `(..., B, K)`, or
            `(..., B)` when K = 1, for squared error, which is summed over the K outputs. `(B,)` is shared by all runs.
        loss: "cross_entropy" (in nats) or "squared_error" (in squared units of the targets).
        average: "scores", "probabilities" or "released"; has no effect for squared error.
        weights: the learners' weights in the average, `(M,)` or `(..., M)`, non-negative with sum 1; None is uniform.
        outputs_are: "logits" or, for cross-entropy, "probabilities": `(..., M, B, K)`, or those of class 1 for K = 1.
            Rows whose sum is up to 0.1 from 1 are divided by it. A probability of 0 counts as half of the smallest
            positive one in `outputs`, and as at most 0.1 / K.

    Returns:
        The three parts, each `(..., B)`.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, targets out of the range of classes, unknown
            names; logits that look like probabilities (at least 20 rows, none negative, most with a sum of about 1 or
            100), probabilities that are none.
    """
    outputs = check_ensemble(outputs, targets, loss, average, outputs_are)
    if weights is not None:
        weights = checked_weights(outputs, weights)
    return decompose_unchecked(outputs, targets, loss=loss, average=average, weights=weights)


def ensemble_output(
    outputs: Tensor,
    *,
    loss: str = "cross_entropy",
    average: str = "scores",
    weights: Tensor | None = None,
    outputs_are: str = "logits",
) -> Tensor:
    """Compute the ensemble's output f̄, `(..., M, B, K)` → `(..., B, K)`; two columns for single logits, K = 1.

    The ensemble's loss is L(f̄, y) and its predicted class the argmax of f̄. For "probabilities" f̄ is log p̄, whose
    softmax is p̄ again; for "released" it is p̄ itself, which that sweep treats as logits. Arguments and errors are those
    of `decompose`.
    """
    outputs = checked_outputs(outputs, loss, average, outputs_are)
    if weights is not None:
        weights = checked_weights(outputs, weights)
    return ensemble_output_unchecked(outputs, loss=loss, average=average, weights=weights)


def joint_objective(parts: Decomposition, beta: float | Tensor) -> Tensor:
    """Compute the training objective L^β = (1 − β) · individual + β · ensemble, per example: `(..., B)`.

    Args:
        parts: the result of `decompose`.
        beta: a number, or a tensor that broadcasts over the leading axes `...` (one β per run). β > 1 is allowed; the
            objective then has no lower bound, since diversity has no upper bound (except for "released").

    Raises:
        ValueError: a tensor of β that does not broadcast over the runs.
    """
    if isinstance(beta, Tensor) and beta.ndim:
        lead = tuple(parts.individual.shape[:-1])
        try:
            fits = torch.broadcast_shapes(lead, beta.shape) == lead
        except RuntimeError:
            fits = False
        if not fits:
            raise ValueError(f"beta has shape {tuple(beta.shape)}; allowed is what broadcasts over the runs {lead}")
        beta = beta.unsqueeze(-1)  # (..., 1): the same β for every example of a run
    return (1 - beta) * parts.individual + beta * parts.ensemble


# ------------------------------------------------------------------------------------------- unchecked variants
# For training: a check for NaN waits for the device.


def decompose_unchecked(
    outputs: Tensor, targets: Tensor, *, loss: str, average: str, weights: Tensor | None = None
) -> Decomposition:
    """Run `decompose` without its checks; names must be known and shapes must fit."""
    return _decomposed(outputs, targets, loss, average, weights, with_diversity=True)


def objective_unchecked(outputs: Tensor, targets: Tensor, beta: float | Tensor, *, loss: str, average: str) -> Tensor:
    """Compute `joint_objective` of `decompose_unchecked`, without the diversity, which it does not need: `(..., B)`."""
    return joint_objective(_decomposed(outputs, targets, loss, average, None, with_diversity=False), beta)


def _decomposed(
    outputs: Tensor, targets: Tensor, loss: str, average: str, weights: Tensor | None, with_diversity: bool
) -> Decomposition:
    outputs, diversity = at_least_float32(outputs), None
    if loss == "squared_error":
        if targets.ndim < outputs.ndim - 1:
            targets = targets.unsqueeze(-1)  # (..., B) → (..., B, 1)
        mean = mean_over_learners(outputs, weights)  # (..., B, K)
        if with_diversity:
            diversity = mean_over_learners((outputs - mean.unsqueeze(-3)).square().sum(-1), weights, axis=-2)
        return Decomposition(
            individual=mean_over_learners((outputs - targets.unsqueeze(-3)).square().sum(-1), weights, axis=-2),
            ensemble=(mean - targets).square().sum(-1),
            diversity=diversity,
        )
    outputs = class_logits(outputs)
    if average == "released":  # probabilities are treated as scores: from here on it *is* score averaging
        outputs, average = outputs.softmax(-1), "scores"
    log_p = _log_softmax(outputs)  # (..., M, B, K)
    scores = _ensemble_scores(outputs, log_p, average, weights)  # (..., B, K)
    own = _log_likelihood(log_p, targets.unsqueeze(-2))  # (..., M, B)
    joint = _log_likelihood(_log_softmax(scores), targets)  # (..., B)
    if with_diversity and average == "scores":
        # mean_i KL(p̄ ‖ p_i) = −log Σ_k exp(mean_i log p_ik), without the difference of two large numbers that
        # mean_i lse(f_i) − lse(f̄), the same quantity, would be
        diversity = -mean_over_learners(log_p, weights).logsumexp(-1)
    elif with_diversity:
        diversity = mean_over_learners(joint.unsqueeze(-2) - own, weights, axis=-2)
    return Decomposition(individual=-mean_over_learners(own, weights, axis=-2), ensemble=-joint, diversity=diversity)


def ensemble_output_unchecked(outputs: Tensor, *, loss: str, average: str, weights: Tensor | None = None) -> Tensor:
    """Run `ensemble_output` without its checks."""
    outputs = at_least_float32(outputs)
    if loss == "squared_error":
        return mean_over_learners(outputs, weights)
    outputs = class_logits(outputs)
    if average == "released":
        return mean_over_learners(outputs.softmax(-1), weights)
    log_p = _log_softmax(outputs) if average == "probabilities" else None
    return _ensemble_scores(outputs, log_p, average, weights)


def _ensemble_scores(outputs: Tensor, log_p: Tensor | None, average: str, weights: Tensor | None) -> Tensor:
    """Compute f̄, whose softmax is the ensemble's prediction: `(..., B, K)`."""
    if average == "scores":
        return mean_over_learners(outputs, weights)
    # log Σ_i w_i p_i without forming p_i, which underflows for logits of ±200
    if weights is None:
        return log_p.logsumexp(-3) - math.log(outputs.shape[-3])
    # Not logsumexp of log w_i + log p_i: the gradient of log w_i is not finite at 0
    weights = weights.to(log_p)[..., None, None]  # (..., M, 1, 1)
    peak = log_p.detach().masked_fill(weights == 0, -torch.inf).amax(-3, keepdim=True)  # of learners that count
    ratios = (log_p - peak).clamp_max(LARGEST_EXPONENT).exp()  # at most 1, but for learners that do not count
    return (weights * ratios).sum(-3).log() + peak.squeeze(-3)


def mean_over_learners(values: Tensor, weights: Tensor | None, axis: int = -3) -> Tensor:
    """Take the (weighted) mean over learners: axis −3 for outputs `(..., M, B, K)`, −2 for losses `(..., M, B)`."""
    if weights is None:
        return values.mean(axis)
    weights = weights.to(values)[(..., *[None] * (-axis - 1))]  # (..., M) → (..., M, 1[, 1])
    return (values * weights).sum(axis)


def _log_softmax(outputs: Tensor) -> Tensor:
    """Compute log softmax over the classes: `(..., B, K)` → `(..., B, K)`.

    The outputs of vectorized MLPs are laid out in memory as `(..., K, B)`. In that layout the vector units work on many
    examples at once instead of on ten classes, and nothing is copied.
    """
    if outputs.mT.is_contiguous():
        return log_softmax(outputs.mT, -2).mT
    return log_softmax(outputs, -1)


def _log_likelihood(log_p: Tensor, targets: Tensor) -> Tensor:
    """Pick log p of each example's class: `(..., B, K)` and classes that broadcast to `(..., B)` → `(..., B)`."""
    targets = targets.expand(log_p.shape[:-1]).unsqueeze(-1)
    return log_p.gather(-1, targets.long()).squeeze(-1)
