"""The report: numbers as a reader is shown them, as text and as a table, and sentences that are never nonsense."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from drawing import draw

from jointens import diagnose
from jointens.diagnostics import statistics
from jointens.diagnostics.report import Finding, Report

SHARE = Finding("a share", 0.5, 0.25, 0.755, "Half of it < all of it & more.", True, "%")
PLAIN = Finding("a loss", -0.000123456, -1.0, 12345.678, "Of a learner. " * 12, False)
NONE = Finding("nothing", math.nan, -math.inf, math.inf, "No number.", False, "points")


@pytest.fixture
def report():
    return Report("3 learners on <12> examples.", (SHARE, PLAIN, NONE), np.eye(3), "Do more.")


@pytest.fixture
def quiet():
    return Report("3 learners.", (PLAIN,), np.eye(3), "Do more.")


def test_numbers_as_a_reader_is_shown_them():
    assert SHARE.text == "50.0 [25.0, 75.5] %"
    assert PLAIN.text == "−0.0001235 [−1, 1.235e+04]"
    assert NONE.text == "– [–, –] points"
    assert Finding("fall", 0.012, -0.004, 0.03, "", False, "points").text == "1.2 [−0.4, 3.0] points"


def test_findings_are_asked_for_by_name(report):
    assert report["a loss"] is PLAIN
    with pytest.raises(KeyError, match="no finding 'diversity'; there are a share, a loss, nothing"):
        report["diversity"]


def test_the_verdict_names_every_sign_or_says_what_would_tell_more(report, quiet):
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


def test_text_holds_everything_in_lines_that_fit(report):
    lines = str(report).splitlines()
    assert lines[0] == report.about and lines[-1] == report.verdict
    assert max(map(len, lines)) <= 100 and not [line for line in lines if line != line.rstrip()]
    marked = [line for line in lines if line.startswith("!")]
    assert marked == ["! a share  50.0 [25.0, 75.5] %"] and "  a loss   −0.0001235 [−1, 1.235e+04]" in lines
    for finding in report.findings:
        assert " ".join(finding.sentence.split()) in " ".join(str(report).split())


def test_html_is_well_formed_and_holds_everything(report):
    tree = ElementTree.fromstring(report._repr_html_())
    assert tree.find("p").text == report.about  # what looks like a tag is none
    rows = [["".join(cell.itertext()) for cell in row] for row in tree.iterfind(".//tbody/tr")]
    assert rows == [["!" if of.alarm else "", of.name, of.text, of.sentence] for of in report.findings]
    assert "".join(tree.findall("p")[-1].itertext()) == report.verdict


# ---- of real ensembles


@pytest.fixture(autouse=True)
def few_subsets(monkeypatch):
    monkeypatch.setattr(statistics, "REPEATS", 5)


BASE = [
    "individual loss", "ensemble loss", "diversity", "constant shifts", "systematic drift", "error correlation",
]  # fmt: skip


def dropped(number, drops, *kinds):
    return [f"{kind}, without {drop} of {number}" for drop in drops for kind in kinds]


@pytest.mark.parametrize(("number", "drops"), [(2, [1]), (3, [1]), (5, [1, 2, 3]), (10, [2, 4, 6])])
def test_what_is_reported(number, drops):
    for loss, kinds in (
        ("squared_error", ["codependence"]),
        ("cross_entropy", ["codependence", "accuracy lost"]),
    ):
        outputs, targets = draw((), number, 24, 3, loss, seed=0)
        others, _ = draw((), number, 24, 3, loss, seed=1, scale=0.5)
        alone = diagnose(outputs, targets, loss=loss)
        assert [of.name for of in alone.findings] == [*BASE, *dropped(number, drops, *kinds)]
        beside = diagnose(outputs, targets, loss=loss, reference=others)
        compared = ["diversity, ratio to reference", "ensemble loss, below reference", "paid back"]
        if loss == "cross_entropy" and number > 2:
            compared.insert(1, "accuracy lost, beyond reference")
        assert [of.name for of in beside.findings] == [*BASE, *dropped(number, drops, *kinds), *compared]
        assert alone.advice and not beside.advice and beside.about == f"{alone.about[:-1]}, beside a reference."
        assert alone.error_correlations.shape == (number, number)


def test_what_it_is_about():
    outputs, targets = draw((), 4, 20, 3, "cross_entropy", seed=0)
    told = diagnose(outputs, targets, loss="cross_entropy", average="probabilities", reference=outputs / 3).about
    assert told == "4 learners on 20 examples, cross-entropy, average of probabilities, beside a reference."
    outputs, targets = draw((), 4, 20, 3, "squared_error", seed=0)
    assert diagnose(outputs, targets, loss="squared_error").about == "4 learners on 20 examples, squared error."


def ensembles():
    """Ensembles at the edges: their outputs, targets and loss."""
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
def test_no_number_and_no_sentence_is_nonsense(name, against):
    """No NaN, no infinity and no ratio of something to nothing is told, whatever the ensemble."""
    outputs, targets, loss = ensembles()[name]
    same = outputs[:1].expand(3, *outputs.shape[1:])
    reference = {"itself": outputs, "one learner": outputs[:1], "all the same": same}.get(against)
    try:
        report = diagnose(outputs, targets, loss=loss, reference=reference)
    except ValueError as error:  # a reference without diversity is refused
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
    outputs, targets = draw((), 4, 40, 3, "squared_error", seed=0)
    report = diagnose(outputs, targets, loss="squared_error", reference=outputs)
    assert report["diversity, ratio to reference"].text == "1 [1, 1]"
    assert "paid back" not in [of.name for of in report.findings]  # 0 % of nothing


@pytest.mark.parametrize(
    ("off", "said"),
    [
        (0, r"Nothing of the extra diversity is paid back: the learners by themselves are better as well\."),
        (2, r"[\d.]+ % of the extra diversity is paid back by a larger individual loss; the rest reaches .*"),
        (2.9, r"89 % of the extra .* individual loss: little of it reaches the ensemble\."),
        (4, r"\d\d\d % of the extra .* individual loss: more than there is, the ensemble is worse\."),
    ],
)
def test_what_is_said_of_what_is_paid_back(off, said):
    """Nine times the diversity, and an ensemble that is `off`, beside a reference that is off by 3."""
    targets, noise = torch.linspace(-1, 1, 60), torch.randn(4, 60, generator=torch.Generator().manual_seed(0))
    noise -= noise.mean(0)
    outputs, others = targets + off + 3 * noise, targets + 3 + noise
    paid = diagnose(outputs, targets, loss="squared_error", reference=others)["paid back"]
    assert re.fullmatch(said, paid.sentence) and paid.alarm == (off > 2)


def test_what_is_paid_back_whole_is_no_more_than_there_is_by_rounding():
    targets, chance = np.linspace(-1, 1, 60), np.random.default_rng(0)
    for _ in range(10):
        outputs, noise = targets + chance.normal(size=(6, 60)) / 3, chance.normal(size=(6, 60))
        report = diagnose(outputs + noise - noise.mean(0), targets, loss="squared_error", reference=outputs)
        assert report["ensemble loss, below reference"].value == pytest.approx(0, abs=1e-14)
        assert "worse" not in report["paid back"].sentence


@pytest.mark.parametrize("case", ["outputs", "targets", "reference", "logits"])
def test_losses_that_are_not_finite_are_refused(case):
    outputs, targets = draw((), 3, 20, 2, "squared_error", seed=0)
    how = {"loss": "squared_error"} | ({"reference": 1e200 * outputs} if case == "reference" else {})
    if case == "logits":
        outputs, targets, how = 1.5e308 * outputs.sign(), torch.arange(20) % 2, {"loss": "cross_entropy"}
    with pytest.raises(ValueError, match=r"losses are not finite; nothing can be said of them$") as error:
        diagnose(outputs * (1e200 if case == "outputs" else 1), targets * (1e200 if case == "targets" else 1), **how)
    assert "\n" not in str(error.value)
