"""Compare values of β that are each trained at a learning rate of its own, chosen on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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
    best = frame[frame["checkpoint"] == "best"]
    chosen = {}
    for beta, rows in best.groupby("beta"):
        of_rate = rows.groupby("learning_rate")["val_ensemble"].agg(["mean", "count"])
        chosen[beta] = of_rate["mean"][of_rate["count"] == rows["seed"].nunique()].idxmin()
    return chosen


def at_rates(frame: pd.DataFrame, rates: Mapping[float, float]) -> pd.DataFrame:
    """Return the rows of each β at its learning rate: tests of a sweep in which every β has its own rate.

    Args:
        frame: what `over_rates` gives.
        rates: by β, as `choose_rates` gives them.
    """
    return frame[frame["learning_rate"] == frame["beta"].map(rates)]
