"""Tests of outputs that are no logits of each class: probabilities of any precision, and single logits."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from jointens import decompose, ensemble_output
from jointens.losses import AVERAGES, decompose_unchecked

REFUSED = "outputs look like probabilities; allowed are logits, or probabilities with outputs_are='probabilities'"
PER_CENT = REFUSED.replace("like probabilities", "like per cent").replace("or prob", "or a hundredth of them as prob")


def case(num_classes=10, scale=1.0):
    """Draw logits (5, 200, K) and classes that they know something about; returns them and the learners' mean NLL."""
    rng = np.random.default_rng(0)
    classes = rng.integers(num_classes, size=200)
    logits = scale * (rng.normal(size=(5, 200, num_classes)) + np.eye(num_classes)[classes])
    return logits, classes, mean_nll(softmax(logits, -1), classes)


def mean_nll(probabilities, classes):
    return -np.log(np.take_along_axis(probabilities, classes[None, :, None], -1)).mean()


def to_bfloat16(p):
    return torch.from_numpy(p).bfloat16()


# What people have, and how far the loss may be from that of the exact probabilities.
FORMS = {
    "float64": (lambda p: p, 1e-12),
    "float32": (np.float32, 1e-6),
    "float16": (np.float16, 1e-4),
    "bfloat16": (to_bfloat16, 1e-3),
    "bfloat16 in float64": (lambda p: to_bfloat16(p).double(), 1e-3),
    "three decimals": (lambda p: p.round(3), 1e-3),
    "two decimals": (lambda p: p.round(2), 5e-3),
    "clipped": (lambda p: p.clip(0.01, 0.99), 5e-3),
    "sums of 0.985": (lambda p: 0.985 * p, 1e-12),
    "not quite above 0": (lambda p: p - 1e-8, 1e-6),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("num_classes", [2, 10])
def test_probabilities_are_refused_as_logits_and_read_as_what_they_are(form, num_classes):
    logits, classes, expected = case(num_classes)
    convert, tolerance = FORMS[form]
    outputs, targets = torch.as_tensor(convert(softmax(logits, -1))), torch.from_numpy(classes)
    for average in AVERAGES:
        with pytest.raises(ValueError) as error:
            decompose(outputs, targets, average=average)
        assert str(error.value) == REFUSED
    with pytest.raises(ValueError, match="outputs_are='probabilities'"):
        ensemble_output(outputs)
    found = decompose(outputs, targets, outputs_are="probabilities").individual.mean().item()
    assert found == pytest.approx(expected, abs=tolerance)
    twice = mean_nll(softmax(softmax(logits, -1), -1), classes)
    assert abs(twice - expected) > 3 * tolerance  # softmax of probabilities is told apart


def test_per_cent_are_refused():
    logits, classes, _ = case()
    outputs, targets = torch.from_numpy(100 * softmax(logits, -1)), torch.from_numpy(classes)
    for values in (outputs, outputs.round(), outputs.bfloat16()):
        with pytest.raises(ValueError) as error:
            decompose(values, targets)
        assert str(error.value) == PER_CENT


@pytest.mark.parametrize("average", AVERAGES)
def test_probabilities_are_averaged_as_their_logits_are(average):
    logits, classes, _ = case()
    targets, p = torch.from_numpy(classes), torch.from_numpy(softmax(logits, -1))
    for found, expected in zip(
        decompose(p, targets, average=average, outputs_are="probabilities"),
        decompose(torch.from_numpy(logits), targets, average=average),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    found = ensemble_output(p, average=average, outputs_are="probabilities").log_softmax(-1)
    means = {"scores": softmax(logits.mean(0), -1), "probabilities": p.mean(0)}
    expected = torch.as_tensor(means.get(average, softmax(p.mean(0).numpy(), -1))).log()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "target", "expected"),
    [
        # Half of 0.02 is 0.01; of rows that sum to 1.01.
        ([[1.0, 0.0], [0.98, 0.02]], 1, [math.log(101), -math.log(0.02)]),
        # Half of 0.1 is above 0.1 / 3, which is taken: 1/30 of 31/30.
        ([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]], 2, [math.log(31), math.log(2)]),
    ],
)
def test_a_probability_of_zero_counts_as_half_of_the_smallest(rows, target, expected):
    outputs = torch.tensor([rows], dtype=torch.float64)
    parts = decompose(outputs, torch.full((len(rows),), target), outputs_are="probabilities")
    assert parts.individual.tolist() == pytest.approx(expected, abs=1e-12)


def test_the_gradient_with_respect_to_probabilities_is_finite():
    """−1 / p for the true class, + 1 for the row's sum, by which it is divided; 0 for what is replaced."""
    outputs = torch.tensor([[[0.7, 0.3], [1.0, 0.0]]], dtype=torch.float64, requires_grad=True)
    decompose(outputs, torch.tensor([0, 0]), outputs_are="probabilities").individual.sum().backward()
    expected = [[[1 - 1 / 0.7, 1.0], [1 / 1.05 - 1, 0.0]]]  # the zero counts as 0.1 / 2
    torch.testing.assert_close(outputs.grad, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


EVEN = torch.full((2, 10, 4), 0.25)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (EVEN * 0.8, r"outputs: 20 of 20 rows are no probabilities \(sums are 0.8 to 0.8, the lowest value is 0.2\);"
                      r" allowed are numbers of at least 0 that sum to 1 within 0.1$"),
        (EVEN.index_fill(1, torch.tensor([3]), 0.3), r"2 of 20 rows .*sums are 1 to 1.2"),
        (EVEN + torch.tensor([0.3, -0.3, 0.0, 0.0]), r"20 of 20 rows .* the lowest value is -0.05"),
        (100 * EVEN, r"20 of 20 rows .*sums are 100 to 100"),
        (EVEN.log(), r"20 of 20 rows"),
        (EVEN.logit().sigmoid() * 2, r"20 of 20 rows"),
        (EVEN[..., :1] * 5, r"20 of 20 rows are no probabilities of class 1; allowed are numbers from 0 to 1$"),
        (torch.eye(4)[None, :, :], r"only 0 and 1, votes whose cross-entropy is infinite; allowed are prob"),
        (EVEN * torch.nan, r"NaN or infinite values, 80 of 80"),
    ],
)  # fmt: skip
def test_what_is_no_probability_is_refused_as_one(outputs, message):
    with pytest.raises(ValueError, match=message) as error:
        decompose(outputs, torch.zeros(outputs.shape[1], dtype=torch.int64), outputs_are="probabilities")
    assert "\n" not in str(error.value)


def test_names_are_checked():
    for keys, message in (
        ({"outputs_are": "logit"}, "unknown outputs_are 'logit'; allowed are logits, probabilities"),
        ({"outputs_are": "probabilities", "loss": "squared_error"}, "for classification; squared_error takes"),
    ):
        with pytest.raises(ValueError, match=message):
            decompose(EVEN, torch.zeros(10, dtype=torch.int64), **keys)


def test_logits_that_are_not_refused():
    """A few rows, logits that are all positive, and logits of which some are negative."""
    classes = torch.zeros(10, dtype=torch.int64)
    decompose(EVEN[:, :5], classes[:5])  # ten rows
    uniform = torch.rand(2, 10, 4, generator=torch.Generator().manual_seed(0))
    for outputs in (uniform, 2 * EVEN, uniform - uniform.mean(-1, keepdim=True) + 0.25, 50 * uniform):
        decompose(outputs, classes)


# ---- a single output: the logit, or the probability, of class 1


def binary():
    rng = np.random.default_rng(1)
    classes = rng.integers(2, size=60)
    return 3 * rng.normal(size=(4, 60)) + 2 * classes - 1, classes


def binary_losses(z, classes):
    """log(1 + e^z) − z y, as torch's and scikit-learn's binary cross-entropy."""
    return np.logaddexp(0, z) - z * classes


@pytest.mark.parametrize("average", ["scores", "probabilities"])
def test_a_single_logit_is_that_of_class_one(average):
    z, classes = binary()
    own = binary_losses(z, classes)
    mean = z.mean(0) if average == "scores" else np.log(expit(z).mean(0)) - np.log(expit(-z).mean(0))
    joint = binary_losses(mean, classes)
    outputs = torch.from_numpy(z)[..., None]
    for targets in (torch.from_numpy(classes), torch.from_numpy(classes).bool()):
        for parts in (
            decompose(outputs, targets, average=average),
            decompose_unchecked(outputs, targets, loss="cross_entropy", average=average),
            decompose(outputs.sigmoid(), targets, average=average, outputs_are="probabilities"),
        ):
            np.testing.assert_allclose(parts.individual, own.mean(0), atol=1e-12)
            np.testing.assert_allclose(parts.ensemble, joint, atol=1e-12)
            np.testing.assert_allclose(parts.diversity, own.mean(0) - joint, atol=1e-12)
    joint = ensemble_output(outputs, average=average)
    assert joint.shape == (60, 2) and (joint.argmax(-1).numpy() == (mean > 0)).all()
    np.testing.assert_allclose(joint[:, 1] - joint[:, 0], mean, atol=1e-12)


def test_a_single_probability_of_one_is_not_infinite():
    """1 − p is 0, and counts as half of the smallest of all p and 1 − p, 0.02."""
    outputs = torch.tensor([[[1.0], [0.02], [0.5]]], dtype=torch.float64)
    found = decompose(outputs, torch.tensor([0, 1, 1]), outputs_are="probabilities").individual
    assert found.tolist() == pytest.approx([math.log(101), math.log(50), math.log(2)], abs=1e-12)


def test_targets_of_a_single_logit_are_two_classes():
    z = torch.zeros(2, 4, 1)
    for targets, message in (
        (torch.tensor([0, 1, 2, 0]), r"classes 0\.\.2; allowed are 0\.\.1"),
        (torch.zeros(4), "float32; allowed are integer classes"),
    ):
        with pytest.raises(ValueError, match=message):
            decompose(z, targets)
    with pytest.raises(ValueError, match="bool; allowed are integer classes"):
        decompose(torch.zeros(2, 4, 3), torch.zeros(4, dtype=torch.bool))
