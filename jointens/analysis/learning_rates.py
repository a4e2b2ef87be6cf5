"""What is chosen on validation data: a learning rate for each value of β, or β itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .statistics import reference_beta, side_by_side

if TYPE_CHECKING:
    import pandas as pd


def over_rates(tests: Mapping[float, pd.DataFrame]) -> pd.DataFrame:
    """Join the tests of one setting at several learning rates, in the column learning_rate.

    Args:
        tests: what `Results.tests` gives, by learning rate.
    """
    import pandas as pd

    return pd.concat([rows.assign(learning_rate=rate) for rate, rows in sorted(tests.items())], ignore_index=True)


def choose_rates(frame: pd.DataFrame) -> dict[float, float]:
    """Choose for each β the learning rate with the lowest validation ensemble loss, in the mean over seeds.

    The loss is that of the best checkpoint, which was chosen by the same loss. A rate that lacks a seed, since its run
    diverged or is not finished, is not chosen.

    Args:
        frame: what `over_rates` gives.
    """
    return {beta: _lowest(rows, "learning_rate") for beta, rows in frame.groupby("beta")}


def at_rates(frame: pd.DataFrame, rates: Mapping[float, float]) -> pd.DataFrame:
    """Return the rows of each β at its learning rate: tests of a sweep in which every β has its own rate.

    Args:
        frame: what `over_rates` gives.
        rates: by β, as `choose_rates` gives them.
    """
    return frame[frame["learning_rate"] == frame["beta"].map(rates)]


def choose_betas(tests: pd.DataFrame, *, per_seed: bool = True) -> dict[int, float]:
    """Choose β by the lowest validation ensemble loss at the best checkpoint, as `choose_rates` chooses a rate.

    Args:
        tests: what `Results.tests` gives.
        per_seed: each seed has its own β; otherwise all have the one that is best in the mean over seeds.

    Returns:
        β by seed.
    """
    if per_seed:
        return {int(seed): _lowest(rows, "beta") for seed, rows in tests.groupby("seed")}
    return dict.fromkeys(map(int, sorted(tests["seed"].unique())), _lowest(tests, "beta"))


def at_betas(tests: pd.DataFrame, betas: Mapping[int, float]) -> pd.DataFrame:
    """Return the rows of each seed at its β, beside those at the reference β, as `side_by_side` gives them.

    Args:
        tests: what `Results.tests` gives.
        betas: by seed, as `choose_betas` gives them.
    """
    reference = tests[tests["beta"] == reference_beta(tests)]
    return side_by_side(reference, tests[tests["beta"] == tests["seed"].map(betas)])


def _lowest(rows: pd.DataFrame, column: str) -> float:
    """Return the value of a column with the lowest validation ensemble loss in the mean over all seeds of the rows."""
    best = rows[rows["checkpoint"] == "best"]
    of_value = best.groupby(column)["val_ensemble"].agg(["mean", "count"])
    return float(of_value["mean"][of_value["count"] == best["seed"].nunique()].idxmin())
