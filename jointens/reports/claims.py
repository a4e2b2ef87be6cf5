"""The ledger of claims, `book/claims.yml`: read it, and judge each claim by its check.

An entry says what is claimed, by whom, at which scale, and names a check with its data, a negative control, links into
the book, and what would overturn it. It says nothing of the verdict, which is computed::

    for judged in claims.judge_all():
        print(judged.claim.id, judged.verdict.word, judged.effect)
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common import InputError, check_names, read_yaml_file, repository, unknown_name
from .claims_data import SELECTIONS, PublishedRuns, known_data, read_data
from .claims_exact import EXACT_CHECKS
from .claims_gradients import GRADIENT_CHECKS
from .claims_measured import MEASURED_CHECKS, OPTIONS, check_options, measure
from .claims_verdict import EXACT, REVERSED, SCALES, Effect, Measured, Residual, Verdict, judge, residual

EXACT_ONES = {**EXACT_CHECKS, **GRADIENT_CHECKS}
CHECKS = [*EXACT_ONES, *MEASURED_CHECKS]
"""The names of all checks."""
KEYS = (
    "id", "topic", "statement", "whose", "place", "scale", "check", "expected", "control", "links", "challenge",
)  # fmt: skip
"""The keys of an entry; each has all of them."""
LINKS = ("chapter", "theorem", "figure", "function", "test")
TOPICS = ("theory", "images", "ImageNet", "regression")
WHOSE = ("paper", "ours")


@dataclass(frozen=True)
class Claim:
    """An entry of the ledger."""

    id: str
    topic: str
    """One of `TOPICS`."""
    statement: str
    whose: str
    """Who claims it, "paper" or "ours"."""
    place: str
    """Where in the paper, or "not located"."""
    scale: str
    """What the claim is about, a key of `SCALES`."""
    check: Mapping[str, Any]
    """The key function, one of `CHECKS`, and its options."""
    expected: str
    """A key of `REVERSED`; of a check on data "higher" or "lower"."""
    control: Mapping[str, Any]
    """The key because, and the options of the check that differ; on these the claim must not hold."""
    links: Mapping[str, str]
    """The chapter, the function and the test; where there is one, the theorem and the figure."""
    challenge: str
    """What would overturn the verdict."""

    def reversed(self) -> Claim:
        """Return the claim of the opposite: another direction, or another sign of the right side."""
        return dataclasses.replace(self, expected=REVERSED[self.expected])

    def controlled(self) -> Claim:
        """Return the claim on its negative control."""
        changes = {key: value for key, value in self.control.items() if key != "because"}
        return dataclasses.replace(self, check={**self.check, **changes})

    @property
    def is_exact(self) -> bool:
        """Whether it is an algebraic statement, and not one about data."""
        return self.check["function"] in EXACT_ONES

    @property
    def data(self) -> tuple[str, ...]:
        """The names of the published results that its check reads."""
        if self.is_exact:
            return ()
        ((_, names),) = self.check["data"].items()
        return (*names, *([self.check["other"]] if "other" in self.check else ()))


@dataclass(frozen=True)
class Judged:
    """A claim, what its check found, and the verdict; the same for its negative control."""

    claim: Claim
    found: Residual | Measured
    verdict: Verdict
    control: Verdict

    @property
    def effect(self) -> Residual | Effect | None:
        """The residual, or of several effects the one that supports the claim least; None without data."""
        if isinstance(self.found, Residual):
            return self.found
        by_certainty = sorted(self.found.effects, key=lambda effect: effect.certainty(self.claim.expected))
        return by_certainty[0] if by_certainty else None


def read_claims(file: Path | None = None) -> list[Claim]:
    """Read the ledger, in the order of its file.

    Raises:
        InputError: an entry is wrong; the message names the file and the entry.
    """
    file = file or repository() / "book" / "claims.yml"
    entries = read_yaml_file(file)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{file} is no list of claims; allowed are entries of the keys {', '.join(KEYS)}")
    claims = [_claim(entry, f"{file}, {entry.get('id', 'an entry without id')}") for entry in entries]
    ids = [claim.id for claim in claims]
    if twice := [name for name in ids if ids.count(name) > 1]:
        raise InputError(f"{file}, {twice[0]}: a second claim of this id")
    return claims


def _claim(entry: dict[str, Any], where: str) -> Claim:
    check_names(entry, KEYS, where=where)
    if missing := [key for key in KEYS if key not in entry]:
        raise InputError(f"{where}: lacks {', '.join(missing)}")
    if absent := [key for key in ("check", "control", "links") if not isinstance(entry[key], dict)]:
        raise InputError(f"{where}: {absent[0]} is {entry[absent[0]]!r}; allowed are keys and values")
    allowed = {"topic": TOPICS, "whose": WHOSE, "scale": tuple(SCALES), "expected": tuple(REVERSED)}
    for key, known in allowed.items():
        if entry[key] not in known:
            raise InputError(f"{where}: {key} is {entry[key]!r}; allowed are {', '.join(known)}")
    check_names(entry["links"], LINKS, where=f"{where}, links")
    claim = Claim(**entry)
    needed = ("chapter", "function", "test", *(("theorem",) if claim.is_exact else ()))
    if missing := [key for key in needed if key not in claim.links]:
        raise InputError(f"{where}: links lack {', '.join(missing)}")
    if "because" not in claim.control or len(claim.control) < 2:
        raise InputError(f"{where}: control needs `because` and an option of the check that differs")
    for of in (claim, claim.controlled()):
        _check_options(of, where)
    return claim


def _check_options(claim: Claim, where: str) -> None:
    name = claim.check.get("function")
    if name not in CHECKS:
        raise unknown_name(name, CHECKS, where=f"{where}, check")
    options = {key: value for key, value in claim.check.items() if key != "function"}
    if claim.is_exact:
        known = list(inspect.signature(EXACT_ONES[name]).parameters)[2:]
        check_names(options, known or ["function"], where=f"{where}, check")
        fits = claim.scale == EXACT and claim.expected not in ("higher", "lower")
    else:
        check_names(options, sorted(OPTIONS), where=f"{where}, check")
        try:
            check_options(name, options)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        data = options["data"]
        if not isinstance(data, dict) or len(data) != 1 or not set(data) <= set(SELECTIONS):
            raise InputError(f"{where}: data is {data!r}; allowed is a list of names below {' or '.join(SELECTIONS)}")
        check_names(claim.data, known_data(), where=f"{where}, data")
        fits = claim.scale != EXACT and claim.expected in ("higher", "lower")
    if not fits:
        raise InputError(
            f"{where}: scale {claim.scale!r} and expected {claim.expected!r} do not fit the check {name}; allowed are "
            f"{EXACT!r} and a relation for exact statements, other scales and higher or lower for data"
        )


def evidence(
    claim: Claim, *, count: int = 1000, seed: int = 0, read: Callable[[str], PublishedRuns] = read_data
) -> Residual | Measured:
    """Run the check of a claim.

    Args:
        claim: which.
        count: of an exact statement, the number of random examples.
        seed: of these.
        read: reads published data by name.
    """
    options = dict(claim.check)
    name = options.pop("function")
    if claim.is_exact:
        return residual(EXACT_ONES[name](count, seed, **options), claim.expected)
    return measure(name, read=read, **options)


def judge_claim(
    claim: Claim, *, count: int = 1000, seed: int = 0, read: Callable[[str], PublishedRuns] = read_data
) -> Judged:
    """Check a claim and its negative control, and judge both. Arguments are those of `evidence`."""
    found, of_control = (evidence(of, count=count, seed=seed, read=read) for of in (claim, claim.controlled()))
    verdict, control = (judge(what, claim.expected, claim.scale) for what in (found, of_control))
    return Judged(claim, found, verdict, control)


def judge_all(claims: Sequence[Claim] | None = None, *, count: int = 1000, seed: int = 0) -> list[Judged]:
    """Judge claims; None: all of the ledger. Each published result is read once."""
    read = functools.cache(read_data)
    claims = read_claims() if claims is None else claims
    return [judge_claim(claim, count=count, seed=seed, read=read) for claim in claims]
