"""Tables and texts of sweeps for readers: numbers as text, with the intervals of analysis/statistics.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..analysis import METRIC_NAMES, compare, independent, over_beta, shift
from ..common import InputError
from ..experiment import Results
from ..sweeps import num_parameters

if TYPE_CHECKING:
    import pandas as pd


# Columns of `changes`: heading, metric, format and scale.
CHANGES = (
    ("Δ training loss", "train_ensemble", "+.4f", 1),
    ("Δ test loss", "ensemble", "+.4f", 1),
    ("Δ test accuracy", "accuracy", "+.2f", 100),
)


def number_text(
    value: float, style: str, half_width: float = np.nan, *, scale: float = 1, missing: str = "not finite"
) -> str:
    """Write a number, and its interval if it has one, with a true minus.

    Args:
        value: the number.
        style: as for `format`, such as "+.2f".
        half_width: of its interval, which is written behind "±"; NaN: none.
        scale: a factor on both, such as 100 for per cent.
        missing: the text for a value that is not finite.
    """
    if not np.isfinite(value):
        return missing
    text = format(value * scale, style)
    if np.isfinite(half_width):
        text += " ± " + format(half_width * scale, style.lstrip("+"))
    return text.replace("-", "−")


def table(tests: pd.DataFrame) -> pd.DataFrame:
    """Make the table of a sweep, a row for each checkpoint and β; accuracies in per cent, their differences in points.

    Δ is the mean paired difference to the reference β, ± the half-width of its 95 % t interval over seeds, which is
    missing with one seed.

    Args:
        tests: what `Results.tests` gives.
    """
    import pandas as pd

    columns = {}
    if "accuracy" in tests:
        columns["ensemble accuracy, %"] = _means(tests, "accuracy", 100, ".1f")
        columns["Δ accuracy, points"] = _differences(tests, "accuracy", 100, "+.2f")
        columns["individual accuracy, %"] = _means(tests, "individual_accuracy", 100, ".1f")
    columns["ensemble loss"] = _means(tests, "ensemble", 1, ".4f")
    columns["Δ ensemble loss"] = _differences(tests, "ensemble", 1, "+.4f")
    return pd.DataFrame(columns).rename_axis(["checkpoint", "β"])


def generalisation(tests: pd.DataFrame, betas: Sequence[float]) -> pd.DataFrame:
    """Make the table of individual loss, diversity and ensemble loss on training and on test data.

    Args:
        tests: what `Results.tests` gives; means are over its seeds.
        betas: the rows, for each checkpoint.
    """
    import pandas as pd

    columns = {}
    for loss, name in (("individual", "individual loss"), ("diversity", "diversity"), ("ensemble", "ensemble loss")):
        for column, data in ((f"train_{loss}", "training"), (loss, "test")):
            columns[f"{name}, {data}"] = _means(tests, column, 1, ".3f")
    rows = pd.DataFrame(columns).rename_axis(["checkpoint", "β"])
    return rows[rows.index.isin(betas, level="β")]


def _means(tests: pd.DataFrame, column: str, scale: float, style: str) -> pd.Series:
    means = over_beta(tests, column).set_index(["checkpoint", "beta"])["mean"]
    return means.map(lambda mean: number_text(mean, style, scale=scale))


def _differences(tests: pd.DataFrame, column: str, scale: float, style: str) -> pd.Series:
    """Write the paired differences to the reference β, which itself gets a dash."""
    summary = over_beta(tests, column, paired=True)
    reference = independent(summary["beta"])

    def text(row: pd.Series) -> str:
        _, beta = row.name
        return "–" if beta == reference else number_text(row["mean"], style, row["half_width"], scale=scale)

    return summary.set_index(["checkpoint", "beta"]).apply(text, axis=1)


def baselines(sweep: Results, alone: Mapping[str, Results], *, betas: Sequence[float] | None = None) -> pd.DataFrame:
    """Make the table of an ensemble at some β, its mean learner, and learners trained alone, at the best checkpoint.

    Columns: weights of all learners together, test accuracy in per cent and NLL, both ± the half-width of the 95 % t
    interval over seeds (not of a difference).

    Args:
        sweep: of an ensemble of classifiers.
        alone: sweeps of single learners with one β, by the name of their row.
        betas: the rows of `sweep`; None: all of its β.

    Raises:
        InputError: one of `alone` has no finished cell.
    """
    import pandas as pd

    experiment = sweep.experiment
    metrics = {"ensemble": ("accuracy", "ensemble"), "mean learner": ("individual_accuracy", "individual")}
    num_learners = {"ensemble": 1, "mean learner": experiment.num_learners}
    rows = {}
    for name, columns in metrics.items():
        for beta in betas or sorted(sweep.tests()["beta"].unique()):
            weights = num_parameters(experiment) // num_learners[name]
            rows[f"{name}, β = {beta:g}"] = (weights, *_at_best(sweep, beta, columns))
    for name, results in alone.items():
        if not results.records():
            raise InputError(f"{results.folder} holds no finished cell")
        beta = results.experiment.beta_vals[0]
        rows[name] = (num_parameters(results.experiment), *_at_best(results, beta, metrics["ensemble"]))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["weights", "accuracy, %", "NLL"])


def _at_best(results: Results, beta: float, columns: tuple[str, str]) -> list[str]:
    texts = []
    for column, scale, style in zip(columns, (100, 1), (".1f", ".3f"), strict=True):
        summary = over_beta(results.tests(), column).set_index(["checkpoint", "beta"])
        mean, half_width = summary.loc[("best", beta)]
        texts.append(number_text(mean, style, half_width, scale=scale))
    return texts


def texts(tests: pd.DataFrame, beta: float) -> dict[str, str]:
    """Write the numbers that a chapter's sentences quote about β and the reference, by name; accuracies in per cent.

    For each metric and checkpoint: `accuracy_last` at β, `accuracy_last_reference`, `accuracy_last_difference` (paired,
    in points, ± the half-width of its interval); `accuracy_shift`, as in `statistics.shift`; `diversity_last_ratio`;
    `gain_last`: by how many points the reference's ensemble is better than its mean learner.
    """
    named, compared = {}, compare(tests, beta)
    checkpoints = compared.index.unique("checkpoint")
    for (metric, checkpoint), row in compared.iterrows():
        name, (scale, digits) = f"{metric}_{checkpoint}", (100, 2) if "accuracy" in metric else (1, 3)
        named[name] = number_text(row["beta"], f".{digits - 1}f", scale=scale)
        named[f"{name}_reference"] = number_text(row["reference"], f".{digits - 1}f", scale=scale)
        named[f"{name}_difference"] = number_text(row["difference"], f"+.{digits}f", row["half_width"], scale=scale)
        if f"{metric}_shift" not in named and len(checkpoints) == 2:  # the same for both
            mean, half_width = shift(tests, metric, beta)
            named[f"{metric}_shift"] = number_text(mean, f"+.{digits}f", half_width, scale=scale)
    for checkpoint in checkpoints:
        diversity = compared.loc[("diversity", checkpoint)]
        named[f"diversity_{checkpoint}_ratio"] = number_text(diversity["beta"] / diversity["reference"], ".0f")
        if "accuracy" in tests:
            reference = compared.xs(checkpoint, level="checkpoint")["reference"]
            gain = reference["accuracy"] - reference["individual_accuracy"]
            named[f"gain_{checkpoint}"] = number_text(100 * gain, ".1f")
    return named


def verdicts(runs: Mapping[str, pd.DataFrame], betas: Sequence[float]) -> pd.DataFrame:
    """Put the verdicts of `statistics.compare` side by side; "no difference seen" becomes a dash.

    Args:
        runs: the sweeps' names, and their `Results.tests`.
        betas: what is compared with the reference β, a column for each sweep and β.
    """
    import pandas as pd

    columns = {f"{name}, β = {b:g}": compare(tests, b)["verdict"] for name, tests in runs.items() for b in betas}
    return pd.DataFrame(columns).replace("no difference seen", "–").rename(index=METRIC_NAMES, level="metric")


def changes(runs: Mapping[str, pd.DataFrame], beta: float) -> pd.DataFrame:
    """Make the table of the differences between β and the reference on training and on test data.

    A row for each sweep and checkpoint: paired differences of the ensemble loss, and of its accuracy in points on test
    data, ± the half-widths of their 95 % t intervals, "higher" or "lower" behind those whose interval leaves out zero;
    and diversity as a ratio.

    Args:
        runs: the sweeps' names, and their `Results.tests`.
        beta: what is compared.
    """
    import pandas as pd

    rows = {}
    for name, tests in runs.items():
        compared = compare(tests, beta)
        for checkpoint in compared.index.unique("checkpoint"):
            metrics = compared.xs(checkpoint, level="checkpoint")
            row = {}
            for column, metric, style, scale in CHANGES:
                if metric in metrics.index:
                    found = metrics.loc[metric]
                    direction = found["verdict"] if found["verdict"] in ("higher", "lower") else ""
                    text = number_text(found["difference"], style, found["half_width"], scale=scale)
                    row[column] = f"{text} {direction}".strip()
            diversity = metrics.loc["diversity"]
            row["diversity"] = f"× {number_text(diversity['beta'] / diversity['reference'], '.0f')}"
            rows[name, checkpoint] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["data", "checkpoint"])
