"""Checks of claims on published results: effects over seeds, with their 95 % t intervals.

Each check takes data and a checkpoint and gives one number for each seed. Runs of one seed share split, initial weights
and order, so numbers are differences within seeds. A negative control is the check on other data, or with β and
reference swapped.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..analysis import complete_seeds, mean_interval
from ..common import InputError
from ..diagnostics import dropped_of, expected_increase
from .claims_data import PublishedRuns, can_compare, read_data, select
from .claims_verdict import Effect, Measured

if TYPE_CHECKING:
    import pandas as pd

INTERIOR = "interior"  # stands for the β between both ends with the lowest validation loss
CHECKPOINTS = ("best", "last")
PERCENT = ("accuracy", "individual_accuracy", "ahead", "fall", "systematic_drift")
DERIVED = {
    "gap": lambda data, rows: rows["ensemble"] - rows["train_ensemble"],
    "ahead": lambda data, rows: rows["accuracy"] - rows["individual_accuracy"],
    "codependence": lambda data, rows: _increase(data, rows["diversity"]),
}
"""Metrics that are made of columns: the generalisation gap; by how much the ensemble is ahead of its mean learner; the
expected increase of squared error when 40 % of the learners are dropped."""


def _increase(data: PublishedRuns, diversity: pd.Series) -> pd.Series:
    keep = data.num_learners - dropped_of(data.num_learners, 0.4)
    increase = expected_increase(torch.from_numpy(diversity.to_numpy(copy=True)), data.num_learners, keep)
    return diversity * 0 + increase.numpy()


def _by_seed(data: PublishedRuns, checkpoint: str, metric: str, beta: float) -> pd.Series:
    rows = data.tests[(data.tests["checkpoint"] == checkpoint) & (data.tests["beta"] == beta)]
    values = DERIVED[metric](data, rows) if metric in DERIVED else rows[metric]
    return values.set_axis(rows["seed"])


def difference(data: PublishedRuns, checkpoint: str, *, metric: str, beta: float, reference: float) -> pd.Series:
    """The metric at β minus that at the reference."""
    return _by_seed(data, checkpoint, metric, beta) - _by_seed(data, checkpoint, metric, reference)


def ratio(data: PublishedRuns, checkpoint: str, *, metric: str, beta: float, reference: float) -> pd.Series:
    """The logarithm of the metric at β over that at the reference."""
    return np.log(_by_seed(data, checkpoint, metric, beta) / _by_seed(data, checkpoint, metric, reference))


def early_stopping(data: PublishedRuns, checkpoint: str, *, metric: str, beta: float, reference: float) -> pd.Series:
    """The difference at the last epoch minus that at the best checkpoint, as `statistics.shift`."""
    at = {name: difference(data, name, metric=metric, beta=beta, reference=reference) for name in CHECKPOINTS}
    return at["last"] - at["best"]


def against(
    data: PublishedRuns, checkpoint: str, *, metric: str, beta: float, reference: float, other: PublishedRuns
) -> pd.Series:
    """The metric at β minus that of other data at the reference, for the seeds that both have."""
    return _by_seed(data, checkpoint, metric, beta) - _by_seed(other, checkpoint, metric, reference)


MEASURED_CHECKS: dict[str, Callable[..., Any]] = {
    check.__name__: check for check in (difference, ratio, early_stopping, against)
}
OPTIONS = {"metric", "data", "beta", "reference", "checkpoints", "threshold", "within", "other"}
"""What an entry may say about such a check."""


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Check the options of a measured check; raises InputError."""
    if missing := {"metric", "data"} - options.keys():
        raise InputError(f"the check {name} lacks {' and '.join(sorted(missing))}")
    takes_other = "other" in inspect.signature(MEASURED_CHECKS[name]).parameters
    if ("other" in options) != takes_other:
        raise InputError(f"the check {name} {'needs' if takes_other else 'takes no'} `other`")
    if not set(options.get("checkpoints", CHECKPOINTS)) <= set(CHECKPOINTS):
        raise InputError(f"checkpoints are {options['checkpoints']}; allowed are some of best, last")


def measure(
    name: str,
    *,
    metric: str,
    data: Mapping[str, Sequence[str]],
    beta: float | str = 1.0,
    reference: float = 0.0,
    checkpoints: Sequence[str] = CHECKPOINTS,
    threshold: float = 0.0,
    within: float | None = None,
    other: str | None = None,
    read: Callable[[str], PublishedRuns] = read_data,
) -> Measured:
    """Run a check on the data that a claim names.

    Args:
        name: of the check, a key of `MEASURED_CHECKS`.
        metric: a column of `Results.tests`, or one of `DERIVED`.
        data: how data are selected, and their names, as in `claims_data.select`.
        beta: what is compared with the reference; "interior": the β strictly between 0 and 1 with the lowest validation
            loss.
        reference: a β.
        checkpoints: "best", "last" or both; each gives an effect.
        threshold: what the interval has to leave out; of a ratio, a factor.
        within: judge the size of the mean, whatever its sign, against this threshold.
        other: the other data of the check `against`.
        read: reads data by name.
    """
    others = {} if other is None else {"other": read(other)}

    def betas(tests: pd.DataFrame) -> tuple[float, ...]:
        if others:
            return (beta,)
        chosen = _interior(tests) if beta == INTERIOR else beta
        return () if chosen is None else (chosen, reference)

    found, missing = select(data, betas, read)
    if any(not can_compare(of.tests, (reference,)) for of in others.values()):
        found, missing = [], [*missing, str(other)]
    effects = []
    for source in found:
        compared = betas(source.tests)
        rows = source.tests[source.tests["beta"].isin(compared)]
        complete = source._replace(tests=rows[rows["seed"].isin(complete_seeds(rows))])
        for checkpoint in checkpoints:
            at = {"metric": metric, "beta": compared[0], "reference": reference}
            values = MEASURED_CHECKS[name](complete, checkpoint, **at, **others).dropna()
            mean, half_width = mean_interval(values.to_numpy())
            told = f", β = {compared[0]:g}" if beta == INTERIOR else ""
            told += "" if name == "early_stopping" else f", {WHEN[checkpoint]}"
            effects.append(
                Effect(
                    value=float(abs(mean) if within is not None else mean),
                    half_width=float(half_width),
                    num_seeds=len(values),
                    where=f"{source.name}{told}",
                    scale=source.scale,
                    threshold=float(np.log(threshold) if name == "ratio" else threshold if within is None else within),
                    unit=_unit(name, metric, source),
                )
            )
    return Measured(tuple(effects), tuple(missing))


WHEN = {"best": "best checkpoint", "last": "last epoch"}


def _unit(name: str, metric: str, data: PublishedRuns) -> str:
    if name == "ratio":
        return "times"
    if metric in PERCENT:
        return "points"
    return "nats" if data.loss == "cross_entropy" else ""


def _interior(tests: pd.DataFrame) -> float | None:
    """Choose the β strictly between 0 and 1 with the lowest validation loss at the best checkpoint, over all seeds."""
    if tests.empty:
        return None
    best = tests[(tests["checkpoint"] == "best") & tests["beta"].between(0, 1, inclusive="neither")]
    means = best.groupby("beta")["val_ensemble"].agg(["mean", "count"])
    means = means[means["count"] == tests["seed"].nunique()]
    return None if means.empty else float(means["mean"].idxmin())
