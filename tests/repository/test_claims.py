"""The links of the ledger of claims: chapters, theorems, figures, functions, tests, and the page that shows them."""

import importlib
import re
import sys

import pytest
from chapters import chapters
from checkout import ROOT

from jointens.reports import claims, claims_page

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import theorems

LEDGER = claims.read_claims()
SOURCES = {name: (ROOT / "notebooks" / f"{name}.py").read_text() for name in chapters(ROOT)}
by_id = pytest.mark.parametrize("claim", LEDGER, ids=lambda claim: claim.id)


@by_id
def test_every_link_of_a_claim_leads_somewhere(claim):
    links = claim.links
    assert links["chapter"] in SOURCES
    if "theorem" in links:
        assert f":label: {links['theorem']}\n" in SOURCES[links["chapter"]]
    if "figure" in links:
        assert any(f'"name": "{links["figure"]}"' in source for source in SOURCES.values())
    module, _, function = links["function"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))
    file, _, test = links["test"].partition("::")
    assert theorems.source_of(ROOT / "tests" / file, test)


@by_id
def test_the_test_of_an_exact_claim_is_shown_on_the_page_of_theorems(claim):
    """The role `test` links to it."""
    if claim.is_exact:
        shown = [theorem for source in SOURCES.values() for theorem in theorems.theorems_of(source)]
        (theorem,) = [theorem for theorem in shown if theorem.label == claim.links["theorem"]]
        assert tuple(claim.links["test"].split("::")) in theorem.tests


@pytest.fixture(scope="module")
def page():
    """The ledger of some claims of each kind, as it is shown."""
    few = {"squared-error-diversity", "released-lowest-loss", "joint-lowers-accuracy", "regression-gap", "table-1"}
    return claims.judge_all([claim for claim in LEDGER if claim.id in few], count=50)


def test_each_claim_has_a_row_and_its_details(page):
    assert sum(claims_page.counts(page).values()) == len(page)
    text = "\n\n".join(claims_page.ledger(page, topic) for topic in claims.TOPICS)
    for of in page:
        (row,) = [line for line in text.splitlines() if f'"#claim-{of.claim.id}"' in line]
        assert row.startswith(f"| {of.verdict.symbol} {of.verdict.word} | {of.claim.statement}")
        assert text.count(f'<details id="claim-{of.claim.id}">') == 1
        assert f"**Challenge.** {of.claim.challenge}" in text
    assert all(line.count(" | ") == 1 for line in text.splitlines() if line.startswith("| "))


def test_the_index_has_every_place_in_the_paper_and_the_unlocated_last(page):
    places = [line.split(" | ")[0].removeprefix("| ") for line in claims_page.index(page).splitlines()[2:]]
    of_paper = {of.claim.place for of in page if of.claim.whose == "paper"}
    assert set(places) == of_paper and places[-1].startswith(claims_page.NOT_LOCATED)
    assert "`imagenet_resnet18-probabilities` (not run yet)" in claims_page.index(page) or any(
        of.claim.id == "table-1" and of.verdict.word != "not run at the paper's scale" for of in page
    )


def test_every_claim_has_a_topic_that_the_chapter_shows():
    shown = re.findall(r'ledger\(judged, "(\w+)"\)', SOURCES["claims"])
    assert shown == list(claims.TOPICS)
    assert {claim.topic for claim in LEDGER} == set(shown)
    assert len(LEDGER) >= 18
