"""What the evidence says, in sentences, and what counts as a sign of collusion.

Signs are asked of the end of an interval, not of the number itself. Where the lines are:

- `error correlation` below 0, where errors make up for each other better than if they had nothing in common. Learners
  trained on the same data are far above. Since the learners are few, the interval is widened here by how much one
  learner more or less would change the number (the jackknife).
- `constant shifts` above 15 % and `systematic drift` above 30 % of the deviations, if that is more than 5 % of the
  learners' squared errors as well: learners that hardly differ, after a few epochs, differ by how they began, which
  does no harm. These lines are conventions. Independently trained perceptrons, bagged or not, and random forests, on
  five of scikit-learn's sets, stayed below one of the two lines; perceptrons trained jointly came to 15 to 65 % and 18
  to 80 % of deviations that were large (test_findings.py tries some of both).
- With a reference: `paid back` more than three quarters of the extra diversity, where diversity has at least doubled;
  and `accuracy lost` without two fifths of the learners, a point or more beyond what the reference loses.

All of this presumes learners of one kind that were trained for one purpose. Models of different flexibility, or of
different quantiles, differ by shifts and stretches for honest reasons.

Without a reference codependence is no sign. For squared error it is a multiple of diversity; and in a small ensemble of
weak learners, five trees of a forest, accuracy falls by many points when two are dropped, though nobody colludes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .bootstrap import estimate
from .report import Finding
from .statistics import COMPARED_SHARE, Evidence, dropped_of

MOST_SHIFTS, MOST_DRIFT, MATERIAL = 0.15, 0.3, 0.05
MOST_PAID_BACK, DOUBLED = 0.75, 2.0
ROUNDING = 1e-9
MOST_ACCURACY = 0.01  # lost beyond the reference


def findings_of(evidence: Evidence) -> Iterator[Finding]:
    """Every finding, in the order in which a reader is told of them."""
    means = evidence.means
    individual, ensemble, diversity = (means[name] for name in ("individual", "ensemble", "diversity"))
    yield _found("individual loss", individual, "Of a learner by itself, in the mean.")
    yield _found("ensemble loss", ensemble, "Of their average.")
    gained = _percent(_ratio(diversity, individual)[0])
    yield _found(
        "diversity", diversity, f"What averaging gains, individual − ensemble loss: {gained} of the individual loss."
    )
    yield _shifts(evidence)
    yield _drift(evidence)
    yield _correlation(evidence)
    for drop in evidence.drops:
        yield from _codependence(evidence, drop, first=drop == evidence.drops[0])
    if evidence.reference:
        yield from _against_reference(evidence)


def _shifts(evidence: Evidence) -> Finding:
    deviations, number = evidence.means["deviations"], len(evidence.case.targets)
    shifts = evidence.means["shifts"].square().sum(1)  # (1 + RESAMPLES,)
    # The square of a mean over N examples is too large by a variance over N, that of a resample by twice as much.
    chance = (deviations - shifts) / (number - 1)
    shifts = shifts - chance * torch.where(torch.arange(len(chance)) > 0, 2, 1)
    share = _ratio(shifts, deviations)
    alarm = estimate(share).low > MOST_SHIFTS and _is_material(shifts, evidence)
    said = (
        f"{_percent(share[0])} of what separates the learners is a constant shift of each, which cancels in the "
        "average and tells nothing about any example."
        if alarm
        else f"Constant shifts of the learners make up {_percent(share[0].clamp_min(0))} of what separates them."
    )
    return _found("constant shifts", share, said, alarm, unit="%")


def _drift(evidence: Evidence) -> Finding:
    explained = evidence.means["deviations"] - evidence.means["unexplained"]
    share = _ratio(explained, evidence.means["deviations"])
    alarm = estimate(share).low > MOST_DRIFT and _is_material(explained, evidence)
    told = _percent(share[0].clamp_min(0))
    said = (
        f"{told} of what separates the learners can be read off their mean prediction: they stretch and shift the same "
        "answer against each other."
        if alarm
        else f"Their mean prediction explains {told} of what separates the learners"
        + (" (below zero: worse than nothing, on examples that it was not fitted to)." if share[0] < 0 else ".")
    )
    return _found("systematic drift", share, said, alarm, unit="%")


def _is_material(squares: Tensor, evidence: Evidence) -> bool:
    """Whether squared deviations are more than a small part of the learners' squared errors."""
    return estimate(_ratio(squares, evidence.means["errors"])).low > MATERIAL


def _correlation(evidence: Evidence) -> Finding:
    own, joint = evidence.means["errors"], evidence.means["joint_errors"]
    correlation = _ratio(joint - own, own * (evidence.num_learners - 1))
    found = estimate(correlation)
    # Of which the examples are many and the learners few: both kinds of chance, as if independent, added in squares.
    widened = ((found.high - found.value) ** 2 + (1.96 * evidence.correlation_deviation) ** 2) ** 0.5
    alarm = found.value + widened < 0
    said = (
        "The learners' errors make up for each other better than if they had nothing in common."
        if alarm
        else "How alike two learners' errors are: 1 the same, 0 independent, below 0 they make up for each other."
    )
    return _found("error correlation", correlation, said, alarm)


def _codependence(evidence: Evidence, drop: int, *, first: bool) -> Iterator[Finding]:
    increase, number = evidence.means[f"drop{drop}"], evidence.num_learners
    without = f"without {drop} of {number}"
    ensemble, left = evidence.means["ensemble"][0], number - drop
    said = f"The loss rises by {_percent(increase[0] / ensemble)}" if ensemble > 0 else "So much the loss rises"
    some = f"{left} learners, chosen at random, are averaged" if left > 1 else "one learner, chosen at random, stays"
    said += f" if only {some}." if first else "."
    if evidence.case.loss == "squared_error" and first:
        said += " For squared error this is a fixed multiple of diversity, and no evidence of its own."
    yield _found(f"codependence, {without}", increase, said)
    if evidence.case.loss == "squared_error":
        return
    fall = evidence.means[f"accuracy{drop}"]
    yield _found(f"accuracy lost, {without}", fall, "So much accuracy falls.", unit="points")


def _against_reference(evidence: Evidence) -> Iterator[Finding]:
    means = evidence.means
    ratio = _ratio(means["diversity"], means["reference_diversity"])
    told = f"Diversity is {ratio[0].clamp_min(0):.3g} times that of the reference."
    yield _found("diversity, ratio to reference", ratio, told)
    if "reference_accuracy" in means:
        drop = dropped_of(evidence.num_learners, COMPARED_SHARE)
        beyond = means[f"accuracy{drop}"] - means["reference_accuracy"]
        alarm = estimate(beyond).low > MOST_ACCURACY
        told = f"Without {drop} of {evidence.num_learners} learners accuracy falls by so much more than the reference's"
        told += ": the learners work less well without each other." if alarm else " does."
        yield _found("accuracy lost, beyond reference", beyond, told, alarm, unit="points")
    extra, cost = (means[name] - means[f"reference_{name}"] for name in ("diversity", "individual"))
    left = means["reference_ensemble"] - means["ensemble"]  # extra − cost: what the ensemble has from it
    yield _found("ensemble loss, below reference", left, "What the ensemble gains over the reference, if positive.")
    if not estimate(ratio).low > 1:  # nothing to pay back, and a ratio of two numbers near zero says nothing
        return
    paid = _ratio(cost, extra)
    doubled = estimate(ratio).low > DOUBLED
    alarm = doubled and estimate(paid).low > MOST_PAID_BACK
    said = f"{_percent(paid[0])} of the extra diversity is paid back by a larger individual loss"
    if paid[0] > 1 + ROUNDING:
        said += ": more than there is, the ensemble is worse."
    elif paid[0] < -ROUNDING:
        said = "Nothing of the extra diversity is paid back: the learners by themselves are better as well."
    else:
        said += ": little of it reaches the ensemble." if alarm else "; the rest reaches the ensemble."
    yield _found("paid back", paid, said, alarm, unit="%")


def _found(name: str, rows: Tensor, sentence: str, alarm: bool = False, unit: str = "") -> Finding:
    of = estimate(rows)
    return Finding(name, of.value, of.low, of.high, sentence, alarm, unit)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Row by row; 0 where nothing is divided by nothing: learners that are all the same deviate by nothing."""
    return torch.where((above == 0) & (below == 0), 0, above / below)


def _percent(share: Tensor) -> str:
    percent = 100 * share.item()
    return f"{percent:.{0 if abs(percent) >= 10 else 1}f} %".replace("-", "−")
