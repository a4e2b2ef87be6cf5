"""Tests of the report: number formats, text, table and HTML, and meaningful sentences for degenerate ensembles."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from jointens import diagnose
from jointens.diagnostics import Finding, Report, statistics
from jointens.theory import draw_batch

SHARE = Finding("a share", 0.5, 0.25, 0.755, "Half of it < all of it & more.", True, "%")
PLAIN = Finding("a loss", -0.000123456, -1.0, 12345.678, "Of a learner. " * 12, False)
NONE = Finding("nothing", math.nan, -math.inf, math.inf, "No number.", False, "points")


@pytest.fixture
def report():
    return Report("3 learners on <12> examples.", (SHARE, PLAIN, NONE), np.eye(3), "Do more.")


@pytest.fixture
def quiet():
    return Report("3 learners.", (PLAIN,), np.eye(3), "Do more.")


def test_number_formats():
    assert SHARE.text == "50.0 [25.0, 75.5] %"
    assert PLAIN.text == "−0.0001235 [−1, 1.235e+04]"
    assert NONE.text == "– [–, –] points"
    assert Finding("fall", 0.012, -0.004, 0.03, "", False, "points").text == "1.2 [−0.4, 3.0] points"


def test_findings_are_looked_up_by_name(report):
    assert report["a loss"] is PLAIN
    with pytest.raises(KeyError, match="no finding 'diversity'; there are a share, a loss, nothing"):
        report["diversity"]


def test_the_verdict_names_every_sign_or_adds_the_advice(report, quiet):
    assert report.alarms == ("a share",) and report.verdict == "Signs of collusion: a share."
    assert quiet.alarms == () and quiet.verdict == "No sign of collusion. Do more."
    assert Report("", (PLAIN,), np.eye(3)).verdict == "No sign of collusion."


def test_the_table_has_a_row_for_each_finding(report):
    frame = report.frame()
    assert list(frame.columns) == ["value", "low", "high", "alarm"] and frame.index.tolist() == [
        "a share", "a loss", "nothing",
    ]  # fmt: skip
    assert frame.loc["a loss", ["value", "low", "high"]].tolist() == [-0.000123456, -1.0, 12345.678]
    assert frame["alarm"].tolist() == [True, False, False]


def test_text_is_complete_and_wrapped(report):
    lines = str(report).splitlines()
    assert lines[0] == report.about and lines[-1] == report.verdict
    assert max(map(len, lines)) <= 100 and not [line for line in lines if line != line.rstrip()]
    marked = [line for line in lines if line.startswith("!")]
    assert marked == ["! a share  50.0 [25.0, 75.5] %"] and "  a loss   −0.0001235 [−1, 1.235e+04]" in lines
    for finding in report.findings:
        assert " ".join(finding.sentence.split()) in " ".join(str(report).split())


def test_html_is_well_formed_and_complete(report):
    tree = ElementTree.fromstring(report._repr_html_())
    assert tree.find("p").text == report.about  # text is escaped
    rows = [["".join(cell.itertext()) for cell in row] for row in tree.iterfind(".//tbody/tr")]
    assert rows == [["!" if row.alarm else "", row.name, row.text, row.sentence] for row in report.findings]
    assert "".join(tree.findall("p")[-1].itertext()) == report.verdict


# ---- reports of drawn ensembles


@pytest.fixture(autouse=True)
def few_subsets(monkeypatch):
    monkeypatch.setattr(statistics, "REPEATS", 5)


BASE = [
    "individual loss", "ensemble loss", "diversity", "constant shifts", "systematic drift", "error correlation",
]  # fmt: skip


def drop_names(number, drops, *kinds):
    return [f"{kind}, without {drop} of {number}" for drop in drops for kind in kinds]


@pytest.mark.parametrize(("number", "drops"), [(2, [1]), (3, [1]), (5, [1, 2, 3]), (10, [2, 4, 6])])
def test_the_findings_of_a_report(number, drops):
    for loss, kinds in (
        ("squared_error", ["codependence"]),
        ("cross_entropy", ["codependence", "accuracy lost"]),
    ):
        outputs, targets = draw_batch((number, 24, 3), loss, seed=0)
        others, _ = draw_batch((number, 24, 3), loss, seed=1, scale=0.5)
        alone = diagnose(outputs, targets, loss=loss)
        names = [*BASE, *drop_names(number, drops, *kinds)]
        assert [finding.name for finding in alone.findings] == names
        compared = diagnose(outputs, targets, loss=loss, reference=others)
        names += ["diversity, ratio to reference", "ensemble loss, below reference", "paid back"]
        if loss == "cross_entropy" and number > 2:
            names.insert(-2, "accuracy lost, beyond reference")
        assert [finding.name for finding in compared.findings] == names
        assert alone.advice and not compared.advice and compared.about == f"{alone.about[:-1]}, beside a reference."
        assert alone.error_correlations.shape == (number, number)


def test_the_description_of_the_ensemble():
    outputs, targets = draw_batch((4, 20, 3), "cross_entropy", seed=0)
    about = diagnose(outputs, targets, loss="cross_entropy", average="probabilities", reference=outputs / 3).about
    assert about == "4 learners on 20 examples, cross-entropy, average of probabilities, beside a reference."
    outputs, targets = draw_batch((4, 20, 3), "squared_error", seed=0)
    assert diagnose(outputs, targets, loss="squared_error").about == "4 learners on 20 examples, squared error."


def ensembles():
    """Return degenerate ensembles: their outputs, targets and loss."""
    targets = torch.linspace(-1, 1, 20).double()
    noise = torch.randn(4, 20, generator=torch.Generator().manual_seed(0)).double()
    cancelling = targets + torch.tensor([[1.0], [-1.0]])
    classes = torch.arange(20) % 2
    scores = 200 * torch.nn.functional.one_hot(classes).double()
    return {
        "all the same": (targets.flip(0).expand(3, -1), targets, "squared_error"),
        "perfect together": (cancelling, targets, "squared_error"),
        "perfect alone": (targets.expand(3, -1), targets, "squared_error"),
        "always the same": (torch.tensor([[1.0], [2.0], [4.0]]).expand(3, 20), targets, "squared_error"),
        "very large": (1e8 + noise, targets, "squared_error"),
        "very small": (1e-150 * noise, targets, "squared_error"),
        "sure and right": (scores.expand(3, -1, -1), classes, "cross_entropy"),
        "sure and wrong": (scores.flip(-1).expand(3, -1, -1), classes, "cross_entropy"),
        "one of them wrong": (torch.stack([scores, scores, scores.flip(-1)]), classes, "cross_entropy"),
        "sure of nothing": (torch.zeros(3, 20, 2), classes, "cross_entropy"),
    }


@pytest.mark.parametrize("name", ensembles())
@pytest.mark.parametrize("against", [None, "itself", "one learner", "all the same"])
def test_numbers_and_sentences_make_sense_for_degenerate_ensembles(name, against):
    """No NaN, no infinity and no ratio to zero is reported, whatever the ensemble."""
    outputs, targets, loss = ensembles()[name]
    same = outputs[:1].expand(3, *outputs.shape[1:])
    reference = {"itself": outputs, "one learner": outputs[:1], "all the same": same}.get(against)
    try:
        report = diagnose(outputs, targets, loss=loss, reference=reference)
    except ValueError as error:  # a reference without diversity is rejected
        alike = (outputs == outputs[0]).all()
        assert str(error).startswith("reference") and (against in ("one learner", "all the same") or alike)
        return
    for finding in report.findings:
        words = f"{finding.name}: {finding.text} {finding.sentence}"
        assert not re.search(r"\b(nan|inf)\b", words), words
        assert not re.search(r"\d(e\+\d\d| -\d)", finding.sentence) or name == "very large", words
    if against == "itself":
        assert "paid back" not in report.alarms
    ElementTree.fromstring(report._repr_html_())


def test_a_reference_that_is_the_ensemble_itself_has_no_extra_to_pay_back():
    outputs, targets = draw_batch((4, 40, 3), "squared_error", seed=0)
    report = diagnose(outputs, targets, loss="squared_error", reference=outputs)
    assert report["diversity, ratio to reference"].text == "1 [1, 1]"
    assert "paid back" not in [finding.name for finding in report.findings]  # 0 % of nothing


@pytest.mark.parametrize(
    ("off", "sentence"),
    [
        (0, r"Nothing of the extra diversity is paid back: the learners by themselves are better as well\."),
        (2, r"[\d.]+ % of the extra diversity is paid back by a larger individual loss; the rest reaches .*"),
        (2.9, r"89 % of the extra .* individual loss: little of it reaches the ensemble\."),
        (4, r"\d\d\d % of the extra .* individual loss: more than there is, the ensemble is worse\."),
    ],
)
def test_sentences_about_what_is_paid_back(off, sentence):
    """Nine times the diversity and an ensemble error of `off`, compared with a reference whose error is 3."""
    targets, noise = torch.linspace(-1, 1, 60), torch.randn(4, 60, generator=torch.Generator().manual_seed(0))
    noise -= noise.mean(0)
    outputs, others = targets + off + 3 * noise, targets + 3 + noise
    paid = diagnose(outputs, targets, loss="squared_error", reference=others)["paid back"]
    assert re.fullmatch(sentence, paid.sentence) and paid.alarm == (off > 2)


def test_rounding_does_not_make_the_ensemble_worse_when_all_is_paid_back():
    targets, rng = np.linspace(-1, 1, 60), np.random.default_rng(0)
    for _ in range(10):
        outputs, noise = targets + rng.normal(size=(6, 60)) / 3, rng.normal(size=(6, 60))
        report = diagnose(outputs + noise - noise.mean(0), targets, loss="squared_error", reference=outputs)
        assert report["ensemble loss, below reference"].value == pytest.approx(0, abs=1e-14)
        assert "worse" not in report["paid back"].sentence


@pytest.mark.parametrize("case", ["outputs", "targets", "reference", "logits"])
def test_losses_that_are_not_finite_are_rejected(case):
    outputs, targets = draw_batch((3, 20, 2), "squared_error", seed=0)
    options = {"loss": "squared_error"} | ({"reference": 1e200 * outputs} if case == "reference" else {})
    if case == "logits":
        outputs, targets, options = 1.5e308 * outputs.sign(), torch.arange(20) % 2, {"loss": "cross_entropy"}
    with pytest.raises(ValueError, match=r"losses are not finite; allowed are values with finite losses$") as error:
        outputs, targets = (
            values * (1e200 if case == name else 1) for name, values in (("outputs", outputs), ("targets", targets))
        )
        diagnose(outputs, targets, **options)
    assert "\n" not in str(error.value)
