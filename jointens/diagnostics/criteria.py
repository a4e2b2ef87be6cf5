"""Criteria for signs of collusion: derive findings, with sentences and alarms, from an ensemble's statistics.

A threshold is compared with the end of a finding's interval, not with its value. The thresholds:

- `error correlation` below 0: errors cancel better than if they were uncorrelated. Learners trained on the same data
  are far above. Since there are few learners, the interval is widened by the jackknife's deviation over learners.
- `constant shifts` above 15 % and `systematic drift` above 30 % of the squared deviations, if that is more than 5 % of
  the learners' squared errors as well: after a few epochs, learners that hardly differ mostly differ by their
  initialisation, which does no harm. These thresholds are conventions. Independently trained MLPs, bagged or not, and
  random forests, on five of scikit-learn's data sets, stayed below one of the two; jointly trained MLPs reached 15 to
  65 % and 18 to 80 % of large deviations (test_criteria.py tries some of both).
- With a reference: `paid back` above three quarters of the extra diversity, if diversity has at least doubled; and
  `accuracy lost`, without two fifths of the learners, at least one point more than the reference loses.

All of this assumes learners of one kind, trained for one purpose. Models of different flexibility, or of different
quantiles, legitimately differ by shifts and stretches.

Without a reference, codependence is no sign. For squared error it is a multiple of diversity; and in a small ensemble
of weak learners, such as five trees of a forest, accuracy falls by many points when two are dropped, without collusion.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .bootstrap import estimate
from .report import Finding
from .statistics import COMPARED_SHARE, EnsembleStatistics, dropped_of

MAX_SHIFT_SHARE, MAX_AFFINE_SHARE, MIN_ERROR_SHARE = 0.15, 0.3, 0.05
MAX_PAID_BACK, MIN_DIVERSITY_RATIO = 0.75, 2.0
MAX_ACCURACY_LOST = 0.01  # beyond what the reference loses
ROUNDING = 1e-9


def derive_findings(statistics: EnsembleStatistics) -> Iterator[Finding]:
    """Derive all findings, in the order of the report."""
    means = statistics.means
    individual, ensemble, diversity = (means[name] for name in ("individual", "ensemble", "diversity"))
    yield _finding("individual loss", individual, "Of a learner by itself, in the mean.")
    yield _finding("ensemble loss", ensemble, "Of their average.")
    gained = _percent(_ratio(diversity, individual)[0])
    yield _finding(
        "diversity", diversity, f"What averaging gains, individual − ensemble loss: {gained} of the individual loss."
    )
    yield _constant_shifts(statistics)
    yield _systematic_drift(statistics)
    yield _error_correlation(statistics)
    for drop in statistics.num_dropped:
        yield from _codependence(statistics, drop, first=drop == statistics.num_dropped[0])
    if statistics.reference:
        yield from _against_reference(statistics)


def _constant_shifts(statistics: EnsembleStatistics) -> Finding:
    deviations, number = statistics.means["deviations"], len(statistics.ensemble.targets)
    shifts = statistics.means["shifts"].square().sum(1)  # (1 + RESAMPLES,)
    # The squared mean of N examples is biased by variance / N, a resample's by twice as much.
    bias = (deviations - shifts) / (number - 1)
    shifts = shifts - bias * torch.where(torch.arange(len(bias), device=bias.device) > 0, 2, 1)
    share = _ratio(shifts, deviations)
    alarm = estimate(share).low > MAX_SHIFT_SHARE and _is_material(shifts, statistics)
    sentence = (
        f"{_percent(share[0])} of what separates the learners is a constant shift of each, which cancels in the "
        "average and tells nothing about any example."
        if alarm
        else f"Constant shifts of the learners make up {_percent(share[0].clamp_min(0))} of what separates them."
    )
    return _finding("constant shifts", share, sentence, alarm, unit="%")


def _systematic_drift(statistics: EnsembleStatistics) -> Finding:
    explained = statistics.means["deviations"] - statistics.means["unexplained"]
    share = _ratio(explained, statistics.means["deviations"])
    alarm = estimate(share).low > MAX_AFFINE_SHARE and _is_material(explained, statistics)
    percent = _percent(share[0].clamp_min(0))
    sentence = (
        f"{percent} of what separates the learners can be read off their mean prediction: they stretch and shift the "
        "same answer against each other."
        if alarm
        else f"Their mean prediction explains {percent} of what separates the learners"
        + (" (below zero: worse than nothing, on examples that it was not fitted to)." if share[0] < 0 else ".")
    )
    return _finding("systematic drift", share, sentence, alarm, unit="%")


def _is_material(squares: Tensor, statistics: EnsembleStatistics) -> bool:
    """Check that squared deviations are more than a small part of the learners' squared errors."""
    return estimate(_ratio(squares, statistics.means["errors"])).low > MIN_ERROR_SHARE


def _error_correlation(statistics: EnsembleStatistics) -> Finding:
    own, joint = statistics.means["errors"], statistics.means["joint_errors"]
    correlation = _ratio(joint - own, own * (statistics.num_learners - 1))
    value, _, high = estimate(correlation)
    # Uncertainty over the choice of examples and of learners, added in squares as if independent.
    half_width = ((high - value) ** 2 + (1.96 * statistics.correlation_deviation) ** 2) ** 0.5
    alarm = value + half_width < 0
    sentence = (
        "The learners' errors make up for each other better than if they had nothing in common."
        if alarm
        else "How alike two learners' errors are: 1 the same, 0 independent, below 0 they make up for each other."
    )
    return _finding("error correlation", correlation, sentence, alarm)


def _codependence(statistics: EnsembleStatistics, drop: int, *, first: bool) -> Iterator[Finding]:
    increase, number = statistics.means[f"drop{drop}"], statistics.num_learners
    without = f"without {drop} of {number}"
    ensemble, keep = statistics.means["ensemble"][0], number - drop
    sentence = f"The loss rises by {_percent(increase[0] / ensemble)}" if ensemble > 0 else "So much the loss rises"
    subset = f"{keep} learners, chosen at random, are averaged" if keep > 1 else "one learner, chosen at random, stays"
    sentence += f" if only {subset}." if first else "."
    if statistics.ensemble.loss == "squared_error" and first:
        sentence += " For squared error this is a fixed multiple of diversity, and no evidence of its own."
    yield _finding(f"codependence, {without}", increase, sentence)
    if statistics.ensemble.loss == "squared_error":
        return
    lost = statistics.means[f"accuracy{drop}"]
    yield _finding(f"accuracy lost, {without}", lost, "So much accuracy falls.", unit="points")


def _against_reference(statistics: EnsembleStatistics) -> Iterator[Finding]:
    means = statistics.means
    ratio = _ratio(means["diversity"], means["reference_diversity"])
    sentence = f"Diversity is {ratio[0].clamp_min(0):.3g} times that of the reference."
    yield _finding("diversity, ratio to reference", ratio, sentence)
    if "reference_accuracy" in means:
        drop = dropped_of(statistics.num_learners, COMPARED_SHARE)
        beyond = means[f"accuracy{drop}"] - means["reference_accuracy"]
        alarm = estimate(beyond).low > MAX_ACCURACY_LOST
        number = statistics.num_learners
        sentence = f"Without {drop} of {number} learners accuracy falls by so much more than the reference's"
        sentence += ": the learners work less well without each other." if alarm else " does."
        yield _finding("accuracy lost, beyond reference", beyond, sentence, alarm, unit="points")
    extra, cost = (means[name] - means[f"reference_{name}"] for name in ("diversity", "individual"))
    gain = means["reference_ensemble"] - means["ensemble"]  # extra − cost
    yield _finding("ensemble loss, below reference", gain, "What the ensemble gains over the reference, if positive.")
    if not estimate(ratio).low > 1:  # no extra diversity, and a ratio of two numbers near zero is meaningless
        return
    paid = _ratio(cost, extra)
    is_large = estimate(ratio).low > MIN_DIVERSITY_RATIO
    alarm = is_large and estimate(paid).low > MAX_PAID_BACK
    sentence = f"{_percent(paid[0])} of the extra diversity is paid back by a larger individual loss"
    if paid[0] > 1 + ROUNDING:
        sentence += ": more than there is, the ensemble is worse."
    elif paid[0] < -ROUNDING:
        sentence = "Nothing of the extra diversity is paid back: the learners by themselves are better as well."
    else:
        sentence += ": little of it reaches the ensemble." if alarm else "; the rest reaches the ensemble."
    yield _finding("paid back", paid, sentence, alarm, unit="%")


def _finding(name: str, rows: Tensor, sentence: str, alarm: bool = False, unit: str = "") -> Finding:
    interval = estimate(rows)
    return Finding(name, interval.value, interval.low, interval.high, sentence, alarm, unit)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide row by row, with 0 / 0 = 0: identical learners have no deviations to explain."""
    return torch.where((numerator == 0) & (denominator == 0), 0, numerator / denominator)


def _percent(share: Tensor) -> str:
    percent = 100 * share.item()
    return f"{percent:.{0 if abs(percent) >= 10 else 1}f} %".replace("-", "−")
