"""Verdicts on claims, computed from what a check found.

A check of an exact statement gives a `Residual`, a check of published results gives `Measured` effects. `judge` turns
either into a `Verdict`; nothing else does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..analysis import verdict
from .tables import number_text

PROVED = "proved and checked"
REPRODUCED = "reproduced"
DIRECTION_ONLY = "direction only"
NOT_REPRODUCED = "not reproduced here"
NOT_RUN = "not run at the paper's scale"
VERDICTS = {PROVED: "∎", REPRODUCED: "✓", DIRECTION_ONLY: "↗", NOT_REPRODUCED: "✗", NOT_RUN: "○"}
"""Every verdict and its symbol."""
HOLDS = (PROVED, REPRODUCED, DIRECTION_ONLY)
"""The verdicts of a claim that its check supports."""

EXACT = "any outputs"
SCALES = {
    EXACT: "an algebraic statement about any outputs",
    "CIFAR": "CIFAR whole, five ResNet18 or ResNet34, 80 epochs, as in Figure 6, left",
    "ImageNet": "ImageNet, three learners, as in Table 1",
    "regression sets": "the paper's four regression sets, whole; its hyperparameters are not public",
    "small": "small networks, on a part of CIFAR-10 or for a few epochs",
}
"""The scales of claims and of data, in words."""

REVERSED = {"higher": "lower", "lower": "higher", "=": "= −", "= −": "=", "<=": ">=", ">=": "<="}
"""Every expectation and its opposite. "= −" is equality with the sign of the right side turned."""
RELATIONS = ("=", "= −", "<=", ">=")  # of exact statements


@dataclass(frozen=True)
class Residual:
    """By how much an exact statement is violated on random draws."""

    value: float
    """The largest violation, never below zero; NaN where a side is not finite."""
    tolerance: float
    compared: int
    """How many numbers were compared."""

    @property
    def holds(self) -> bool:
        """Whether something was compared and nothing is violated by more than the tolerance."""
        return self.compared > 0 and self.value <= self.tolerance

    def __str__(self) -> str:
        return f"off by at most {self.value:.0e}".replace("-", "−") if self.value else "never off"


def residual(sides: Iterable[tuple[Tensor, Tensor]], relation: str = "=", *, tolerance: float = 1e-10) -> Residual:
    """Compare left and right sides of a statement.

    Args:
        sides: pairs of tensors of one shape in float64.
        relation: "=", "<=", ">=", or "= −", which turns the sign of the right side.
        tolerance: absolute tolerance.

    Raises:
        ValueError: an unknown relation, or sides of different shapes.
    """
    if relation not in RELATIONS:
        raise ValueError(f"unknown relation {relation!r}; allowed are {', '.join(RELATIONS)}")
    largest, compared = 0.0, 0
    for left, right in sides:
        if left.shape != right.shape:
            raise ValueError(f"the sides are {tuple(left.shape)} and {tuple(right.shape)}; allowed is one shape")
        difference = left + right if relation == "= −" else left - right
        violation = {"<=": difference, ">=": -difference}.get(relation, difference.abs()).max().item()
        largest = math.nan if math.isnan(violation) or math.isnan(largest) else max(largest, violation)
        compared += left.numel()
    return Residual(largest, tolerance, compared)


@dataclass(frozen=True)
class Effect:
    """A mean over seeds, with its 95 % t interval."""

    value: float
    half_width: float
    """Of the interval; NaN with one seed."""
    num_seeds: int
    where: str
    """The data, and the checkpoint."""
    scale: str
    """The scale of the data, a key of `SCALES`."""
    threshold: float = 0.0
    """What the interval has to leave out; zero unless the claim says by how much."""
    unit: str = ""
    """One of `UNITS`; the value of "times" is the logarithm of a ratio."""

    def holds(self, expected: str) -> bool:
        """Return whether the interval leaves out the threshold in the expected direction, "higher" or "lower"."""
        return verdict(self.value - self.threshold, self.half_width) == expected

    def certainty(self, expected: str) -> float:
        """Return the distance from the threshold in the expected direction, in half-widths; above 1 it holds."""
        distance = (self.value - self.threshold) * (1 if expected == "higher" else -1)
        if math.isnan(distance) or math.isnan(self.half_width):
            return -math.inf
        return distance / self.half_width if self.half_width else math.copysign(math.inf, distance) if distance else 0.0

    def __str__(self) -> str:
        return UNITS[self.unit](self.value, self.half_width)


def _times(value: float, half_width: float) -> str:
    middle, low, high = (number_text(math.exp(value + k * half_width), ".3g") for k in (0, -1, 1))
    return f"× {middle} ({low} to {high})"


UNITS = {
    "points": lambda value, half_width: f"{number_text(value, '+.2f', half_width, scale=100)} points",
    "nats": lambda value, half_width: f"{number_text(value, '+.3f', half_width)} nats",
    "times": _times,
    "": lambda value, half_width: number_text(value, "+.4f", half_width),
}
"""How an effect and the half-width of its interval are written, by unit."""


@dataclass(frozen=True)
class Measured:
    """What a check found in published results."""

    effects: tuple[Effect, ...]
    missing: tuple[str, ...] = ()
    """Data without two seeds that can be compared."""


@dataclass(frozen=True)
class Verdict:
    """A verdict, one of `VERDICTS`, and its reason in a sentence."""

    word: str
    reason: str

    @property
    def symbol(self) -> str:
        """The symbol that goes with the word."""
        return VERDICTS[self.word]

    @property
    def holds(self) -> bool:
        """Whether the check supports the claim."""
        return self.word in HOLDS


def judge(found: Residual | Measured, expected: str, scale: str) -> Verdict:
    """Judge what a check found.

    An exact statement is proved and checked if its residual is within the tolerance. A claim about data needs every
    effect to leave out its threshold in the expected direction. It is then reproduced if all data have the claim's own
    scale, and has its direction only if some are smaller. Data that are missing leave it not run, unless an effect
    speaks against it.

    Args:
        found: what the check gives.
        expected: of a residual a relation, which was applied already; of effects "higher" or "lower".
        scale: the scale that the claim is about.
    """
    if isinstance(found, Residual):
        reason = f"{found} in {found.compared:,} numbers; allowed is {found.tolerance:.0e}".replace("-", "−")
        return Verdict(PROVED if found.holds else NOT_REPRODUCED, reason)
    failing = [effect for effect in found.effects if not effect.holds(expected)]
    if failing:
        return Verdict(NOT_REPRODUCED, f"the interval is not on the claimed side {_listed(_places(failing))}")
    if found.missing or not found.effects:
        return Verdict(NOT_RUN, f"nothing to compare in {_listed(found.missing)}" if found.missing else "no data")
    smaller = [effect for effect in found.effects if effect.scale != scale]
    if smaller:
        scales = dict.fromkeys(SCALES[effect.scale] for effect in smaller)
        return Verdict(DIRECTION_ONLY, f"the data are of a smaller scale ({_listed(list(scales))})")
    return Verdict(REPRODUCED, "every interval is on the claimed side, on data of the claim's own scale")


def _places(effects: Sequence[Effect]) -> list[str]:
    """Name effects: all of up to three, two of more."""
    shown = effects if len(effects) <= 3 else effects[:2]
    more = [f"{len(effects) - len(shown)} more"] if len(shown) < len(effects) else []
    return [*(f"in {effect.where} ({effect})" for effect in shown), *more]


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
