"""Gradient and curvature of L^β with respect to the learners' outputs, and diversity's second-order form.

The chapters `decomposition` and `collusion` derive these. Shapes are those of `decompose`; everything is per example,
before any mean over examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jacrev, vmap
from torch.nn.functional import one_hot

from ..losses import at_least_float32, check_ensemble, class_logits, decompose_unchecked, joint_objective


def output_gradient(
    outputs: Tensor, targets: Tensor, beta: float, *, loss: str = "cross_entropy", average: str = "scores"
) -> Tensor:
    """Compute the gradient of L^β with respect to every learner's output, in closed form.

    It is the learner's own gradient with weight 1 − β plus its gradient of the ensemble loss with weight β:

    - squared error: `(2/M) [(1 − β)(f_i − y) + β (f̄ − y)]`
    - scores: `(1/M) [(1 − β)(p_i − e_y) + β (p̄ − e_y)]`, p̄ = softmax(f̄)
    - probabilities: `(1/M) [(1 − β) + β p_{i,y}/p̄_y] (p_i − e_y)`
    - released: `(1/M) J_i [(1 − β)(softmax(p_i) − e_y) + β (softmax(p̄) − e_y)]`, J_i = diag(p_i) − p_i p_iᵀ

    Args:
        outputs: `(..., M, B, K)`.
        targets: as for `decompose`.
        beta: any number.
        loss: "cross_entropy" or "squared_error".
        average: "scores", "probabilities" or "released"; has no effect for squared error.

    Returns:
        `(..., M, B, K)`, the gradient of each example's own loss, not of a mean over the batch.

    Raises:
        ValueError: as for `decompose`.
    """
    check_ensemble(outputs, targets, loss, average)
    outputs, num_outputs = at_least_float32(outputs), outputs.shape[-1]
    if loss == "squared_error":
        targets = targets if targets.ndim == outputs.ndim - 1 else targets.unsqueeze(-1)
        predictions = outputs, outputs.mean(-3, keepdim=True)
        own, joint = (2 * (prediction - targets.unsqueeze(-3)) for prediction in predictions)
    else:
        outputs = class_logits(outputs)
        p, hot = outputs.softmax(-1), one_hot(targets.long(), outputs.shape[-1]).unsqueeze(-3)
        if average == "scores":
            own, joint = p - hot, outputs.mean(-3, keepdim=True).softmax(-1) - hot
        elif average == "probabilities":
            log_own = (outputs.log_softmax(-1) * hot).sum(-1, keepdim=True)  # log p_{i,y}: (..., M, B, 1)
            own, joint = p - hot, (log_own - log_own.logsumexp(-3, keepdim=True)).exp() * outputs.shape[-3] * (p - hot)
        else:
            scores = p, p.mean(-3, keepdim=True)
            own, joint = (_through_softmax(p, score.softmax(-1) - hot) for score in scores)
    return ((1 - beta) * own + beta * joint)[..., -num_outputs:] / outputs.shape[-3]  # of (0, z), that of z


def _through_softmax(p: Tensor, gradient: Tensor) -> Tensor:
    """Backpropagate a gradient through softmax: multiply by J_i at the probabilities `p`."""
    return p * (gradient - (p * gradient).sum(-1, keepdim=True))


def output_curvature(
    outputs: Tensor, targets: Tensor, beta: float, *, loss: str = "cross_entropy", average: str = "scores"
) -> Tensor:
    """Compute the Hessian eigenvalues of L^β with respect to all learners' outputs, by automatic differentiation.

    Args:
        outputs: `(M, B, K)`.
        targets: as for `decompose`.
        beta: any number.
        loss: "cross_entropy" or "squared_error".
        average: "scores", "probabilities" or "released"; has no effect for squared error.

    Returns:
        `(B, M·K)`, ascending. A zero is a direction in which the objective is flat.

    Raises:
        ValueError: as for `decompose`, and for outputs with leading axes.
    """
    check_ensemble(outputs, targets, loss, average)
    if outputs.ndim != 3:
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}; allowed is (M, B, K)")
    num_learners, _, num_outputs = outputs.shape

    def objective(flat: Tensor, target: Tensor) -> Tensor:  # (M·K,), () or (K,) → ()
        example = flat.view(num_learners, 1, num_outputs)
        return joint_objective(decompose_unchecked(example, target[None], loss=loss, average=average), beta).squeeze()

    flat = at_least_float32(outputs).transpose(0, 1).flatten(1)  # (B, M·K)
    return torch.linalg.eigvalsh(vmap(jacrev(jacrev(objective)))(flat, targets))


class SecondOrder(NamedTuple):
    """Diversity as a quadratic form of the learners' deviations from their mean."""

    diversity: Tensor
    """`(1/2M) Σ_i (f_i − f̄)ᵀ ∇²L(f*_i, y) (f_i − f̄)`, `(B,)`."""
    points: Tensor
    """The intermediate points f*_i, `(M, B, K)`."""
    positions: Tensor
    """The position of each point between f̄ (0) and f_i (1), `(M, B)`."""


def second_order(loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, targets: Tensor) -> SecondOrder:
    """Compute diversity in its second-order form for any twice differentiable loss, by searching intermediate points.

    By Taylor's theorem there is a point f*_i on the segment from f̄ to f_i where the second-order term equals the
    remainder of the first-order expansion of L(f_i) around f̄. It is found by a search for a change of sign along the
    segment, then by bisection.

    Args:
        loss: maps outputs `(M, B, K)` and targets to losses `(M, B)` with differentiable torch operations; each loss
            depends on its own output alone.
        outputs: `(M, B, K)` in float64; averaged as they are.
        targets: passed on to the loss, one for each example.

    Returns:
        The quadratic form, the intermediate points and their positions.

    Raises:
        ValueError: outputs of another shape or precision, values that are not finite, a loss of another shape; or a
            curvature that changes too quickly along a segment for its point to be found.
    """
    if outputs.ndim != 3 or outputs.dtype != torch.float64 or not outputs.isfinite().all():
        found = f"{outputs.dtype} of shape {tuple(outputs.shape)}"
        raise ValueError(f"outputs are {found}; allowed are finite float64 numbers (M, B, K)")
    outputs = outputs.detach()
    mean = outputs.mean(0)  # (B, K)

    def along(positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the loss at a position on each segment, `(M, B)`, and its first two derivatives in the position."""
        with torch.enable_grad():
            positions = positions.clone().requires_grad_()
            value = loss(mean + positions.unsqueeze(-1) * (outputs - mean), targets)
            if value.shape != positions.shape:
                raise ValueError(f"the loss has shape {tuple(value.shape)}; allowed is {tuple(positions.shape)}")
            (slope,) = torch.autograd.grad(value.sum(), positions, create_graph=True)
            (curvature,) = torch.autograd.grad(slope.sum(), positions)
        return value.detach(), slope.detach(), curvature

    start = outputs.new_zeros(outputs.shape[:2])
    at_mean, slope, _ = along(start)
    remainder = along(start + 1)[0] - at_mean - slope  # L(f_i) − L(f̄) − ∇L(f̄)·(f_i − f̄): (M, B)

    def excess(positions: Tensor) -> Tensor:
        return along(positions)[2] / 2 - remainder

    grid = torch.linspace(0, 1, 129, dtype=outputs.dtype, device=outputs.device)
    values = torch.stack([excess(start + position) for position in grid])  # (129, M, B)
    # The first step with a change of sign. A constant Hessian may have none but for rounding; then any point will do.
    first = (values[:-1] * values[1:] <= 0).to(torch.int8).argmax(0)
    low, high = grid[first], grid[first + 1]
    sign = values.gather(0, first.unsqueeze(0)).squeeze(0).sign()
    for _ in range(60):
        middle = (low + high) / 2
        before = excess(middle) * sign > 0
        low, high = torch.where(before, middle, low), torch.where(before, high, middle)
    positions = (low + high) / 2
    missed = excess(positions).abs() > 1e-9 * (1 + remainder.abs())
    if missed.any():
        count = f"{int(missed.sum())} of {missed.numel()} learners and examples"
        raise ValueError(
            f"no intermediate point was found for {count}: the curvature changes too quickly between f̄ and f_i"
        )
    points = mean + positions.unsqueeze(-1) * (outputs - mean)
    return SecondOrder(diversity=along(positions)[2].mean(0) / 2, points=points, positions=positions)
