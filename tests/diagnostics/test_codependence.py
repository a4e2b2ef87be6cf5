"""Dropping learners: the expectation over all subsets, and the drawn version against all of them, one by one."""

import math
from itertools import combinations

import pytest
import torch
from drawing import CASES, draw
from hypothesis import given, settings
from hypothesis import strategies as st

from jointens import decompose, drop_learners, ensemble_output
from jointens.diagnostics import codependence, statistics
from jointens.diagnostics.codependence import expected_increase


def test_the_expected_increase_is_a_multiple_of_diversity():
    """Over all subsets, for every number of learners and of those that stay; the targets have no part in it."""
    chance = torch.Generator().manual_seed(0)
    for num_learners in range(2, 8):
        outputs, targets = (torch.randn(*lead, 10, 3, generator=chance).double() for lead in ((num_learners,), ()))
        for values in (targets, 100 * targets - 7):
            whole = decompose(outputs, values, loss="squared_error")
            for keep in range(1, num_learners + 1):
                subsets = [outputs[list(subset)] for subset in combinations(range(num_learners), keep)]
                losses = [decompose(subset, values, loss="squared_error").ensemble for subset in subsets]
                increase = torch.stack(losses).mean(0) - whole.ensemble
                expected = expected_increase(whole.diversity, num_learners, keep)
                torch.testing.assert_close(increase, expected, rtol=0, atol=1e-9)
                factor = (num_learners - keep) / (keep * (num_learners - 1))
                torch.testing.assert_close(expected, whole.diversity * factor, rtol=1e-14, atol=0)


def all_losses(outputs, targets, keep, loss, average):
    """The loss of each example for every subset, `(subsets, N)`, and that of all learners, `(N,)`."""
    of = "cross_entropy" if loss == "zero_one" else loss

    def told(some):
        if loss == "zero_one":
            return (ensemble_output(some, average=average).argmax(-1) != targets).double()
        return decompose(some, targets, loss=of, average=average).ensemble

    subsets = combinations(range(len(outputs)), keep)
    return torch.stack([told(outputs[list(subset)]) for subset in subsets]), told(outputs)


@pytest.mark.parametrize(("loss", "average"), [*CASES, *(("zero_one", of) for _, of in CASES[:3])])
@pytest.mark.parametrize("keep", [1, 3, 4])
def test_what_is_drawn_is_the_mean_over_all_subsets(loss, average, keep):
    outputs, targets = draw((), 5, 30, 4, "cross_entropy" if loss == "zero_one" else loss, seed=keep)
    subsets, whole = all_losses(outputs, targets, keep, loss, average)
    expected = (subsets.mean(0) - whole).mean().item()
    repeats = 400
    error = (subsets.var(0, correction=0).mean() / len(targets) / repeats).sqrt().item()
    chance = torch.Generator().manual_seed(1)
    how = {"keep": keep, "repeats": repeats, "generator": chance, "loss": loss, "average": average}
    found = drop_learners(outputs, targets, **how)
    assert isinstance(found, float) and abs(found - expected) < 4 * error
    assert keep > 1 or loss == "zero_one" or 4 * error < expected  # it is told apart from none
    if loss == "squared_error":
        diversity = decompose(outputs, targets, loss=loss).diversity.mean()
        assert abs(found - expected_increase(diversity, 5, keep)) < 4 * error


@pytest.mark.parametrize(("loss", "average"), [*CASES, *(("zero_one", of) for _, of in CASES[:3])])
def test_dropping_none_or_all_the_same_changes_nothing(loss, average):
    outputs, targets = draw((), 4, 20, 3, "cross_entropy" if loss == "zero_one" else loss, seed=0)
    how = {"loss": loss, "average": average}
    assert drop_learners(outputs, targets, keep=4, repeats=2, **how) == pytest.approx(0, abs=1e-12)
    assert drop_learners(outputs[:1], targets, keep=1, repeats=2, **how) == pytest.approx(0, abs=1e-12)
    same = outputs[:1].expand(4, -1, -1)
    assert drop_learners(same, targets, keep=2, repeats=2, **how) == pytest.approx(0, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    lead=st.sampled_from([(3,), (2, 2)]),
    num_learners=st.integers(1, 5),
    batch=st.integers(1, 5),
    num_outputs=st.integers(1, 4),
    case=st.sampled_from(CASES),
    data=st.data(),
)
def test_ensembles_along_leading_axes_are_dropped_from_alike(lead, num_learners, batch, num_outputs, case, data):
    loss, average = case
    keep = data.draw(st.integers(1, num_learners))
    outputs, _ = draw(lead, num_learners, batch, num_outputs, loss, seed=0)
    targets = draw((), 1, batch, num_outputs, loss, seed=1)[1]

    def told(of):
        how = {"keep": keep, "repeats": 3, "generator": torch.Generator().manual_seed(5)}
        return drop_learners(of, targets, loss=loss, average=average, **how)

    found = told(outputs)
    assert tuple(found.shape) == lead and found.dtype == torch.float64
    one_by_one = torch.tensor([told(of) for of in outputs.flatten(0, len(lead) - 1)], dtype=torch.float64)
    torch.testing.assert_close(found.flatten(), one_by_one, rtol=0, atol=1e-10)


def test_the_generator_decides_and_torchs_own_is_the_default():
    outputs, targets = draw((), 5, 10, 2, "squared_error", seed=0)
    one, same, other = (
        drop_learners(outputs, targets, keep=2, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert one == same != other
    torch.manual_seed(0)
    assert drop_learners(outputs, targets, keep=2) == one


def test_the_subset_is_drawn_anew_for_each_example():
    """One repeat, and examples that are all the same: their losses differ."""
    outputs = torch.arange(3.0).double().reshape(3, 1, 1).expand(3, 50, 1)
    drawn = codependence.Dropping(outputs, torch.zeros(50, 1).double(), ["squared_error"], "scores")
    increase = drawn.increase(1, 1, torch.Generator().manual_seed(0))["squared_error"]
    assert increase.shape == (50,) and set(increase.tolist()) == {-1.0, 0.0, 3.0}  # 0, 1 or 4, less the 1 of all


def test_chunks_of_rows_and_of_examples_do_not_matter(monkeypatch):
    outputs, targets = draw((), 5, 40, 3, "cross_entropy", seed=0)
    subsets, whole = all_losses(outputs, targets, 3, "cross_entropy", "scores")
    expected = (subsets.mean(0) - whole).mean().item()
    error = (subsets.var(0).mean() / 40 / 100).sqrt().item()
    for patched, size in ((codependence, "ROWS"), 170), ((statistics, "CHUNK_ROWS"), 17):
        monkeypatch.setattr(*patched, size)
        chance = torch.Generator().manual_seed(0)
        found = drop_learners(outputs, targets, keep=3, repeats=100, generator=chance, loss="cross_entropy")
        assert abs(found - expected) < 4 * error < abs(expected)


@pytest.mark.parametrize("average", ["scores", "probabilities"])
def test_large_logits_do_not_underflow(average):
    """Either learner alone: one is right, the other is wrong by 600 nats."""
    outputs = torch.tensor([[[300.0, -300.0]], [[-300.0, 300.0]]]).expand(2, 50, 2)
    targets = torch.zeros(50, dtype=torch.int64)
    drawn = codependence.Dropping(outputs.double(), targets, ["cross_entropy"], average)
    increase = drawn.increase(1, 1, torch.Generator().manual_seed(0))["cross_entropy"] + math.log(2)  # of both
    assert {round(value) for value in increase.tolist()} == {0, 600}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"keep": 0}, "keep is 0; allowed is 1 to 3, the number of learners"),
        ({"keep": 4}, "keep is 4; allowed is 1 to 3, the number of learners"),
        ({"keep": 1.5}, "keep is 1.5; allowed is 1 to 3, the number of learners"),
        ({"keep": None}, "keep is None; allowed is 1 to 3, the number of learners"),
        ({"repeats": 0}, "repeats is 0; allowed is a whole number, at least 1"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"average": "mean"}, "unknown average 'mean'"),
        ({"loss": "zero_one"}, "targets have shape (10, 2); outputs (3, 10, 2) allow (10,)"),
    ],
)
def test_what_cannot_be_dropped_is_one_line(changes, told):
    outputs, targets = draw((), 3, 10, 2, "squared_error", seed=0)
    with pytest.raises(ValueError) as error:
        drop_learners(outputs, targets, **{"keep": 1, **changes})
    assert str(error.value).startswith(told) and "\n" not in str(error.value)


def test_targets_are_shared_by_all_ensembles():
    outputs, targets = draw((4,), 3, 10, 2, "squared_error", seed=0)
    with pytest.raises(ValueError, match=r"targets have shape \(4, 10, 2\)"):
        drop_learners(outputs, targets, keep=1)


@pytest.mark.parametrize("loss", ["cross_entropy", "zero_one"])
def test_probabilities_are_no_logits(loss):
    outputs, targets = draw((2,), 3, 10, 4, "cross_entropy", seed=0)
    told = "^outputs look like probabilities; allowed are logits: take their logarithm$"
    with pytest.raises(ValueError, match=told):
        drop_learners(outputs.softmax(-1), targets[0], keep=1, loss=loss)
    assert drop_learners(outputs.softmax(-1).log(), targets[0], keep=1, loss=loss).shape == (2,)
