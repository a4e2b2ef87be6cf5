"""Tests of dropping learners: the expectation over all subsets, and random subsets against enumerating all of them."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from drawing import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp as scipy_logsumexp

from jointens import decompose, drop_learners, ensemble_output
from jointens.diagnostics import codependence, expected_increase, statistics
from jointens.diagnostics.codependence import SubsetLosses
from jointens.losses import decompose_unchecked
from jointens.theory import draw_batch


def test_the_expected_increase_is_a_multiple_of_diversity():
    """Over all subsets, for every number of learners and of kept learners; the targets have no effect."""
    generator = torch.Generator().manual_seed(0)
    for num_learners in range(2, 8):
        outputs, targets = (torch.randn(*lead, 10, 3, generator=generator).double() for lead in ((num_learners,), ()))
        for values in (targets, 100 * targets - 7):
            full = decompose(outputs, values, loss="squared_error")
            for keep in range(1, num_learners + 1):
                subsets = [outputs[list(subset)] for subset in combinations(range(num_learners), keep)]
                losses = [decompose(subset, values, loss="squared_error").ensemble for subset in subsets]
                increase = torch.stack(losses).mean(0) - full.ensemble
                expected = expected_increase(full.diversity, num_learners, keep)
                torch.testing.assert_close(increase, expected, rtol=0, atol=1e-9)
                factor = (num_learners - keep) / (keep * (num_learners - 1))
                torch.testing.assert_close(expected, full.diversity * factor, rtol=1e-14, atol=0)


def all_losses(outputs, targets, keep, loss, average):
    """Compute the loss of each example for every subset, `(subsets, N)`, and for all learners, `(N,)`."""
    decomposed = "cross_entropy" if loss == "zero_one" else loss

    def ensemble_loss(learners):
        if loss == "zero_one":
            return (ensemble_output(learners, average=average).argmax(-1) != targets).double()
        return decompose(learners, targets, loss=decomposed, average=average).ensemble

    subsets = combinations(range(len(outputs)), keep)
    return torch.stack([ensemble_loss(outputs[list(subset)]) for subset in subsets]), ensemble_loss(outputs)


@pytest.mark.parametrize(("loss", "average"), [*CASES, *(("zero_one", average) for _, average in CASES[:3])])
@pytest.mark.parametrize("keep", [1, 3, 4])
def test_random_subsets_estimate_the_mean_over_all_subsets(loss, average, keep):
    outputs, targets = draw_batch((5, 30, 4), "cross_entropy" if loss == "zero_one" else loss, seed=keep)
    subsets, full_loss = all_losses(outputs, targets, keep, loss, average)
    expected = (subsets.mean(0) - full_loss).mean().item()
    repeats = 400
    error = (subsets.var(0, correction=0).mean() / len(targets) / repeats).sqrt().item()
    generator = torch.Generator().manual_seed(1)
    options = {"keep": keep, "repeats": repeats, "generator": generator, "loss": loss, "average": average}
    found = drop_learners(outputs, targets, **options)
    assert isinstance(found, float) and abs(found - expected) < 4 * error
    assert keep > 1 or loss == "zero_one" or 4 * error < expected  # the test can distinguish it from zero
    if loss == "squared_error":
        diversity = decompose(outputs, targets, loss=loss).diversity.mean()
        assert abs(found - expected_increase(diversity, 5, keep)) < 4 * error


@pytest.mark.parametrize(("loss", "average"), [*CASES, *(("zero_one", average) for _, average in CASES[:3])])
def test_dropping_none_or_identical_learners_changes_nothing(loss, average):
    outputs, targets = draw_batch((4, 20, 3), "cross_entropy" if loss == "zero_one" else loss, seed=0)
    options = {"loss": loss, "average": average}
    assert drop_learners(outputs, targets, keep=4, repeats=2, **options) == pytest.approx(0, abs=1e-12)
    assert drop_learners(outputs[:1], targets, keep=1, repeats=2, **options) == pytest.approx(0, abs=1e-12)
    same = outputs[:1].expand(4, -1, -1)
    assert drop_learners(same, targets, keep=2, repeats=2, **options) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("loss", "average"), CASES)
def test_losses_of_subsets_are_those_of_the_decomposition(loss, average):
    """Per-example losses are implemented twice, for speed: `SubsetLosses` and `decompose` must agree."""
    outputs, targets = draw_batch((2, 3, 20, 4), loss, seed=2)
    targets = targets[0]
    subsets = SubsetLosses(outputs, targets, [loss], average)
    parts = decompose_unchecked(outputs, targets.expand(2, *targets.shape), loss=loss, average=average)
    torch.testing.assert_close(subsets.full_losses[loss].T, parts.ensemble, rtol=0, atol=1e-12)
    alone = SubsetLosses(outputs.flatten(0, 1).unsqueeze(1), targets, [loss], average).full_losses[loss]  # (N, 2·3)
    torch.testing.assert_close(alone.T.view(2, 3, 20).mean(1), parts.individual, rtol=0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    lead=st.sampled_from([(3,), (2, 2)]),
    num_learners=st.integers(1, 5),
    batch=st.integers(1, 5),
    num_outputs=st.integers(1, 4),
    case=st.sampled_from(CASES),
    data=st.data(),
)
def test_ensembles_along_leading_axes_share_their_subsets(lead, num_learners, batch, num_outputs, case, data):
    loss, average = case
    keep = data.draw(st.integers(1, num_learners))
    outputs, _ = draw_batch((*lead, num_learners, batch, num_outputs), loss, seed=0)
    targets = draw_batch((1, batch, num_outputs), loss, seed=1)[1]

    def increase(outputs_of_ensembles):
        options = {"keep": keep, "repeats": 3, "generator": torch.Generator().manual_seed(5)}
        return drop_learners(outputs_of_ensembles, targets, loss=loss, average=average, **options)

    found = increase(outputs)
    assert tuple(found.shape) == lead and found.dtype == torch.float64
    one_by_one = [increase(ensemble) for ensemble in outputs.flatten(0, len(lead) - 1)]
    one_by_one = torch.tensor(one_by_one, dtype=torch.float64)
    torch.testing.assert_close(found.flatten(), one_by_one, rtol=0, atol=1e-10)


def test_the_generator_sets_the_subsets_and_torchs_own_is_the_default():
    outputs, targets = draw_batch((5, 10, 2), "squared_error", seed=0)
    one, same, other = (
        drop_learners(outputs, targets, keep=2, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert one == same != other
    torch.manual_seed(0)
    assert drop_learners(outputs, targets, keep=2) == one


def test_the_subset_is_drawn_anew_for_each_example():
    """With one repeat, the losses of identical examples differ."""
    outputs = torch.arange(3.0).double().reshape(3, 1, 1).expand(3, 50, 1)
    losses = SubsetLosses(outputs, torch.zeros(50, 1).double(), ["squared_error"], "scores")
    increase = losses.mean_increase(1, 1, torch.Generator().manual_seed(0))["squared_error"]
    assert increase.shape == (50,) and set(increase.tolist()) == {-1.0, 0.0, 3.0}  # 0, 1 or 4, minus 1 for all learners


def test_chunks_of_rows_and_of_examples_do_not_matter(monkeypatch):
    outputs, targets = draw_batch((5, 40, 3), "cross_entropy", seed=0)
    subsets, full_loss = all_losses(outputs, targets, 3, "cross_entropy", "scores")
    expected = (subsets.mean(0) - full_loss).mean().item()
    error = (subsets.var(0).mean() / 40 / 100).sqrt().item()
    for patched, size in ((codependence, "ROWS"), 170), ((statistics, "CHUNK_ROWS"), 17):
        monkeypatch.setattr(*patched, size)
        generator = torch.Generator().manual_seed(0)
        found = drop_learners(outputs, targets, keep=3, repeats=100, generator=generator, loss="cross_entropy")
        assert abs(found - expected) < 4 * error < abs(expected)


@pytest.mark.parametrize("average", ["scores", "probabilities"])
def test_large_logits_do_not_underflow(average):
    """Keep one of two learners: one is right, the other is wrong by 600 nats."""
    outputs = torch.tensor([[[300.0, -300.0]], [[-300.0, 300.0]]]).expand(2, 50, 2)
    targets = torch.zeros(50, dtype=torch.int64)
    losses = SubsetLosses(outputs.double(), targets, ["cross_entropy"], average)
    increase = losses.mean_increase(1, 1, torch.Generator().manual_seed(0))["cross_entropy"]
    assert {round(value + math.log(2)) for value in increase.tolist()} == {0, 600}  # log 2 is the loss of both


def test_learners_thousands_of_nats_apart_are_averaged_by_their_logarithms():
    """Log-probabilities as those of bagged naive Bayes: the loss without the learner that knows is in the thousands."""
    rng = np.random.default_rng(0)
    outputs, targets = -rng.exponential(2000, size=(5, 200, 3)), rng.integers(3, size=200)
    outputs = outputs - scipy_logsumexp(outputs, axis=-1, keepdims=True)
    own = np.take_along_axis(outputs, targets[None, :, None], -1)[..., 0]  # (M, N)

    def loss(learners):  # log Σ p of the classes is 0
        return np.log(len(learners)) - scipy_logsumexp(own[list(learners)], axis=0)

    for keep in (1, 2, 4):
        increases = np.stack([loss(subset) for subset in combinations(range(5), keep)]) - loss(range(5))  # (S, N)
        subsets = SubsetLosses(torch.from_numpy(outputs), torch.from_numpy(targets), ["cross_entropy"], "probabilities")
        found = subsets.mean_increase(keep, 1, torch.Generator().manual_seed(0))["cross_entropy"].numpy()
        assert np.abs(increases - found).min(0).max() < 1e-9  # of each example that of one of the subsets
        error = (increases.var(0).mean() / 200 / 400) ** 0.5
        options = {"repeats": 400, "loss": "cross_entropy", "average": "probabilities"}
        generator = torch.Generator().manual_seed(1)
        total = drop_learners(outputs, targets, keep=keep, generator=generator, **options)
        assert abs(total - increases.mean()) < 4 * error and increases.mean() > 30


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": 0}, "keep is 0; allowed is 1 to 3, the number of learners"),
        ({"keep": 4}, "keep is 4; allowed is 1 to 3, the number of learners"),
        ({"keep": 1.5}, "keep is 1.5; allowed is 1 to 3, the number of learners"),
        ({"keep": None}, "keep is None; allowed is 1 to 3, the number of learners"),
        ({"repeats": 0}, "repeats is 0; allowed is a whole number, at least 1"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"average": "mean"}, "unknown average 'mean'"),
        ({"loss": "zero_one"}, "targets (10, 2) are not one-hot; allowed are classes (10,)"),
    ],
)
def test_bad_input_is_rejected_in_one_line(changes, message):
    outputs, targets = draw_batch((3, 10, 2), "squared_error", seed=0)
    with pytest.raises(ValueError) as error:
        drop_learners(outputs, targets, **{"keep": 1, **changes})
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_targets_are_shared_by_all_ensembles():
    outputs, targets = draw_batch((4, 3, 10, 2), "squared_error", seed=0)
    with pytest.raises(ValueError, match=r"targets have shape \(4, 10, 2\)"):
        drop_learners(outputs, targets, keep=1)


@pytest.mark.parametrize("loss", ["cross_entropy", "zero_one"])
def test_probabilities_are_rejected_as_logits(loss):
    outputs, targets = draw_batch((2, 3, 10, 4), "cross_entropy", seed=0)
    message = "^outputs look like probabilities; allowed are logits, or probabilities with outputs_are='probabilities'$"
    with pytest.raises(ValueError, match=message):
        drop_learners(outputs.softmax(-1), targets[0], keep=1, loss=loss)
    found = [
        drop_learners(values, targets[0], keep=1, loss=loss, generator=torch.Generator().manual_seed(0), **options)
        for values, options in (
            (outputs, {}),
            (outputs.softmax(-1).log(), {}),
            (outputs.softmax(-1), {"outputs_are": "probabilities"}),
        )
    ]
    assert found[0].shape == (2,)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-12)
