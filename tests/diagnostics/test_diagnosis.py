"""Tests of the diagnosis' numbers: identities, and each number against a second computation."""

import numpy as np
import pytest
import torch
from drawing import CASES, draws

import jointens
from jointens import debias, decompose, diagnose
from jointens.diagnostics import statistics
from jointens.theory import draw_batch


@pytest.fixture(autouse=True)
def few_subsets(monkeypatch):
    monkeypatch.setattr(statistics, "REPEATS", 10)


def test_debiasing_lowers_diversity_by_the_mean_squared_shift():
    """For squared error; the shifts are computed learner by learner, and the ensemble does not change."""
    generator = torch.Generator().manual_seed(0)
    outputs, targets = (torch.randn(shape, generator=generator).double() for shape in ((5, 40, 3), (40, 3)))
    outputs += torch.randn(5, 1, 3, generator=generator)  # a shift of each learner
    shifts = [learner.mean(0) - outputs.mean((0, 1)) for learner in outputs]
    before, after = (decompose(values, targets, loss="squared_error") for values in (outputs, debias(outputs)))
    fall = before.diversity.mean() - after.diversity.mean()
    torch.testing.assert_close(fall, torch.stack([shift @ shift for shift in shifts]).mean(), rtol=0, atol=1e-10)
    torch.testing.assert_close(debias(outputs).mean(0), outputs.mean(0), rtol=0, atol=1e-10)
    torch.testing.assert_close(after.ensemble, before.ensemble, rtol=0, atol=1e-10)
    bias = after.diversity.mean() / 39  # the bias of a share estimated from 40 examples
    share = ((fall - bias) / before.diversity.mean()).item()
    found = diagnose(outputs, targets, loss="squared_error")["constant shifts"]
    assert found.value == pytest.approx(share, abs=1e-10)


@draws
def test_debiased_learners_share_one_mean_and_debiasing_is_idempotent(lead, num_learners, batch, num_outputs, seed):
    outputs, _ = draw_batch((*lead, num_learners, batch, num_outputs), "squared_error", seed)
    found = debias(outputs)
    assert found.shape == outputs.shape
    mean = outputs.mean((-3, -2), keepdim=True).expand(*lead, num_learners, 1, num_outputs)
    torch.testing.assert_close(found.mean(-2, keepdim=True), mean, rtol=0, atol=1e-10)
    torch.testing.assert_close(debias(found), found, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.mean(-3), outputs.mean(-3), rtol=0, atol=1e-10)


def test_debiasing_keeps_the_gradient_and_scores_average_as_before():
    outputs, targets = draw_batch((3, 20, 4), "cross_entropy", seed=0)
    outputs.requires_grad_()
    debias(outputs)[0, 0, 0].backward()
    assert outputs.grad.sum() == pytest.approx(1) and outputs.grad[1].any()  # d debiased / d outputs: rows sum to 1
    finding = diagnose(debias(outputs), targets, loss="cross_entropy")["ensemble loss"]
    assert finding.value == pytest.approx(decompose(outputs, targets).ensemble.mean().item(), abs=1e-10)


def predictions(outputs, targets, loss):
    """Return predictions, class probabilities for classification, and what they should be."""
    if loss == "squared_error":
        return outputs, targets
    return outputs.softmax(-1), torch.eye(outputs.shape[-1], dtype=torch.float64)[targets]


@pytest.mark.parametrize(("loss", "average"), CASES)
@pytest.mark.parametrize("rows", [8192, 7])
def test_every_number_agrees_with_its_definition(loss, average, rows, monkeypatch):
    monkeypatch.setattr(statistics, "CHUNK_ROWS", rows)
    outputs, targets = draw_batch((4, 31, 3), loss, seed=3)
    others, _ = draw_batch((4, 31, 3), loss, seed=4, scale=1.0)
    report = diagnose(outputs, targets, loss=loss, average=average, reference=others)
    parts, reference = ([part.mean().item() for part in decompose(values, targets, loss=loss, average=average)]
                        for values in (outputs, others))  # fmt: skip
    names = ("individual loss", "ensemble loss", "diversity")
    assert [report[name].value for name in names] == pytest.approx(parts, abs=1e-10)
    predicted, right = predictions(outputs, targets, loss)
    errors = (predicted - right).numpy().reshape(4, -1)
    products = errors @ errors.T
    norms = np.sqrt(np.diag(products))
    np.testing.assert_allclose(report.error_correlations, products / np.outer(norms, norms), atol=1e-10)
    pooled = (products.sum() - np.trace(products)) / (3 * np.trace(products))
    assert report["error correlation"].value == pytest.approx(pooled, abs=1e-10)
    deviations = predicted - predicted.mean(0)
    squares = deviations.mean(1).square() - deviations.var(1) / 31  # the squared mean of 31 examples, without bias
    share = squares.sum() / deviations.square().mean(1).sum()
    assert report["constant shifts"].value == pytest.approx(share.item(), abs=1e-10)
    extra, cost = parts[2] - reference[2], parts[0] - reference[0]
    assert report["diversity, ratio to reference"].value == pytest.approx(parts[2] / reference[2], abs=1e-10)
    assert report["paid back"].value == pytest.approx(cost / extra, abs=1e-10)
    assert report["ensemble loss, below reference"].value == pytest.approx(reference[1] - parts[1], abs=1e-10)
    for finding in report.findings:
        assert finding.low <= finding.value <= finding.high


@draws
def test_ensemble_loss_follows_from_individual_loss_and_error_correlation(lead, num_learners, batch, num_outputs, seed):
    outputs, targets = draw_batch((num_learners + 1, batch + 9, num_outputs), "squared_error", seed)
    report, number = diagnose(outputs, targets, loss="squared_error"), num_learners + 1
    individual, ensemble, correlation = (
        report[name].value for name in ("individual loss", "ensemble loss", "error correlation")
    )
    assert ensemble == pytest.approx(individual * (1 + (number - 1) * correlation) / number, abs=1e-10)
    assert report["diversity"].value == pytest.approx(individual - ensemble, abs=1e-10)


def test_codependence_is_the_mean_over_all_subsets():
    outputs, targets = draw_batch((5, 40, 2), "squared_error", seed=0)
    found, diversity = diagnose(outputs, targets, loss="squared_error"), outputs.var(0, correction=0).sum(-1).mean()
    for drop, factor in ((1, 1 / 16), (2, 2 / 12), (3, 3 / 8)):
        expected = (diversity * factor).item()
        assert found[f"codependence, without {drop} of 5"].value == pytest.approx(expected, abs=1e-10)
    assert "fixed multiple of diversity" in found["codependence, without 1 of 5"].sentence


def test_equal_inputs_give_an_equal_report():
    outputs, targets = draw_batch((4, 30, 3), "cross_entropy", seed=0)
    first = diagnose(outputs, targets, loss="cross_entropy")
    torch.rand(5)
    second = jointens.diagnose(outputs.clone(), targets.clone(), loss="cross_entropy")
    assert str(first) == str(second) and first.findings == second.findings
    assert first == second


def test_many_examples_are_processed_in_several_chunks(monkeypatch):
    monkeypatch.setattr(statistics, "CHUNK_NUMBERS", 2**16)
    outputs, targets = draw_batch((20, 2000, 10), "cross_entropy", seed=0)
    assert len(list(statistics.chunks(outputs))) == 7
    report, parts = diagnose(outputs.float(), targets, loss="cross_entropy"), decompose(outputs, targets)
    for name, part in zip(("individual loss", "ensemble loss", "diversity"), parts, strict=True):
        error = part.std().item() / 2000**0.5
        finding = report[name]
        assert finding.value == pytest.approx(part.mean().item(), rel=1e-5)
        assert finding.high - finding.low == pytest.approx(2 * 1.96 * error, rel=0.2)
    drops = [report[f"codependence, without {drop} of 20"].value for drop in (4, 8, 12)]
    assert 0 < drops[0] < drops[1] < drops[2]


def test_the_share_of_constant_shifts_is_unbiased():
    """100 ensembles of 12 examples, whose uncorrected share would be too large by (1 − share) / 11."""
    generator = torch.Generator().manual_seed(0)
    for shifts in (torch.zeros(5), torch.tensor([1.0, -1.0, 0.5, -0.5, 0.0])):
        squares = shifts.square().sum().item()
        share, found = squares / (squares + 4), []
        for _ in range(100):
            outputs, targets = (torch.randn(shape, generator=generator) for shape in ((5, 12), (12,)))
            finding = diagnose(outputs + shifts[:, None], targets, loss="squared_error")["constant shifts"]
            found.append([finding.value, finding.low, finding.high])
        value, low, high = np.array(found).T
        assert value.mean() == pytest.approx(share, abs=0.025) and np.mean((low <= share) & (share <= high)) >= 0.88
    # For the planted shifts: the resamples' shares are not larger.
    assert (low + high).mean() / 2 == pytest.approx(value.mean(), abs=0.025)


@pytest.mark.parametrize(("loss", "average"), CASES)
@pytest.mark.parametrize("number", [3, 6])
def test_the_jackknife_leaves_each_learner_out(loss, average, number):
    outputs, targets = draw_batch((number, 25, 3), loss, seed=number)
    others = [[one for one in range(number) if one != left] for left in range(number)]
    values = [diagnose(outputs[subset], targets, loss=loss)["error correlation"].value for subset in others]
    expected = (np.var(values) * (number - 1)) ** 0.5
    found = statistics.compute_statistics(statistics.EnsembleOutputs(outputs, targets, loss, average))
    assert found.correlation_deviation == pytest.approx(expected, abs=1e-10)
    two = statistics.compute_statistics(statistics.EnsembleOutputs(outputs[:2], targets, loss, average))
    assert two.correlation_deviation == float("inf")
