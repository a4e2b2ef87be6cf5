"""Training on the expectation of learner dropout, against a mean over subsets and against plain training."""

import itertools

import pytest
import torch
from drawing import CASES, draw

import jointens
from jointens import decompose
from jointens.analysis import train_on_expectation
from jointens.analysis.expected_dropout import ExpectedObjective

BETAS = torch.tensor([0.3, 1.0], dtype=torch.float64)


@pytest.mark.parametrize(("loss", "average"), CASES)
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_it_is_the_mean_over_all_subsets(loss, average, kept):
    outputs, targets = draw((2,), 4, 6, 3, loss, seed=0)
    options = {"loss": loss, "average": average}
    found = ExpectedObjective(**options, num_learners=4, kept_learners=kept)(outputs, targets, BETAS)
    subsets = map(list, itertools.combinations(range(4), kept))
    ensemble = torch.stack([decompose(outputs[:, of], targets, **options).ensemble for of in subsets]).mean(0)
    individual = decompose(outputs, targets, **options).individual
    torch.testing.assert_close(found, individual + BETAS[:, None] * (ensemble - individual), rtol=0, atol=1e-10)


def test_with_all_learners_it_is_plain_training(tiny):
    experiment = tiny(seeds=[0, 1], beta_vals=[0, 1])
    tests = train_on_expectation(experiment)
    plain = jointens.run(experiment, progress=False).tests()
    assert list(tests.columns) == list(plain.columns) and len(tests) == 2 * 2 * 2
    keys = ["beta", "seed", "checkpoint"]
    ours, theirs = (frame.sort_values(keys)[["ensemble", "train_ensemble"]].to_numpy() for frame in (tests, plain))
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_one_learner_is_independent_training(tiny):
    joint = train_on_expectation(tiny(seeds=[0], beta_vals=[1], kept_learners=1))
    independent = jointens.run(tiny(seeds=[0], beta_vals=[0]), progress=False).tests()
    assert joint["ensemble"].to_numpy() == pytest.approx(independent["ensemble"].to_numpy(), abs=1e-5)
