"""Minimise L^β exactly over the leaf values of a fixed forest, for squared error: a convex case of joint training.

The trees' splits stay as they are. Learner i then predicts `f_i(x) = w_i[leaf of x in tree i]`, which is linear in its
leaf values w_i, so that L^β is a convex quadratic in all of them for β ≤ 1. For N examples, starting values w_i⁰ and a
ridge λ, what is minimised is

    1/N Σ_n L^β(n) + λ/M Σ_i ‖w_i − w_i⁰‖²

The ridge pulls each value to its start, and so decides what the loss leaves free: as it goes to 0, values move no
further than they have to.
"""

from __future__ import annotations

import torch
from torch import Tensor


def leaf_outputs(values: Tensor, leaves: Tensor) -> Tensor:
    """Look up the learners' outputs.

    Args:
        values: `(M, P, K)`, K outputs for each of up to P leaves of M trees.
        leaves: `(M, N)`, the leaf of each example in each tree, 0 to P − 1.

    Returns:
        `(M, N, K)`.
    """
    return values.gather(1, leaves.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


def fit_leaf_values(leaves: Tensor, targets: Tensor, start: Tensor, *, beta: float, ridge: float) -> Tensor:
    """Compute the leaf values that minimise L^β plus the ridge on training data.

    The condition that the gradient is 0 gives each value in closed form from the ensemble's remaining error ē,

        w_i − w_i⁰ = D_i⁻¹ Z_iᵀ [(1 − β) r_i + β ē]          D_i = (1 − β) Z_iᵀ Z_i + λN

    with Z_i `(N, P)` the membership of examples in leaves and r_i the learner's error at the start. Averaged, this is
    a linear system of N equations for ē, which is solved by Cholesky decomposition. At β = 1 its matrix is that of
    kernel ridge regression with the forest's kernel, the share of trees in which two examples have the same leaf.

    Args:
        leaves: `(M, N)`, the leaf of each training example in each tree.
        targets: `(N, K)`.
        start: `(M, P, K)`, such as the values of the fitted forest.
        beta: at most 1; below 0 disagreement costs something.
        ridge: λ, at least 0; positive at β = 1, where many values give the same loss. Leaves that no training example
            reaches keep their start.

    Returns:
        `(M, P, K)` in float64.

    Raises:
        ValueError: shapes that do not fit, leaves outside 0 to P − 1, numbers that are not finite, β above 1, a ridge
            that is negative, or 0 at β = 1.
    """
    _check(leaves, targets, start, beta, ridge)
    targets, start = targets.double(), start.double()
    num_learners, num_examples = leaves.shape
    errors = targets - leaf_outputs(start, leaves)  # (M, N, K)
    counts = _sums(torch.ones_like(errors[..., :1]), leaves, start.shape[1])  # (M, P, 1)
    weights = (1 - beta) * counts + ridge * num_examples  # the diagonal of D
    weights = torch.where(counts > 0, weights, 1.0)  # of leaves that no example reaches: anything, their sums are 0
    own = (1 - beta) * _sums(errors, leaves, start.shape[1]) / weights  # what each learner's own loss asks for
    kernel = torch.zeros(num_examples, num_examples, dtype=torch.float64, device=targets.device)
    for of_tree, weight in zip(leaves, leaf_outputs(1 / weights, leaves), strict=True):
        kernel += (of_tree.unsqueeze(1) == of_tree) * weight
    matrix = torch.eye(num_examples).to(kernel) + beta / num_learners * kernel
    remaining = errors.mean(0) - leaf_outputs(own, leaves).mean(0)  # (N, K)
    remaining = torch.cholesky_solve(remaining, torch.linalg.cholesky(matrix))
    together = beta * _sums(remaining.expand_as(errors), leaves, start.shape[1]) / weights
    return start + own + together


def _sums(values: Tensor, leaves: Tensor, num_leaves: int) -> Tensor:
    """Sum values `(M, N, K)` over the examples of each leaf: `(M, P, K)`."""
    sums = values.new_zeros(values.shape[0], num_leaves, values.shape[-1])
    return sums.scatter_add_(1, leaves.unsqueeze(-1).expand_as(values), values)


def _check(leaves: Tensor, targets: Tensor, start: Tensor, beta: float, ridge: float) -> None:
    if leaves.ndim != 2 or start.ndim != 3 or targets.shape != (*leaves.shape[1:], *start.shape[2:]):
        shapes = f"leaves {tuple(leaves.shape)}, targets {tuple(targets.shape)} and start {tuple(start.shape)}"
        raise ValueError(f"shapes are {shapes}; allowed are (M, N), (N, K) and (M, P, K)")
    if len(leaves) != len(start) or not leaves.numel():
        raise ValueError(f"leaves are of {len(leaves)} trees, start of {len(start)}; allowed is one number above 0")
    if leaves.min() < 0 or leaves.max() >= start.shape[1]:
        raise ValueError(f"leaves go from {leaves.min()} to {leaves.max()}; allowed is 0 to {start.shape[1] - 1}")
    if not targets.isfinite().all() or not start.isfinite().all():
        raise ValueError("targets or start hold NaN or infinite values; allowed are finite numbers")
    if not beta <= 1:
        raise ValueError(f"beta is {beta:g}; allowed is up to 1, where the objective is convex")
    if not 0 <= ridge < float("inf") or (ridge == 0 and beta == 1):
        raise ValueError(f"ridge is {ridge:g} at beta = {beta:g}; allowed is 0 and more, at beta = 1 more than 0")
