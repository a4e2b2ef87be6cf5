"""Random weights of the learners, by enumeration in float64; the page "Theorems and their tests" shows these tests."""

import itertools
import math

import numpy as np
import pytest
import torch
from drawing import CASES

from jointens import decompose, joint_objective
from jointens.theory import (
    beta_of_dirichlet,
    beta_of_kept,
    beta_of_variance,
    draw_batch,
    expected_loss,
    subset_weights,
)

SIZES = [(2, 1), (3, 2), (5, 3), (7, 2)]  # M and the number of outputs


def close(left, right, atol=1e-10):
    torch.testing.assert_close(left, right, rtol=0, atol=atol)


def objective(outputs, targets, beta, **options):
    return joint_objective(decompose(outputs, targets, **options), beta)


@pytest.mark.parametrize(("num_learners", "num_outputs"), SIZES[:3])
def test_the_expected_squared_error_is_the_objective_of_the_equivalent_beta(num_learners, num_outputs):
    """All orders of one list of weights, none negative or some, are exchangeable weights."""
    outputs, targets = draw_batch((num_learners, 20, num_outputs), "squared_error", seed=4)
    f, y = outputs.numpy(), targets.numpy()
    rng = np.random.default_rng(0)
    for lowest in (0.0, -2.0):
        weights = rng.uniform(lowest, 1, num_learners)
        weights += (1 - weights.sum()) / num_learners if lowest else 0
        weights /= weights.sum()
        losses = [
            ((np.tensordot(order, f, 1) - y) ** 2).sum(-1) for order in map(list, itertools.permutations(weights))
        ]
        beta = beta_of_variance(weights.var(), num_learners)
        close(torch.tensor(np.mean(losses, 0)), objective(outputs, targets, beta, loss="squared_error"))
        assert beta < 1 and (lowest == 0.0) <= (beta >= 0)


@pytest.mark.parametrize(("num_learners", "num_outputs"), SIZES)
def test_keeping_k_of_m_is_the_objective_of_its_beta(num_learners, num_outputs):
    outputs, targets = draw_batch((num_learners, 20, num_outputs), "squared_error", seed=5)
    for kept in range(1, num_learners + 1):
        subsets = list(itertools.combinations(range(num_learners), kept))
        losses = [((outputs[list(subset)].mean(0) - targets) ** 2).sum(-1) for subset in subsets]
        beta = beta_of_kept(kept, num_learners)
        close(torch.stack(losses).mean(0), objective(outputs, targets, beta, loss="squared_error"))
        weights = subset_weights(kept, num_learners)
        assert len(weights) == math.comb(num_learners, kept) == len({tuple(row) for row in weights.tolist()})
        close(weights.sum(1), torch.ones(len(weights), dtype=torch.float64), 1e-15)
        close(expected_loss(outputs, targets, weights, loss="squared_error"), torch.stack(losses).mean(0))
        assert beta == pytest.approx(beta_of_variance(weights[:, 0].var(unbiased=False).item(), num_learners))


def test_betas_of_five_learners():
    assert [beta_of_kept(kept, 5) for kept in range(1, 6)] == pytest.approx([0, 5 / 8, 5 / 6, 15 / 16, 1])


@pytest.mark.parametrize("concentration", [0.2, 1.0, 7.5])
@pytest.mark.parametrize("num_learners", [2, 5])
def test_dirichlet_weights_are_the_objective_of_their_beta(num_learners, concentration):
    """The expected squared error is a quadratic form of the second moments, which scipy knows."""
    from scipy.stats import dirichlet

    outputs, targets = draw_batch((num_learners, 20, 3), "squared_error", seed=6)
    alpha = np.full(num_learners, concentration)
    moments = dirichlet.cov(alpha) + np.outer(dirichlet.mean(alpha), dirichlet.mean(alpha))
    residuals = (outputs - targets).numpy()
    expected = np.einsum("ij,ibk,jbk->b", moments, residuals, residuals)
    beta = beta_of_dirichlet(concentration, num_learners)
    close(torch.tensor(expected), objective(outputs, targets, beta, loss="squared_error"))
    assert beta == pytest.approx(beta_of_variance(dirichlet.var(alpha)[0], num_learners))


@pytest.mark.parametrize(("loss", "average"), CASES)
def test_the_expected_loss_lies_between_ensemble_and_individual_loss_and_falls_with_k(loss, average):
    outputs, targets = draw_batch((5, 200, 4), loss, seed=7)
    parts = decompose(outputs, targets, loss=loss, average=average)
    losses = [
        expected_loss(outputs, targets, subset_weights(kept, 5), loss=loss, average=average) for kept in range(1, 6)
    ]
    close(losses[0], parts.individual)
    close(losses[-1], parts.ensemble)
    for fewer, more in itertools.pairwise(losses):
        assert (more <= fewer + 1e-12).all() and (more < fewer - 1e-3).any()


def spread(values):
    return (values.amax(-1) - values.amin(-1)) ** 3


def gap_and_bound(outputs, targets, kept):
    """|E − L^β| for scores, and its bound by the third powers of spreads; `(B,)` each."""
    num_learners, beta = len(outputs), beta_of_kept(kept, len(outputs))
    weights, deviations = subset_weights(kept, num_learners), outputs - outputs.mean(0)
    gap = expected_loss(outputs, targets, weights) - objective(outputs, targets, beta)
    of_subsets = spread(torch.einsum("cm,mbk->cbk", weights, deviations)).mean(0)
    return gap.abs(), (of_subsets + (1 - beta) * spread(deviations).mean(0)) / (36 * math.sqrt(3))


@pytest.mark.parametrize("scale", [0.01, 0.3, 3.0, 30.0])
def test_for_scores_the_difference_is_of_third_order(scale):
    outputs, targets = draw_batch((5, 200, 4), seed=8, scale=scale)
    for kept in (2, 3, 4):
        gap, bound = gap_and_bound(outputs, targets, kept)
        assert (gap <= bound + 1e-12).all()
        assert (gap > 1e-3 * bound).any()  # it is not zero


def test_for_scores_in_between_it_is_another_loss():
    """One learner puts c on the wrong class, the others are undecided: in closed form, and far apart as c grows."""
    num_learners, c = 5, 200.0
    outputs = torch.zeros(num_learners, 1, 2, dtype=torch.float64)
    outputs[0, 0, 1] = c
    target, log2 = torch.tensor([0]), math.log(2)
    for kept in range(1, num_learners + 1):
        share = kept / num_learners
        found = expected_loss(outputs, target, subset_weights(kept, num_learners)).item()
        assert found == pytest.approx(share * math.log1p(math.exp(c / kept)) + (1 - share) * log2, abs=1e-10)
        difference = found - objective(outputs, target, beta_of_kept(kept, num_learners)).item()
        limit = (num_learners - kept) * (kept - 1) / (kept * num_learners) * log2
        assert difference == pytest.approx(limit, abs=1e-10)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: beta_of_kept(6, 5), r"kept is 6; allowed is 1\.\.5"),
        (lambda: subset_weights(0, 5), r"kept is 0; allowed is 1\.\.5"),
        (lambda: beta_of_variance(0.1, 1), "num_learners is 1; allowed is at least 2"),
        (lambda: beta_of_variance(-0.1, 3), "variance is -0.1; allowed is at least 0"),
        (lambda: beta_of_dirichlet(0, 3), "concentration is 0; allowed is more than 0"),
    ],
)
def test_what_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()
