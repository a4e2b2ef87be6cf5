"""Compare values of β that are each trained at a learning rate of its own, chosen on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def over_rates(tests: Mapping[float, pd.DataFrame]) -> pd.DataFrame:
    """Join the tests of one setting at several learning rates, as far as all rates have them.

    Args:
        tests: what `Results.tests` gives, by learning rate.

    Returns:
        The rows of β and seeds that are there at every rate, with the column learning_rate.
    """
    import pandas as pd

    frame = pd.concat([rows.assign(learning_rate=rate) for rate, rows in sorted(tests.items())], ignore_index=True)
    counts = frame.groupby(["beta", "seed"])["learning_rate"].transform("nunique")
    return frame[counts == len(tests)].reset_index(drop=True)


def choose_rates(frame: pd.DataFrame) -> dict[float, float]:
    """Choose for each β the learning rate with the lowest validation ensemble loss, in the mean over seeds.

    The loss is that of the best checkpoint, which was chosen by the same loss. A rate at which a seed diverged from the
    start, so that its loss is NaN, is not chosen.

    Args:
        frame: what `over_rates` gives.
    """
    best = frame[frame["checkpoint"] == "best"]
    losses = best.groupby(["beta", "learning_rate"])["val_ensemble"].agg(lambda values: values.mean(skipna=False))
    return {beta: of_beta.droplevel("beta").idxmin() for beta, of_beta in losses.groupby("beta")}


def at_rates(frame: pd.DataFrame, rates: Mapping[float, float]) -> pd.DataFrame:
    """Return the rows of each β at its learning rate: tests of a sweep in which every β has its own rate.

    Args:
        frame: what `over_rates` gives.
        rates: by β, as `choose_rates` gives them.
    """
    return frame[frame["learning_rate"] == frame["beta"].map(rates)]
