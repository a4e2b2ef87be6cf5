"""The ledger of claims and the index from the paper, as MyST Markdown for the book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..common import published_root
from .claims import Claim, Judged
from .claims_data import SELECTIONS
from .claims_verdict import (
    DIRECTION_ONLY,
    EXACT,
    NOT_REPRODUCED,
    NOT_RUN,
    PROVED,
    REPRODUCED,
    SCALES,
    VERDICTS,
    Effect,
    Measured,
)

MEANINGS = {
    PROVED: "an algebraic statement with a proof; both sides agree on random draws",
    REPRODUCED: "the 95 % interval is on the claimed side, on data of the scale that the claim is about",
    DIRECTION_ONLY: "the interval is on the claimed side, on data of a smaller scale",
    NOT_REPRODUCED: "the interval is not on the claimed side, somewhere at least",
    NOT_RUN: "there are no data, or a single seed",
}
NOT_LOCATED = "not located"
SELECTED = dict(
    zip(SELECTIONS, ("each of", "the first that can be compared of", "each β at its best rate of"), strict=True)
)


def counts(judged: Sequence[Judged]) -> dict[str, int]:
    """Count the claims of each verdict, in the order of `VERDICTS`."""
    return {word: sum(of.verdict.word == word for of in judged) for word in VERDICTS}


def verdicts(judged: Sequence[Judged]) -> str:
    """Write the table of verdicts: what each means, and how many claims have it."""
    rows = [[f"{VERDICTS[word]} {word}", MEANINGS[word], str(number)] for word, number in counts(judged).items()]
    return _table(["verdict", "what it means", "claims"], rows)


def ledger(judged: Sequence[Judged], topic: str) -> str:
    """Write the claims of a topic: a table to scan, and below it the details of each claim, folded."""
    chosen = [of for of in judged if of.claim.topic == topic]
    rows = [[f"{of.verdict.symbol} {of.verdict.word}", _told(of)] for of in chosen]
    return "\n\n".join([_table(["verdict", "claim, effect, whose, where"], rows), *map(_details, chosen)])


def _told(judged: Judged) -> str:
    claim = judged.claim
    whose = "the paper" if claim.whose == "paper" else "ours"
    details = f'<a href="#claim-{claim.id}">details</a>'
    return f"{claim.statement}<br>{_effect(judged)} · {whose} · {_chapter(claim)} · {details}"


def _effect(judged: Judged) -> str:
    """Write what decides: the residual, or of several effects the one that supports the claim least."""
    effect = judged.effect
    if effect is None:
        return "**no data**"
    number = len(judged.found.effects) if isinstance(judged.found, Measured) else 1
    return f"**{_size(judged.claim, effect)}**{f', the weakest of {number}' if number > 1 else ''}"


def _size(claim: Claim, effect: Any) -> str:
    """Write an effect; where the size of a difference is judged, whatever its sign, between bars."""
    return f"size {str(effect).removeprefix('+')}" if "within" in claim.check else str(effect)


def _details(judged: Judged) -> str:
    claim, word = judged.claim, judged.verdict.word
    lines = [
        f"**Verdict.** {judged.verdict.symbol} {word}: {judged.verdict.reason}.",
        f"**In the paper.** {_sentence(claim.place)}.",
        f"**Scale of the claim.** {_sentence(SCALES[claim.scale])}.",
        f"**Check.** {_check(claim)}",
    ]
    if isinstance(judged.found, Measured) and judged.found.effects:
        lines.append("**Effects.** " + "; ".join(_in_full(claim, effect) for effect in judged.found.effects) + ".")
    lines += [
        f"**Negative control.** {_sentence(claim.control['because'])}. On it the verdict is *{judged.control.word}*: "
        f"{judged.control.reason}.",
        f"**Links.** {' · '.join(_links(claim))}.",
        f"**Challenge.** {claim.challenge}",
    ]
    listed = "\n".join(f"- {line}" for line in lines)
    summary = f"{judged.verdict.symbol} {claim.id}"
    return f'<details id="claim-{claim.id}"><summary>{summary}</summary>\n\n{listed}\n\n</details>'


def _sentence(text: str) -> str:
    return text if text.startswith("β") else text[0].upper() + text[1:]


def _in_full(claim: Claim, effect: Effect) -> str:
    return f"{effect.where}: {_size(claim, effect)} ({effect.num_seeds} seeds)"


def _check(claim: Claim) -> str:
    """Write the check, its options and what is expected."""
    options = {key: value for key, value in claim.check.items() if key not in ("function", "data")}
    told = [f"`{claim.check['function']}`", *(f"{key} {_plain(value)}" for key, value in options.items())]
    expected = f"expected is {claim.expected if claim.scale != EXACT else f'left side {claim.expected} right side'}"
    text = f"{', '.join(told)}; {expected}"
    if not claim.is_exact:
        ((how, names),) = claim.check["data"].items()
        text += f"; data are {SELECTED[how]} {_codes(names)}" if len(names) > 1 else f"; data are {_codes(names)}"
    return f"{text}."


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).replace("-", "−", value != str(value))


def _codes(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _chapter(claim: Claim) -> str:
    return f"[]({claim.links['chapter']}.ipynb)"


def _links(claim: Claim) -> list[str]:
    links = claim.links
    told = [_chapter(claim)]
    told += [f"{{prf:ref}}`{links['theorem']}`"] if "theorem" in links else []
    told += [f"{{numref}}`{links['figure']}`"] if "figure" in links else []
    return [*told, f"`{links['function']}`", _test(claim)]


def _test(claim: Claim) -> str:
    """Write a link to the test's source, which the book shows of theorems; otherwise its name."""
    return f"{{test}}`{claim.links['test']}`" if claim.is_exact else f"`tests/{claim.links['test']}`"


def index(judged: Sequence[Judged]) -> str:
    """Write the index from places in the paper to chapter, function, test and results; the unlocated come last."""
    claims = [of.claim for of in judged if of.claim.whose == "paper"]
    places = sorted(dict.fromkeys(claim.place for claim in claims), key=lambda place: place.startswith(NOT_LOCATED))
    keys = [(place, chapter) for place in places for chapter in _chapters_of(claims, place)]
    rows = []
    for place, chapter in keys:
        group = [claim for claim in claims if (claim.place, claim.links["chapter"]) == (place, chapter)]
        parts = {
            "Chapter": [_chapter(group[0])],
            "Claims": [f'<a href="#claim-{claim.id}">{claim.id}</a>' for claim in group],
            "Functions": [f"`{claim.links['function']}`" for claim in group],
            "Tests": [_test(claim) for claim in group],
            "Results": [_published(name) for claim in group for name in claim.data],
        }
        cell = "<br>".join(f"**{name}** {', '.join(dict.fromkeys(links))}" for name, links in parts.items() if links)
        rows.append([place, cell])
    return _table(["in the paper", "in this companion"], rows)


def _chapters_of(claims: Sequence[Claim], place: str) -> list[str]:
    return list(dict.fromkeys(claim.links["chapter"] for claim in claims if claim.place == place))


def _published(name: str) -> str:
    there = any((published_root() / f"{name}{suffix}").exists() for suffix in ("", ".csv"))
    return f"`results/{name}`" if there else f"`{name}` (not run yet)"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows))
