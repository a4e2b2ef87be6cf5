"""Solve the gradient flow of L^β exactly, for squared error on one example: a minimal ensemble that colludes.

A step on a network's weights moves its output through the Jacobian J_i, so that

    df_i/dt = −M A_i ∂L^β/∂f_i          A_i = J_i J_iᵀ, learner i's response (its neural tangent kernel there)

The responses are held constant here, as they nearly are for wide networks. The factor M gives each learner the speed
that it would have alone (`rate_per_learner`). The chapter `collusion` derives where the flow ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def responses(angles: Sequence[float], *, slow: float = 0.15) -> Tensor:
    """Build responses for learners with K = 2 outputs, fast along one direction and slow across it.

    Args:
        angles: the fast direction of each learner, in degrees; its eigenvalue is 1.
        slow: the eigenvalue across that direction.

    Returns:
        `(M, 2, 2)` in float64, symmetric and positive definite.
    """
    radians = torch.deg2rad(torch.tensor(angles, dtype=torch.float64))
    along = torch.stack([radians.cos(), radians.sin()], -1)  # (M, 2)
    return slow * torch.eye(2, dtype=torch.float64) + (1 - slow) * along.unsqueeze(-1) * along.unsqueeze(-2)


def gradient_flow(
    starts: Tensor, target: Tensor, *, beta: float, times: Tensor, responses: Tensor | None = None
) -> Tensor:
    """Compute the outputs of M learners over time while gradient flow minimises L^β for squared error.

    The flow is linear in the learners' errors, so a matrix exponential solves it without time steps.

    Args:
        starts: `(M, K)`, the outputs at time 0.
        target: `(K,)`.
        beta: any number.
        times: `(T,)`; in units in which, for a response of 1, an independent learner's error falls as exp(−2t).
        responses: `(M, K, K)`, symmetric and positive definite; None is the identity for every learner.

    Returns:
        `(T, M, K)` in float64; not finite if β > 1 makes the outputs overflow.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, responses that are not symmetric and positive
            definite.
    """
    num_learners, num_outputs = _checked_size(starts, target, responses)
    if times.ndim != 1 or not times.isfinite().all():
        raise ValueError(f"times have shape {tuple(times.shape)}; allowed are finite numbers (T,)")
    if responses is None:
        responses = torch.eye(num_outputs).expand(num_learners, -1, -1)
    starts, target, times, responses = (
        tensor.to(starts.device).double() for tensor in (starts, target, times, responses)
    )
    # ė_i = −2 A_i [(1 − β) e_i + β ē] for the errors e_i = f_i − y, written as one matrix (M·K, M·K)
    eye = torch.eye(num_learners, dtype=torch.float64, device=starts.device)
    coupling = (1 - beta) * eye + beta / num_learners  # (M, M): weight of error j in learner i's gradient
    matrix = torch.einsum("ij,ikl->ikjl", coupling, responses).reshape(2 * (num_learners * num_outputs,))
    errors = torch.matrix_exp(-2 * times.view(-1, 1, 1) * matrix) @ (starts - target).flatten()  # (T, M·K)
    return target + errors.view(-1, num_learners, num_outputs)


def joint_end(starts: Tensor, target: Tensor, responses: Tensor) -> Tensor:
    """Compute the limit of the flow for joint training, β = 1: `f_i − A_i Ā⁻¹ (f̄ − y)`, with Ā the mean response.

    The learners' mean reaches the target; each learner has moved in proportion to its own response.

    Args:
        starts: `(M, K)`.
        target: `(K,)`.
        responses: `(M, K, K)`, symmetric and positive definite.

    Returns:
        `(M, K)` in float64.

    Raises:
        ValueError: as for `gradient_flow`.
    """
    _checked_size(starts, target, responses)
    starts, target, responses = (tensor.double() for tensor in (starts, target, responses))
    mean_step = torch.linalg.solve(responses.mean(0), starts.mean(0) - target)  # (K,)
    return starts - responses @ mean_step


def _checked_size(starts: Tensor, target: Tensor, responses: Tensor | None) -> tuple[int, int]:
    """Check that the arguments fit together and return M and K; raises ValueError."""
    if starts.ndim != 2 or 0 in starts.shape or target.shape != starts.shape[1:]:
        shapes = f"starts {tuple(starts.shape)} and target {tuple(target.shape)}"
        raise ValueError(f"shapes are {shapes}; allowed are (M, K) and (K,)")
    if not starts.isfinite().all() or not target.isfinite().all():
        raise ValueError("starts or target hold NaN or infinite values; allowed are finite numbers")
    num_learners, num_outputs = starts.shape
    if responses is not None:
        allowed = (num_learners, num_outputs, num_outputs)
        if responses.shape != allowed:
            raise ValueError(f"responses have shape {tuple(responses.shape)}; allowed is {allowed}")
        if not torch.allclose(responses, responses.mT) or not (torch.linalg.eigvalsh(responses.double()) > 0).all():
            raise ValueError("responses are not all symmetric and positive definite; no others are allowed")
    return num_learners, num_outputs
