"""Gradients of learners that take each other for constants: with a stop-gradient on the others, or on their average."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..losses import at_least_float32, check_ensemble, class_logits, decompose_unchecked, ensemble_output_unchecked

CONSTANTS = ("others", "average")
"""What a learner takes for a constant, the names that `constant=` takes."""


def stop_gradient(
    outputs: Tensor,
    targets: Tensor,
    beta: float,
    *,
    loss: str = "cross_entropy",
    average: str = "scores",
    constant: str = "others",
) -> Tensor:
    """Compute the gradient of every learner's own objective in its own output, by automatic differentiation.

    sg(·) is a constant to the gradient. Learner i minimises

    - "others": `(1 − β) L(f_i, y) / M + β L((f_i + Σ_{j≠i} sg(f_j)) / M, y)`, for averaged probabilities with p_i in
      place of f_i within the average;
    - "average": `L(f_i, y) − β D_i` with its part of the diversity, `D_i = ‖f_i − sg(f̄)‖²` for squared error,
      `KL(softmax sg(f̄) ‖ softmax f_i)` for scores, `log(sg(p̄_y) / p_{i,y})` for probabilities; "released" is as scores,
      with p_i in place of f_i.

    Args:
        outputs: `(M, B, K)`.
        targets: as for `decompose`.
        beta: any number.
        loss: "cross_entropy" or "squared_error".
        average: "scores", "probabilities" or "released"; has no effect for squared error.
        constant: "others" or "average".

    Returns:
        `(M, B, K)`: row i is the gradient of learner i's objective in f_i.

    Raises:
        ValueError: as for `decompose`, for outputs with leading axes, and for an unknown `constant`.
    """
    check_ensemble(outputs, targets, loss, average)
    if outputs.ndim != 3:
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}; allowed is (M, B, K)")
    if constant not in CONSTANTS:
        raise ValueError(f"unknown constant {constant!r}; allowed are {', '.join(CONSTANTS)}")
    outputs = at_least_float32(outputs).detach().requires_grad_()
    own_objectives = _others_constant if constant == "others" else _average_constant
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(own_objectives(outputs, targets, beta, loss, average).sum(), outputs)
    return gradient


def _others_constant(outputs: Tensor, targets: Tensor, beta: float, loss: str, average: str) -> Tensor:
    """The learners' objectives `(M, B)`, each with the other learners as constants."""
    num_learners = len(outputs)
    own = torch.eye(num_learners, dtype=torch.bool, device=outputs.device)[..., None, None]  # (M, M, 1, 1)
    seen = torch.where(own, outputs, outputs.detach())  # (M, M, B, K): row i as learner i sees all
    parts = decompose_unchecked(seen, targets.expand(num_learners, *targets.shape), loss=loss, average=average)
    return (1 - beta) * parts.individual + beta * parts.ensemble


def _average_constant(outputs: Tensor, targets: Tensor, beta: float, loss: str, average: str) -> Tensor:
    """The learners' objectives `(M, B)`, each with the average as a constant."""
    mean = ensemble_output_unchecked(outputs, loss=loss, average=average).detach()  # (B, K)
    if loss == "squared_error":
        targets = targets if targets.ndim == outputs.ndim - 1 else targets.unsqueeze(-1)
        own, diversity = (outputs - targets).square().sum(-1), (outputs - mean).square().sum(-1)
        return own - beta * diversity
    scores = class_logits(outputs)
    if average == "released":
        scores = scores.softmax(-1)
    log_p, log_mean = scores.log_softmax(-1), mean.log_softmax(-1)  # of "probabilities", `mean` is log p̄ already
    hot = one_hot(targets.long(), scores.shape[-1])
    own = -(log_p * hot).sum(-1)
    if average == "probabilities":
        return own - beta * (log_mean * hot - log_p * hot).sum(-1)
    return own - beta * (log_mean.exp() * (log_mean - log_p)).sum(-1)
