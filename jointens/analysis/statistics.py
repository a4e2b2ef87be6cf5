"""Statistics over seeds: means and paired differences between β, each with its 95 % t interval.

Runs of one seed share split, initial weights and order, so β is compared within seeds: the interval of the mean
difference leaves out what differs between seeds, and is much narrower than the difference of two means would allow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..common import InputError

if TYPE_CHECKING:
    import pandas as pd

# Columns of `Results.tests`, in words.
METRIC_NAMES = {
    "accuracy": "ensemble accuracy",
    "individual_accuracy": "individual accuracy",
    "ensemble": "ensemble loss",
    "train_ensemble": "ensemble loss, training data",
    "individual": "individual loss",
    "diversity": "diversity",
}


def independent(betas: Iterable[float]) -> float:
    """Return the β of independent training: 0, or the nearest to it."""
    return min(betas, key=abs)


def joint(betas: Iterable[float]) -> float:
    """Return the β of joint training: 1, or the nearest to it."""
    return min(betas, key=lambda beta: abs(beta - 1))


def reference_beta(tests: pd.DataFrame) -> float:
    """Return the β that the others in a frame are compared with: 0, or the nearest to it."""
    return independent(tests["beta"].unique())


def side_by_side(reference: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Join two ways of training the same seeds, the reference as β = 0 and the other as β = 1, for `compare`.

    Args:
        reference: rows of `Results.tests`, one for each seed and checkpoint, whatever their β.
        other: the same of the other way.

    Raises:
        InputError: there are several rows for a seed and checkpoint.
    """
    import pandas as pd

    for rows in (reference, other):
        if rows.duplicated(["seed", "checkpoint"]).any():
            raise InputError("several rows have the same seed and checkpoint; allowed are those of a single β")
    return pd.concat([reference.assign(beta=0.0), other.assign(beta=1.0)], ignore_index=True)


def mean_interval(values: np.ndarray, axis: int = -1) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the half-width of its 95 % t interval along an axis; the half-width of one value is NaN."""
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    n = values.shape[axis]
    if n < 2:
        return values.mean(axis), np.full_like(values.mean(axis), np.nan)
    return values.mean(axis), t.ppf(0.975, n - 1) * values.std(axis, ddof=1) / np.sqrt(n)


def complete_seeds(tests: pd.DataFrame) -> list[int]:
    """Return the seeds that have every β at every checkpoint: means and intervals are over these.

    Raises:
        InputError: there are none.
    """
    if tests.empty:
        raise InputError("these results hold no test: no cell is finished, or all of them diverged")
    counts = tests.groupby("seed").size()
    complete = counts.index[counts == tests.groupby(["checkpoint", "beta"]).ngroups].to_list()
    if not complete:
        found = ", ".join(f"{beta:g} ({rows['seed'].nunique()} seeds)" for beta, rows in tests.groupby("beta"))
        raise InputError(
            f"no seed has every β, so nothing can be compared: the β are {found}; others diverged or are missing"
        )
    return complete


def over_beta(tests: pd.DataFrame, column: str, *, paired: bool = False) -> pd.DataFrame:
    """Compute the mean over seeds and the half-width of its 95 % interval, for each checkpoint and β.

    Seeds that lack a β are left out, so that every mean is over the same seeds. Where a run's metric is not finite,
    neither is the mean.

    Args:
        tests: rows of beta, seed, checkpoint and metrics, as `Results.tests` gives them.
        column: one of the metrics.
        paired: summarise the differences to the reference β within seeds, instead of the values.

    Returns:
        Columns checkpoint, beta, mean, half_width (NaN with one seed, and at the reference itself when paired).

    Raises:
        InputError: no seed has every β; or the results have no such metric, as those converted from the authors' code
            have none on training data.
    """
    import pandas as pd

    seeds = complete_seeds(tests)
    if column not in tests:
        name = METRIC_NAMES.get(column, column)
        raise InputError(f"these results hold no {name}: whoever trained them did not log it")
    parts = []
    for checkpoint, rows in tests.groupby("checkpoint"):
        values = rows.pivot(index="beta", columns="seed", values=column)[seeds]
        reference = reference_beta(rows)
        if paired:
            values = values - values.loc[reference]
        means, half_widths = mean_interval(values.to_numpy())
        if paired:
            half_widths[values.index == reference] = np.nan  # no comparison
        parts.append(
            pd.DataFrame({"checkpoint": checkpoint, "beta": values.index, "mean": means, "half_width": half_widths})
        )
    return pd.concat(parts, ignore_index=True)


def shift(tests: pd.DataFrame, column: str, beta: float) -> tuple[float, float]:
    """Compute how the paired difference of β to the reference changes from the best checkpoint to the last epoch.

    Returns:
        Its mean over seeds and the half-width of its 95 % t interval.
    """
    values = tests.pivot(index="seed", columns=["checkpoint", "beta"], values=column).loc[complete_seeds(tests)]
    difference = {at: values[at, beta] - values[at, reference_beta(tests)] for at in ("best", "last")}
    return mean_interval((difference["last"] - difference["best"]).to_numpy())


def compare(tests: pd.DataFrame, beta: float) -> pd.DataFrame:
    """Compare β with the reference: each metric at both, its paired difference, and a verdict on its interval.

    Returns:
        A frame indexed by metric and checkpoint, with the columns reference, beta, difference, half_width, verdict; the
        verdict is that of `verdict`, or "reference" if β is the reference.
    """
    import pandas as pd

    complete_seeds(tests)
    if beta not in tests["beta"].to_numpy():
        found = ", ".join(f"{known:g}" for known in sorted(tests["beta"].unique()))
        raise InputError(f"β = {beta:g} has no finished cell that did not diverge; the β here are {found}")
    rows, reference = [], reference_beta(tests)
    for metric in METRIC_NAMES:
        if metric not in tests:
            continue
        means = over_beta(tests, metric).set_index(["checkpoint", "beta"])["mean"]
        differences = over_beta(tests, metric, paired=True).set_index(["checkpoint", "beta"])
        for checkpoint in differences.index.unique("checkpoint"):
            difference, half_width = differences.loc[(checkpoint, beta)].to_list()
            judged = "reference" if beta == reference else verdict(difference, half_width)
            values = (means[checkpoint, reference], means[checkpoint, beta], difference, half_width, judged)
            rows.append((metric, checkpoint, *values))
    columns = ["metric", "checkpoint", "reference", "beta", "difference", "half_width", "verdict"]
    return pd.DataFrame(rows, columns=columns).set_index(["metric", "checkpoint"])


def verdict(difference: float, half_width: float) -> str:
    """Judge a difference by the half-width of its 95 % interval.

    Returns:
        "higher" or "lower" if the interval leaves out zero, "no difference seen" if it holds zero, "one seed, no
        interval" if there is none, "not finite" if the difference is not.
    """
    if not np.isfinite(difference):
        return "not finite"
    if np.isnan(half_width):
        return "one seed, no interval"
    if abs(difference) <= half_width:
        return "no difference seen"
    return "higher" if difference > 0 else "lower"
