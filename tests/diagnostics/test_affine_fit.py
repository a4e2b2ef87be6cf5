"""Systematic drift: the lines are those of least squares, fitted on one half and scored on the other."""

import numpy as np
import pytest
import torch

from jointens import diagnose
from jointens.diagnostics import statistics
from jointens.diagnostics.affine_fit import AffineFit


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fitted(ensemble, deviations, half, size):
    fit = AffineFit()
    for at in torch.arange(len(half)).split(size):
        fit.add(ensemble[at], deviations[at], half[at])
    return fit


@pytest.mark.parametrize("size", [41, 10])
@pytest.mark.parametrize("offset", [0, 1e6])
def test_residuals_are_those_of_a_line_through_the_other_half(size, offset):
    ensemble, noise = drawn(41, 2), drawn(41, 3, 2, seed=1)
    deviations = drawn(3, 2, seed=2) + drawn(3, 2, seed=3) * ensemble.unsqueeze(1) + noise
    half = torch.arange(41) % 2
    expected = torch.empty_like(deviations)
    for learner in range(3):
        for output in range(2):
            for part in (0, 1):
                on, scored = half == 1 - part, half == part
                line = np.polyfit(ensemble[on, output], deviations[on, learner, output], 1)
                fitted_to = ensemble[on, output]  # beyond which the line goes on level
                inside = ensemble[scored, output].clamp(fitted_to.min(), fitted_to.max())
                told = torch.from_numpy(np.polyval(line, inside))
                expected[scored, learner, output] = deviations[scored, learner, output] - told
    found = fitted(ensemble + offset, deviations, half, size).residuals(ensemble + offset, deviations, half)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10 if not offset else 1e-8)


def test_an_ensemble_that_always_says_the_same_leaves_the_deviations_from_their_mean():
    ensemble, deviations, half = torch.full((8, 1), 3.0).double(), drawn(8, 2, 1), torch.arange(8) % 2
    found = fitted(ensemble, deviations, half, 3).residuals(ensemble, deviations, half)
    for part in (0, 1):
        expected = deviations[half == part] - deviations[half != part].mean(0)
        torch.testing.assert_close(found[half == part], expected, rtol=0, atol=1e-12)


def share(outputs, targets, **how):
    return diagnose(outputs, targets, loss="squared_error", **how)["systematic drift"]


def test_learners_that_stretch_and_shift_the_same_answer_drift_wholly():
    answer, targets = drawn(50, 2).round().clamp(-1, 1), drawn(50, 2, seed=1)  # either half has both ends
    outputs = torch.stack([2 * answer + 1, 0.5 * answer - 3, -answer + drawn(2, seed=2)])
    drift = share(outputs, targets)
    assert drift.value == pytest.approx(1, abs=1e-10) == drift.low and drift.alarm
    assert "100 %" in drift.sentence and drift.text == "100.0 [100.0, 100.0] %"


def test_the_share_of_a_known_mixture():
    """A stretch by s of an answer with variance 1 beside noise of variance v: s² / (s² + v)."""
    answer, noise = drawn(4000), drawn(2, 4000, seed=1)
    noise = noise - noise.mean(0)  # zero-sum
    stretch = torch.tensor([[0.7], [-0.7]])
    assert noise[0].var() == pytest.approx(0.5, rel=0.1)
    found = share(answer + stretch * answer + noise, drawn(4000, seed=2))
    assert found.value == pytest.approx(0.49 / (0.49 + 0.5), abs=0.04) and found.low < found.value < found.high


def test_noise_does_not_drift_and_an_equal_share_is_not_made_up_by_many_outputs():
    outputs, targets = drawn(5, 60, 8), drawn(60, 8, seed=1)
    drift = share(outputs, targets)
    assert drift.value < 0 and drift.high < 0.1 and not drift.alarm  # what fits by chance does not fit the other half
    assert "below zero: worse than nothing" in drift.sentence


def test_learners_that_are_all_the_same_do_not_drift():
    answer, targets = drawn(30), drawn(30, seed=1)
    report = diagnose(answer.expand(4, -1), targets, loss="squared_error")
    for name in ("systematic drift", "constant shifts"):
        assert report[name].value == 0 and not report[name].alarm
    assert report["error correlation"].value == pytest.approx(1, abs=1e-12) and report.alarms == ()


def test_chunks_change_nothing(monkeypatch):
    outputs, targets = drawn(4, 53, 3), drawn(53, 3, seed=1)
    whole = share(outputs, targets).value
    monkeypatch.setattr(statistics, "CHUNK_ROWS", 7)
    assert share(outputs, targets).value == pytest.approx(whole, abs=1e-12)


def test_one_outlier_does_not_decide():
    """A slope by chance, followed to a mean prediction of a million, would leave more unexplained than there is."""
    outputs, targets = drawn(4, 60), drawn(60, seed=1)
    outputs[:, 7] += 1e6
    drift = share(outputs, targets)
    assert -0.5 < drift.value < 0.3 and not drift.alarm
