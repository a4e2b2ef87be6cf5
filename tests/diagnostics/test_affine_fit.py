"""Tests of the affine fit: agreement with least squares, two-fold scoring, and the finding "systematic drift"."""

import numpy as np
import pytest
import torch

from jointens import diagnose
from jointens.diagnostics import statistics
from jointens.diagnostics.affine_fit import CrossValidatedAffineFit


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fitted(ensemble, deviations, fold, size):
    fit = CrossValidatedAffineFit()
    for at in torch.arange(len(fold)).split(size):
        fit.update(ensemble[at], deviations[at], fold[at])
    return fit


@pytest.mark.parametrize("size", [41, 10])
@pytest.mark.parametrize("offset", [0, 1e6])
def test_residuals_are_those_of_the_line_fitted_to_the_other_fold(size, offset):
    ensemble, noise = normal(41, 2), normal(41, 3, 2, seed=1)
    deviations = normal(3, 2, seed=2) + normal(3, 2, seed=3) * ensemble.unsqueeze(1) + noise
    fold = torch.arange(41) % 2
    expected = torch.empty_like(deviations)
    for learner in range(3):
        for output in range(2):
            for index in (0, 1):
                on, scored = fold == 1 - index, fold == index
                line = np.polyfit(ensemble[on, output], deviations[on, learner, output], 1)
                fitted_to = ensemble[on, output]  # outside of this range the line is constant
                clamped = ensemble[scored, output].clamp(fitted_to.min(), fitted_to.max())
                line_values = torch.from_numpy(np.polyval(line, clamped))
                expected[scored, learner, output] = deviations[scored, learner, output] - line_values
    found = fitted(ensemble + offset, deviations, fold, size).held_out_residuals(ensemble + offset, deviations, fold)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10 if not offset else 1e-8)


def test_a_constant_ensemble_leaves_the_deviations_from_their_mean():
    ensemble, deviations, fold = torch.full((8, 1), 3.0).double(), normal(8, 2, 1), torch.arange(8) % 2
    found = fitted(ensemble, deviations, fold, 3).held_out_residuals(ensemble, deviations, fold)
    for index in (0, 1):
        expected = deviations[fold == index] - deviations[fold != index].mean(0)
        torch.testing.assert_close(found[fold == index], expected, rtol=0, atol=1e-12)


def diagnosed_drift(outputs, targets, **how):
    return diagnose(outputs, targets, loss="squared_error", **how)["systematic drift"]


def test_learners_that_stretch_and_shift_one_prediction_drift_fully():
    answer, targets = normal(50, 2).round().clamp(-1, 1), normal(50, 2, seed=1)  # both folds contain both extremes
    outputs = torch.stack([2 * answer + 1, 0.5 * answer - 3, -answer + normal(2, seed=2)])
    drift = diagnosed_drift(outputs, targets)
    assert drift.value == pytest.approx(1, abs=1e-10) == drift.low and drift.alarm
    assert "100 %" in drift.sentence and drift.text == "100.0 [100.0, 100.0] %"


def test_the_share_of_a_known_mixture():
    """A stretch by s of an answer with variance 1 beside noise of variance v: s² / (s² + v)."""
    answer, noise = normal(4000), normal(2, 4000, seed=1)
    noise = noise - noise.mean(0)  # zero-sum
    stretch = torch.tensor([[0.7], [-0.7]])
    assert noise[0].var() == pytest.approx(0.5, rel=0.1)
    found = diagnosed_drift(answer + stretch * answer + noise, normal(4000, seed=2))
    assert found.value == pytest.approx(0.49 / (0.49 + 0.5), abs=0.04) and found.low < found.value < found.high


def test_noise_does_not_drift_even_with_many_outputs():
    outputs, targets = normal(5, 60, 8), normal(60, 8, seed=1)
    drift = diagnosed_drift(outputs, targets)
    assert drift.value < 0 and drift.high < 0.1 and not drift.alarm  # a fit to noise does not generalise
    assert "below zero: worse than nothing" in drift.sentence


def test_identical_learners_do_not_drift():
    answer, targets = normal(30), normal(30, seed=1)
    report = diagnose(answer.expand(4, -1), targets, loss="squared_error")
    for name in ("systematic drift", "constant shifts"):
        assert report[name].value == 0 and not report[name].alarm
    assert report["error correlation"].value == pytest.approx(1, abs=1e-12) and report.alarms == ()


def test_the_size_of_chunks_does_not_matter(monkeypatch):
    outputs, targets = normal(4, 53, 3), normal(53, 3, seed=1)
    in_one_chunk = diagnosed_drift(outputs, targets).value
    monkeypatch.setattr(statistics, "CHUNK_ROWS", 7)
    assert diagnosed_drift(outputs, targets).value == pytest.approx(in_one_chunk, abs=1e-12)


def test_one_outlier_does_not_dominate():
    """Extrapolating a random slope to a mean prediction of a million would give residuals beyond the deviations."""
    outputs, targets = normal(4, 60), normal(60, seed=1)
    outputs[:, 7] += 1e6
    drift = diagnosed_drift(outputs, targets)
    assert -0.5 < drift.value < 0.3 and not drift.alarm
