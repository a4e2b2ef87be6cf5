"""Tests of what outputs and targets are taken for: probabilities, single logits, one-hot rows; and what is refused."""

import numpy as np
import pytest
import torch
from diagnosed import rejected
from scipy.special import expit, softmax

from jointens import diagnose, drop_learners

pytestmark = pytest.mark.usefixtures("few_subsets")


def case():
    """Draw logits of 5 learners for 200 examples of ten classes, about which they know something."""
    rng = np.random.default_rng(0)
    classes = rng.integers(10, size=200)
    return rng.normal(size=(5, 200, 10)) + np.eye(10)[classes], classes


LOOK = "outputs look like probabilities; allowed are logits, or probabilities with outputs_are='probabilities'"


@pytest.mark.parametrize("average", ["scores", "probabilities", "released"])
def test_a_report_on_probabilities_is_that_on_logits(average):
    logits, classes = case()
    options = {"loss": "cross_entropy", "average": average}
    expected = diagnose(logits, classes, reference=logits[::-1] / 3, **options)
    found = diagnose(
        softmax(logits, -1), classes, reference=softmax(logits[::-1] / 3, -1), outputs_are="probabilities", **options
    )
    assert str(found) == str(expected) and found.notes == ()
    np.testing.assert_allclose(found.frame()["value"], expected.frame()["value"], atol=1e-12)


def test_probabilities_are_refused_as_logits_in_any_precision():
    logits, classes = case()
    p = softmax(logits, -1)
    for values in (
        p, p.astype("float16"), torch.from_numpy(p).bfloat16(), p.round(2), p.round(3), p.clip(0.01, 0.99), 0.985 * p,
        p + 2e-4, p.tolist(),
    ):  # fmt: skip
        assert rejected(values, classes) == LOOK
        assert rejected(logits, classes, reference=values) == f"reference: {LOOK}"
    assert rejected(100 * p, classes) == LOOK.replace("like probabilities", "like per cent").replace(
        "or probabilities", "or a hundredth of them as probabilities"
    )
    diagnose(np.log(p), classes, loss="cross_entropy")
    diagnose(2 * p - 0.1, classes, loss="cross_entropy")  # sums to 1
    diagnose(p, p[0], loss="squared_error")  # regression targets may be probabilities


def test_numbers_between_zero_and_one_are_neither():
    """Independent sigmoids, or probabilities without some of the classes."""
    logits, classes = case()
    sigmoids = expit(logits)
    message = rejected(sigmoids, classes)
    low, high = sigmoids.sum(-1).min(), sigmoids.sum(-1).max()
    assert message == (
        f"outputs are between 0 and 1, as probabilities are, but rows sum to {low:.3g} to {high:.3g}; "
        "allowed are logits, or probabilities with outputs_are='probabilities'"
    )
    assert "rows are no probabilities" in rejected(sigmoids, classes, outputs_are="probabilities")
    lacking = softmax(logits, -1)[..., :8]
    assert "rows sum to" in rejected(lacking, classes % 8)
    assert "rows are no probabilities" in rejected(lacking, classes % 8, outputs_are="probabilities")
    for values in (0 * sigmoids, sigmoids + 0.5, sigmoids - 0.5):
        diagnose(values, classes, loss="cross_entropy")


def test_probabilities_that_are_none_are_refused():
    logits, classes = case()
    for values, words in (
        (logits, "1000 of 1000 rows are no probabilities"),
        (100 * softmax(logits, -1), "sums are 100 to 100"),
        (np.eye(10)[logits.argmax(-1)], "outputs hold only 0 and 1, votes"),
    ):
        assert words in rejected(values, classes, outputs_are="probabilities")
    assert "outputs_are='probabilities' is for classification" in rejected(
        logits, logits[0], loss="squared_error", outputs_are="probabilities"
    )
    assert "unknown outputs_are 'votes'" in rejected(logits, classes, outputs_are="votes")


def test_two_decimals_are_told_and_come_near():
    """Twelve learners' probabilities of the true class are rounded to 0; in truth they are below 0.005."""
    logits, classes = case()
    p = softmax(2.5 * logits, -1)
    own = np.take_along_axis(p, classes[None, :, None], -1)
    rounded = p.round(2)
    report = diagnose(rounded, classes, loss="cross_entropy", outputs_are="probabilities")
    zeros, sums = (own < 0.005).sum(), rounded.sum(-1)
    assert zeros > 10
    assert report.notes == (
        f"Rows sum to {sums.min():.3g} to {sums.max():.3g}, and are divided by their sums.",
        f"{zeros} of 1000 probabilities of the true class are 0, and count as 0.005.",
    )
    filled = np.where(rounded == 0, 0.005, rounded)
    expected = -np.log(np.take_along_axis(filled / filled.sum(-1, keepdims=True), classes[None, :, None], -1)).mean()
    assert report["individual loss"].value == pytest.approx(expected, abs=1e-12)
    text = str(report).splitlines()
    assert text[1:3] == list(report.notes) and all(note in report._repr_html_() for note in report.notes)
    beside = diagnose(p, classes, loss="cross_entropy", outputs_are="probabilities", reference=rounded)
    assert beside.notes == tuple(f"Reference: {note}" for note in report.notes)


def test_one_hot_targets_are_classes():
    logits, classes = case()
    hot = np.eye(10)[classes]
    expected = diagnose(logits, classes, loss="cross_entropy")
    for targets in (hot, hot.astype(int), hot.astype(bool), torch.from_numpy(hot)):
        report = diagnose(logits, targets, loss="cross_entropy")
        assert report.findings == expected.findings
        assert report.notes == ("Targets are one-hot, and taken as classes.",)
    for targets in (0.9 * hot + 0.01, np.roll(hot, 1, 1) + hot, 0 * hot):
        assert rejected(logits, targets) == "targets (200, 10) are not one-hot; allowed are classes (200,)"
    kept = {"keep": 2, "loss": "zero_one"}
    found = [drop_learners(logits, of, generator=torch.Generator().manual_seed(0), **kept) for of in (hot, classes)]
    assert found[0] == found[1]


def test_a_single_logit_is_that_of_a_binary_classifier():
    """Individual and ensemble loss are binary cross-entropies of z and of its mean, computed with numpy."""
    rng = np.random.default_rng(1)
    classes = rng.integers(2, size=80)
    z = 3 * rng.normal(size=(4, 80)) + 2 * classes - 1
    own, joint = (np.logaddexp(0, of) - of * classes for of in (z, z.mean(0)))
    note = "The single output for each example is taken as the logit z of (0, z)."
    reports = [
        diagnose(outputs, targets, loss="cross_entropy", reference=outputs[::-1] / 2)
        for outputs in (z, z[..., None])
        for targets in (classes, classes > 0, classes * 1.0, classes[:, None], classes[:, None] * 1.0)
    ]
    both = np.stack([0 * z, z], -1)
    reports.append(diagnose(both, classes, loss="cross_entropy", reference=both[::-1] / 2))
    for report in reports:
        assert report["individual loss"].value == pytest.approx(own.mean(), abs=1e-12)
        assert report["ensemble loss"].value == pytest.approx(joint.mean(), abs=1e-12)
        assert report.findings == reports[0].findings
    assert [report.notes for report in reports] == [(note,)] * 10 + [()]
    assert drop_learners(z, classes, keep=4, loss="cross_entropy") == pytest.approx(0, abs=1e-12)
    wrong = ((z.mean(0) > 0) != classes).mean()
    alone = drop_learners(z, classes, keep=1, repeats=3000, loss="zero_one", generator=torch.Generator().manual_seed(0))
    assert alone == pytest.approx(((z > 0) != classes).mean() - wrong, abs=0.01)


def test_a_single_probability_is_that_of_class_one():
    rng = np.random.default_rng(1)
    classes = rng.integers(2, size=80)
    z = 3 * rng.normal(size=(4, 80)) + 2 * classes - 1
    expected = diagnose(z, classes, loss="cross_entropy", average="probabilities")
    report = diagnose(expit(z), classes, loss="cross_entropy", average="probabilities", outputs_are="probabilities")
    np.testing.assert_allclose(report.frame()["value"], expected.frame()["value"], atol=1e-9)
    assert report.notes == ("The single output for each example is taken as the probability of class 1.",)
    message = "outputs are between 0 and 1, as probabilities are; allowed are logits, or probabilities with outputs_are"
    assert rejected(expit(z), classes).startswith(message)
    assert "of class 1; allowed are numbers from 0 to 1" in rejected(z, classes, outputs_are="probabilities")
    assert "classes 0..2; allowed are 0..1" in rejected(z, np.arange(80) % 3)
    assert "integer classes" in rejected(z, classes + 0.5)
