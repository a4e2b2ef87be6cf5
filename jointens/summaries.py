"""What is said over seeds: means and paired differences, each with its 95 % interval, and the table of both.

Runs of one seed share split, initial weights and order, so β is compared within seeds: the interval of the mean
difference leaves out what differs between seeds, and is much narrower than the difference of two means would allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


# Columns of the frames, as a reader is told of them.
METRICS = {
    "accuracy": "ensemble accuracy",
    "individual_accuracy": "individual accuracy",
    "ensemble": "ensemble loss",
    "train_ensemble": "ensemble loss, training data",
    "individual": "individual loss",
    "diversity": "diversity",
}


def mean_interval(values: np.ndarray, axis: int = -1) -> tuple[np.ndarray, np.ndarray]:
    """Mean and half-width of its 95 % t interval along an axis; the half-width of a single value is NaN."""
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    n = values.shape[axis]
    if n < 2:
        return values.mean(axis), np.full_like(values.mean(axis), np.nan)
    return values.mean(axis), t.ppf(0.975, n - 1) * values.std(axis, ddof=1) / np.sqrt(n)


def reference_beta(tests: pd.DataFrame) -> float:
    """The β that others are compared with: 0, or the nearest to it in the grid."""
    return min(tests["beta"].unique(), key=abs)


def over_beta(tests: pd.DataFrame, column: str, *, paired: bool = False) -> pd.DataFrame:
    """Mean and half-width of the 95 % interval over seeds, for each checkpoint and β.

    tests: rows of beta, seed, checkpoint and metrics, as `Results.tests` gives them.
    paired: of the differences to the reference β within seeds, instead of the values.
    → columns checkpoint, beta, mean, half_width (NaN with one seed, and at the reference itself when paired).
    Seeds that lack a β are left out, so that every mean is over the same seeds. Where a run's metric is not finite, so
    is the mean.
    """
    import pandas as pd

    rows = []
    for checkpoint, of in tests.groupby("checkpoint"):
        betas_of = of.groupby("seed")["beta"].nunique()
        complete = betas_of.index[betas_of == of["beta"].nunique()]
        values = of.pivot(index="beta", columns="seed", values=column)[complete]
        reference = reference_beta(of)
        if paired:
            values = values - values.loc[reference]
        means, half_widths = mean_interval(values.to_numpy())
        if paired:
            half_widths[values.index == reference] = np.nan  # no comparison
        rows.append(
            pd.DataFrame({"checkpoint": checkpoint, "beta": values.index, "mean": means, "half_width": half_widths})
        )
    return pd.concat(rows, ignore_index=True)


def table(tests: pd.DataFrame) -> pd.DataFrame:
    """The sweep in figures, a row for each checkpoint and β; accuracies in per cent, their changes in points.

    Δ is the mean paired difference to the reference β, ± the half-width of its 95 % t interval over seeds, which is
    missing with one seed. "loss" is the ensemble's.
    """
    import pandas as pd

    columns = {}
    if "accuracy" in tests:
        columns["accuracy %"] = _texts(over_beta(tests, "accuracy"), 100, ".1f", interval=False)
        columns["Δ, points"] = _texts(over_beta(tests, "accuracy", paired=True), 100, "+.2f")
        columns["individual %"] = _texts(over_beta(tests, "individual_accuracy"), 100, ".1f", interval=False)
    columns["loss"] = _texts(over_beta(tests, "ensemble"), 1, ".4f", interval=False)
    columns["Δ loss"] = _texts(over_beta(tests, "ensemble", paired=True), 1, "+.4f")
    if "accuracy" not in tests:
        columns["individual"] = _texts(over_beta(tests, "individual"), 1, ".4f", interval=False)
    columns["diversity"] = _texts(over_beta(tests, "diversity"), 1, ".3f", interval=False)
    return pd.DataFrame(columns).rename_axis(["checkpoint", "β"])


def _texts(summary: pd.DataFrame, scale: float, style: str, *, interval: bool = True) -> pd.Series:
    def text(row) -> str:
        if interval and row["mean"] == 0 and np.isnan(row["half_width"]):
            return "–"  # the reference itself
        if not np.isfinite(row["mean"]):
            return "not finite"
        told = format(row["mean"] * scale, style)
        if interval and np.isfinite(row["half_width"]):
            told += " ± " + format(row["half_width"] * scale, style.lstrip("+"))
        return told.replace("-", "−")

    return summary.set_index(["checkpoint", "beta"]).apply(text, axis=1)


def compare(tests: pd.DataFrame, beta: float) -> pd.DataFrame:
    """β against the reference: each metric at both, its paired difference, and what the interval says about it.

    Indexed by metric and checkpoint. Columns: reference, beta, difference, half_width, verdict; the verdict is
    "higher" or "lower" if the 95 % interval of the difference leaves out zero, "no difference seen" if it holds zero,
    and "one seed, no interval" if there is none.
    """
    import pandas as pd

    rows, reference = [], reference_beta(tests)
    for metric in METRICS:
        if metric not in tests:
            continue
        means = over_beta(tests, metric).set_index(["checkpoint", "beta"])["mean"]
        differences = over_beta(tests, metric, paired=True).set_index(["checkpoint", "beta"])
        for checkpoint in differences.index.unique("checkpoint"):
            told = differences.loc[(checkpoint, beta)].to_list()
            row = (means[checkpoint, reference], means[checkpoint, beta], *told, verdict(*told))
            rows.append((metric, checkpoint, *row))
    columns = ["metric", "checkpoint", "reference", "beta", "difference", "half_width", "verdict"]
    return pd.DataFrame(rows, columns=columns).set_index(["metric", "checkpoint"])


def verdicts(runs: dict[str, pd.DataFrame], beta: float) -> pd.DataFrame:
    """The verdicts of `compare` for several sweeps side by side, a column for each; runs: their name → their tests."""
    import pandas as pd

    columns = {name: compare(tests, beta)["verdict"] for name, tests in runs.items()}
    return pd.DataFrame(columns).rename(index=METRICS, level="metric")


def verdict(difference: float, half_width: float) -> str:
    """What a difference and the half-width of its 95 % interval allow to say."""
    if not np.isfinite(difference):
        return "not finite"
    if np.isnan(half_width):
        return "one seed, no interval"
    if abs(difference) <= half_width:
        return "no difference seen"
    return "higher" if difference > 0 else "lower"
