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

LOSSES = ("cross_entropy", "squared_error")
"""The names that `loss=` takes."""
AVERAGES = ("scores", "probabilities", "released")
"""The names that `average=` takes."""


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
) -> Decomposition:
    """Split the ensemble's loss into individual loss and diversity, per example.

    Cross-entropy ensembles are formed in one of three ways, the `average`:

    - "scores": f̄ is the mean of the logits; diversity is `mean_i KL(softmax f̄ ‖ softmax f_i)`.
    - "probabilities": p̄ is the mean of the softmax outputs, and f̄ is log p̄; diversity is `mean_i log(p̄_y / p_{i,y})`.
    - "released": as the authors' published β sweep computes it. Softmax outputs are averaged and then passed to
      cross-entropy as if they were logits, for each learner's own loss too.

    For squared error f̄ is the mean prediction, and diversity is `mean_i ‖f_i − f̄‖²` (Krogh & Vedelsby 1995).

    Args:
        outputs: `(..., M, B, K)`, logits for cross-entropy, predictions for squared error. Half precision is converted
            to float32 first; float64 stays float64.
        targets: integer classes `(..., B)` for cross-entropy; values `(..., B, K)`, or `(..., B)` when K = 1, for
            squared error, which is summed over the K outputs. `(B,)` is shared by all runs.
        loss: "cross_entropy" (in nats) or "squared_error" (in squared units of the targets).
        average: "scores", "probabilities" or "released"; has no effect for squared error.
        weights: the learners' weights in the average, `(M,)` or `(..., M)`, non-negative with sum 1; None is uniform.

    Returns:
        The three parts, each `(..., B)`.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, targets out of the range of classes, unknown
            names.
    """
    check_ensemble(outputs, targets, loss, average)
    if weights is not None:
        weights = checked_weights(outputs, weights)
    return decompose_unchecked(outputs, targets, loss=loss, average=average, weights=weights)


def ensemble_output(
    outputs: Tensor, *, loss: str = "cross_entropy", average: str = "scores", weights: Tensor | None = None
) -> Tensor:
    """Compute the ensemble's output f̄, `(..., M, B, K)` → `(..., B, K)`.

    The ensemble's loss is L(f̄, y) and its predicted class the argmax of f̄. For "probabilities" f̄ is log p̄, whose
    softmax is p̄ again; for "released" it is p̄ itself, which that sweep treats as logits. Arguments and errors are those
    of `decompose`.
    """
    check_names(loss, average)
    check_outputs(outputs)
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
# For training: a check for NaN waits for the device, and checks that read values fail under vmap.


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
    return (log_p + weights.to(log_p).log()[..., None, None]).logsumexp(-3)


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


def at_least_float32(outputs: Tensor) -> Tensor:
    """Convert half precision to float32; leave float32 and float64 as they are."""
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs


# ------------------------------------------------------------------------------------------------ input checks


def check_ensemble(outputs: Tensor, targets: Tensor, loss: str, average: str) -> None:
    """Check the arguments of `decompose`; raises ValueError."""
    check_names(loss, average)
    check_outputs(outputs)
    check_targets(outputs, targets, loss)


def check_names(loss: str, average: str) -> None:
    """Check that loss and average are known names; raises ValueError."""
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; allowed are {', '.join(LOSSES)}")
    if average not in AVERAGES:
        raise ValueError(f"unknown average {average!r}; allowed are {', '.join(AVERAGES)}")


def check_outputs(outputs: Tensor) -> None:
    """Check that outputs are finite floating-point numbers `(..., M, B, K)`; raises ValueError."""
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
        kind = outputs.dtype if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(f"outputs are {kind}; allowed is a tensor of floating-point numbers")
    if outputs.ndim < 3 or 0 in outputs.shape:
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}; allowed is (..., M, B, K), no axis empty")
    if not outputs.isfinite().all():
        raise ValueError("outputs hold NaN or infinite values; allowed are finite numbers")


def check_targets(outputs: Tensor, targets: Tensor, loss: str) -> None:
    """Check that targets fit outputs `(..., M, B, K)` and the loss; raises ValueError."""
    lead, batch, num_outputs = tuple(outputs.shape[:-3]), outputs.shape[-2], outputs.shape[-1]
    allowed = [(*lead, batch)] + ([(batch,)] if lead else [])
    if loss == "squared_error":
        allowed = [(*lead, batch, num_outputs)] + (allowed if num_outputs == 1 else [])
    if not isinstance(targets, Tensor):
        raise ValueError(f"targets are {type(targets).__name__}; allowed is a tensor")
    if tuple(targets.shape) not in allowed:
        shapes = " or ".join(map(str, allowed))
        raise ValueError(f"targets have shape {tuple(targets.shape)}; outputs {tuple(outputs.shape)} allow {shapes}")
    if loss == "squared_error":
        if not targets.is_floating_point() or not targets.isfinite().all():
            raise ValueError("targets of squared_error are invalid; allowed are finite floating-point numbers")
        return
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise ValueError(f"targets of cross_entropy are {targets.dtype}; allowed are integer classes")
    targets = targets.long()  # of unsigned integers, torch compares bytes only
    if targets.min() < 0 or targets.max() >= num_outputs:
        found = f"{int(targets.min())}..{int(targets.max())}"
        raise ValueError(f"targets hold classes {found}; allowed are 0..{num_outputs - 1}")


def checked_weights(outputs: Tensor, weights: Tensor) -> Tensor:
    """Check weights and convert them to the outputs' precision, renormalised to sum 1 there; raises ValueError."""
    lead = tuple(outputs.shape[:-2])  # (..., M)
    shape = tuple(weights.shape) if isinstance(weights, Tensor) else type(weights).__name__
    if shape not in (lead, lead[-1:]):
        allowed = " or ".join(map(str, dict.fromkeys((lead[-1:], lead))))
        raise ValueError(f"weights have shape {shape}; allowed is {allowed}, one weight for each learner")
    if weights.is_complex():
        raise ValueError(f"weights are {weights.dtype}; allowed are real numbers")
    if not (weights >= 0).all() or not torch.allclose(weights.sum(-1), torch.ones_like(weights.sum(-1)), atol=1e-5):
        raise ValueError(f"weights are {weights.tolist()}; allowed are non-negative numbers with sum 1")
    weights = weights.to(at_least_float32(outputs))
    return weights / weights.sum(-1, keepdim=True)
