"""Ensembles whose learners have random weights: which L^β the expected loss is, and the loss itself by enumeration.

The weights α of the learners sum to 1 and are *exchangeable*: no learner is preferred. For squared error the expected
loss E L(Σ_i α_i f_i, y) is L^β with

    1 − β = M² · Var(α_i) / (M − 1)

Keeping K of M learners at random is the case that the training key `kept_learners` draws. The chapter `remedies` has
the proof, and what holds for cross-entropy.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ..losses import decompose


def beta_of_variance(variance: float, num_learners: int) -> float:
    """Compute the equivalent β of random weights: 1 − M² · variance / (M − 1).

    Args:
        variance: of the weight of one learner; up to (M − 1) / M² if no weight is negative, which is β = 0.
        num_learners: M, at least 2.

    Raises:
        ValueError: fewer than two learners, or a variance that is negative or no number.
    """
    _check_learners(num_learners)
    if not variance >= 0:
        raise ValueError(f"variance is {variance}; allowed is at least 0")
    return 1 - num_learners**2 * variance / (num_learners - 1)


def beta_of_kept(kept: int, num_learners: int) -> float:
    """Compute the equivalent β of the mean of K random learners of M: 1 − (M − K) / (K (M − 1)).

    Args:
        kept: K, from 1 (β = 0) to M (β = 1).
        num_learners: M, at least 2.

    Raises:
        ValueError: fewer than two learners, or a K out of range.
    """
    _check_kept(kept, num_learners)
    return 1 - (num_learners - kept) / (kept * (num_learners - 1))


def beta_of_dirichlet(concentration: float, num_learners: int) -> float:
    """Compute the equivalent β of weights from a symmetric Dirichlet distribution: 1 − 1 / (M · concentration + 1).

    Args:
        concentration: of each learner, more than 0; 1 is the uniform distribution on the simplex.
        num_learners: M, at least 2.

    Raises:
        ValueError: fewer than two learners, or a concentration that is not positive.
    """
    _check_learners(num_learners)
    if not concentration > 0:
        raise ValueError(f"concentration is {concentration}; allowed is more than 0")
    return 1 - 1 / (num_learners * concentration + 1)


def subset_weights(kept: int, num_learners: int) -> Tensor:
    """List the weights of every subset of K learners of M, in float64: 1 / K within, 0 without; `(C, M)`.

    Raises:
        ValueError: as for `beta_of_kept`.
    """
    _check_kept(kept, num_learners)
    subsets = list(itertools.combinations(range(num_learners), kept))
    weights = torch.zeros(len(subsets), num_learners, dtype=torch.float64)
    return weights.scatter_(1, torch.tensor(subsets), 1 / kept)


def expected_loss(
    outputs: Tensor, targets: Tensor, weights: Tensor, *, loss: str = "cross_entropy", average: str = "scores"
) -> Tensor:
    """Compute the ensemble loss in the mean over equally likely weights, per example: `(B,)`.

    Args:
        outputs: `(M, B, K)`.
        targets: as for `decompose`.
        weights: `(C, M)`, each row a choice, such as `subset_weights` lists.
        loss: "cross_entropy" or "squared_error".
        average: "scores", "probabilities" or "released"; has no effect for squared error.

    Raises:
        ValueError: as for `decompose`.
    """
    options = {"loss": loss, "average": average}
    return sum(decompose(outputs, targets, weights=row, **options).ensemble for row in weights) / len(weights)


def _check_learners(num_learners: int) -> None:
    if num_learners < 2:
        raise ValueError(f"num_learners is {num_learners}; allowed is at least 2")


def _check_kept(kept: int, num_learners: int) -> None:
    _check_learners(num_learners)
    if not 1 <= kept <= num_learners:
        raise ValueError(f"kept is {kept}; allowed is 1..{num_learners}, the number of learners")
