"""What is said over seeds: means and paired differences, each with its 95 % interval, and the table of both.

Runs of one seed share split, initial weights and order, so β is compared within seeds: the interval of the mean
difference leaves out what differs between seeds, and is much narrower than the difference of two means would allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from ..experiment.folder import Results


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

    Seeds that lack a β are left out, so that every mean is over the same seeds. Where a run's metric is not finite,
    neither is the mean.

    Args:
        tests: rows of beta, seed, checkpoint and metrics, as `Results.tests` gives them.
        column: one of the metrics.
        paired: of the differences to the reference β within seeds, instead of the values.

    Returns:
        Columns checkpoint, beta, mean, half_width (NaN with one seed, and at the reference itself when paired).

    Raises:
        InputError: the results have no such metric; those converted from the authors' code have none on training data.
    """
    import pandas as pd

    if column not in tests:
        raise InputError(f"these results hold no {METRICS.get(column, column)}: whoever trained them did not log it")
    rows = []
    for checkpoint, of in tests.groupby("checkpoint"):
        values = of.pivot(index="beta", columns="seed", values=column)[complete_seeds(tests)]
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


def complete_seeds(tests: pd.DataFrame) -> list[int]:
    """The seeds that have every β at every checkpoint: those that means and intervals are over."""
    counts = tests.groupby("seed").size()
    return counts.index[counts == tests.groupby(["checkpoint", "beta"]).ngroups].to_list()


def table(tests: pd.DataFrame) -> pd.DataFrame:
    """The sweep in numbers, a row for each checkpoint and β; accuracies in per cent, their differences in points.

    Δ is the mean paired difference to the reference β, ± the half-width of its 95 % t interval over seeds, which is
    missing with one seed.
    """
    import pandas as pd

    columns = {}
    if "accuracy" in tests:
        columns["ensemble accuracy, %"] = _texts(over_beta(tests, "accuracy"), 100, ".1f", interval=False)
        columns["Δ accuracy, points"] = _texts(over_beta(tests, "accuracy", paired=True), 100, "+.2f")
        columns["individual accuracy, %"] = _texts(over_beta(tests, "individual_accuracy"), 100, ".1f", interval=False)
    columns["ensemble loss"] = _texts(over_beta(tests, "ensemble"), 1, ".4f", interval=False)
    columns["Δ ensemble loss"] = _texts(over_beta(tests, "ensemble", paired=True), 1, "+.4f")
    return pd.DataFrame(columns).rename_axis(["checkpoint", "β"])


def baselines(sweep: Results, alone: Mapping[str, Results]) -> pd.DataFrame:
    """An ensemble for each β, its mean learner, and single learners that were trained alone, at the best checkpoint.

    Columns: weights of all learners together, test accuracy in per cent and NLL, both ± the half-width of the 95 % t
    interval over seeds (not of a difference).

    Args:
        sweep: of an ensemble of classifiers.
        alone: sweeps of single learners with one β, by the name of their row.
    """
    import pandas as pd

    experiment = sweep.experiment
    parts = {"ensemble": ("accuracy", "ensemble"), "mean learner": ("individual_accuracy", "individual")}
    share = {"ensemble": 1, "mean learner": experiment.num_learners}
    rows = {}
    for name, columns in parts.items():
        for beta in sorted(sweep.tests()["beta"].unique()):
            weights = experiment.num_parameters // share[name]
            rows[f"{name}, β = {beta:g}"] = (weights, *_at_best(sweep, beta, columns))
    for name, results in alone.items():
        if not results.records():
            raise InputError(f"{results.folder} holds no finished cell")
        beta = results.experiment.beta_vals[0]
        rows[name] = (results.experiment.num_parameters, *_at_best(results, beta, parts["ensemble"]))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["weights", "accuracy, %", "NLL"])


def _at_best(results: Results, beta: float, columns: tuple[str, str]) -> list[str]:
    told = []
    for column, scale, style in zip(columns, (100, 1), (".1f", ".3f"), strict=True):
        summary = over_beta(results.tests(), column).set_index(["checkpoint", "beta"])
        mean, half_width = summary.loc[("best", beta)]
        told.append(_number(mean * scale, style, half_width * scale))
    return told


def generalisation(tests: pd.DataFrame, betas: Sequence[float]) -> pd.DataFrame:
    """Individual loss, diversity and ensemble loss on training and on test data: means over seeds for some β."""
    import pandas as pd

    columns = {}
    for loss, name in (("individual", "individual loss"), ("diversity", "diversity"), ("ensemble", "ensemble loss")):
        for column, data in ((f"train_{loss}", "training"), (loss, "test")):
            columns[f"{name}, {data}"] = _texts(over_beta(tests, column), 1, ".3f", interval=False)
    rows = pd.DataFrame(columns).rename_axis(["checkpoint", "β"])
    return rows[rows.index.isin(betas, level="β")]


def shift(tests: pd.DataFrame, column: str, beta: float) -> tuple[float, float]:
    """How the paired difference of β to the reference changes from the best checkpoint to the last epoch.

    Returns:
        Its mean over seeds and the half-width of its 95 % t interval.
    """
    values = tests.pivot(index="seed", columns=["checkpoint", "beta"], values=column).loc[complete_seeds(tests)]
    against = {at: values[at, beta] - values[at, reference_beta(tests)] for at in ("best", "last")}
    return mean_interval((against["last"] - against["best"]).to_numpy())


def texts(tests: pd.DataFrame, beta: float) -> dict[str, str]:
    """The numbers that a chapter's sentences quote about β and the reference, by name; accuracies in per cent.

    For each metric and checkpoint: `accuracy_last` at β, `accuracy_last_reference`, `accuracy_last_difference` (paired,
    in points, ± the half-width of its interval); `accuracy_shift`, as in `shift`; `diversity_last_ratio`; `gain_last`:
    by how many points the reference's ensemble is better than its mean learner.
    """
    told, compared = {}, compare(tests, beta)
    for (metric, checkpoint), row in compared.iterrows():
        name, (scale, digits) = f"{metric}_{checkpoint}", (100, 2) if "accuracy" in metric else (1, 3)
        told[name] = _number(row["beta"] * scale, f".{digits - 1}f")
        told[f"{name}_reference"] = _number(row["reference"] * scale, f".{digits - 1}f")
        told[f"{name}_difference"] = _number(row["difference"] * scale, f"+.{digits}f", row["half_width"] * scale)
        if f"{metric}_shift" not in told and len(compared.index.unique("checkpoint")) == 2:  # the same for both
            mean, half_width = shift(tests, metric, beta)
            told[f"{metric}_shift"] = _number(mean * scale, f"+.{digits}f", half_width * scale)
    for checkpoint in compared.index.unique("checkpoint"):
        diversity = compared.loc[("diversity", checkpoint)]
        told[f"diversity_{checkpoint}_ratio"] = _number(diversity["beta"] / diversity["reference"], ".0f")
        if "accuracy" in tests:
            of = compared.xs(checkpoint, level="checkpoint")["reference"]
            told[f"gain_{checkpoint}"] = _number(100 * (of["accuracy"] - of["individual_accuracy"]), ".1f")
    return told


def _texts(summary: pd.DataFrame, scale: float, style: str, *, interval: bool = True) -> pd.Series:
    reference = min(summary["beta"], key=abs) if style.startswith("+") else None  # which has no difference to itself

    def text(row) -> str:
        if row.name[1] == reference:
            return "–"
        return _number(row["mean"] * scale, style, row["half_width"] * scale if interval else np.nan)

    return summary.set_index(["checkpoint", "beta"]).apply(text, axis=1)


def _number(value: float, style: str, half_width: float = np.nan) -> str:
    """A number as text, with its interval if it has one, and with a true minus."""
    if not np.isfinite(value):
        return "not finite"
    told = format(value, style)
    if np.isfinite(half_width):
        told += " ± " + format(half_width, style.lstrip("+"))
    return told.replace("-", "−")


def compare(tests: pd.DataFrame, beta: float) -> pd.DataFrame:
    """β against the reference: each metric at both, its paired difference, and what the interval says about it.

    Indexed by metric and checkpoint. Columns: reference, beta, difference, half_width, verdict; the verdict is
    "higher" or "lower" if the 95 % interval of the difference leaves out zero, "no difference seen" if it holds zero,
    "one seed, no interval" if there is none, "not finite" if a run's metric is not, and "reference" if β is that.
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
            said = "reference" if beta == reference else verdict(*told)
            row = (means[checkpoint, reference], means[checkpoint, beta], *told, said)
            rows.append((metric, checkpoint, *row))
    columns = ["metric", "checkpoint", "reference", "beta", "difference", "half_width", "verdict"]
    return pd.DataFrame(rows, columns=columns).set_index(["metric", "checkpoint"])


def verdicts(runs: dict[str, pd.DataFrame], betas: Sequence[float]) -> pd.DataFrame:
    """The verdicts of `compare` side by side, a column for each sweep and β; "no difference seen" becomes a dash.

    Args:
        runs: the sweeps' names, and their `Results.tests`.
        betas: what is compared with the reference β.
    """
    import pandas as pd

    columns = {f"{name}, β = {b:g}": compare(tests, b)["verdict"] for name, tests in runs.items() for b in betas}
    return pd.DataFrame(columns).replace("no difference seen", "–").rename(index=METRICS, level="metric")


def changes(runs: dict[str, pd.DataFrame], beta: float) -> pd.DataFrame:
    """What β changes against the reference on training and on test data, a row for each sweep and checkpoint.

    Paired differences of the ensemble loss with the half-widths of their 95 % t intervals, "higher" or "lower" behind
    those whose interval leaves out zero; and diversity as a ratio.

    Args:
        runs: the sweeps' names, and their `Results.tests`.
        beta: what is compared.
    """
    import pandas as pd

    rows = {}
    for name, tests in runs.items():
        compared = compare(tests, beta)
        for checkpoint in compared.index.unique("checkpoint"):
            of = compared.xs(checkpoint, level="checkpoint")
            told = {}
            for column, metric in (("Δ training loss", "train_ensemble"), ("Δ test loss", "ensemble")):
                row = of.loc[metric]
                said = row["verdict"] if row["verdict"] in ("higher", "lower") else ""
                told[column] = f"{_number(row['difference'], '+.4f', row['half_width'])} {said}".strip()
            diversity = of.loc["diversity"]
            told["diversity"] = f"× {_number(diversity['beta'] / diversity['reference'], '.0f')}"
            rows[name, checkpoint] = told
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["data", "checkpoint"])


def verdict(difference: float, half_width: float) -> str:
    """What a difference and the half-width of its 95 % interval allow to say."""
    if not np.isfinite(difference):
        return "not finite"
    if np.isnan(half_width):
        return "one seed, no interval"
    if abs(difference) <= half_width:
        return "no difference seen"
    return "higher" if difference > 0 else "lower"
