"""Figure and table of forests whose leaf values are fitted jointly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ..analysis import compare, over_beta
from .style import BLUE, VERMILION, legend_above, styled
from .tables import number_text

if TYPE_CHECKING:
    import pandas as pd

PANELS = {  # label, whether as a paired difference to β = 0, and scale of the axis
    "train_ensemble": ("training loss\nminus that at β = 0", True, "symlog"),
    "ensemble": ("test loss\nminus that at β = 0", True, "symlog"),
    "diversity": ("diversity on test data\n(log scale)", False, "log"),
}
RIDGE_STYLES = {"one ridge": (VERMILION, "s", "--"), "chosen ridge": (BLUE, "o", "-")}
LINEAR = 0.01  # where the logarithmic axes of differences become linear


def sweep(forests: Mapping[str, pd.DataFrame], footer: str) -> Figure:
    """Draw training loss, test loss and diversity over β, a column for each kind of forest.

    Losses of the ensemble as paired differences to β = 0, on an axis that is logarithmic beyond ±0.01. Bars are 95 % t
    intervals over seeds.

    Args:
        forests: what `at_ridges` gives, by the title of the column.
        footer: the line below the figure.
    """
    with styled(
        len(PANELS), len(forests), size=(1 + 2.2 * len(forests), 6.6), footer=footer, sharex=True, sharey="row"
    ) as (figure, grid):
        for column, (title, tests) in zip(grid.T, forests.items(), strict=True):
            for axes, (metric, (label, paired, scale)) in zip(column, PANELS.items(), strict=True):
                summary = over_beta(tests, metric, paired=paired)
                for checkpoint, (colour, marker, line) in RIDGE_STYLES.items():
                    rows = summary[summary["checkpoint"] == checkpoint]
                    axes.errorbar(
                        rows["beta"], rows["mean"], rows["half_width"], label=checkpoint, color=colour, marker=marker,
                        linestyle=line, markersize=4, capsize=2.5,
                    )  # fmt: skip
                if scale == "symlog":
                    axes.axhline(0, color="black", linewidth=0.8, zorder=1)
                    axes.set_yscale("symlog", linthresh=LINEAR)
                else:
                    axes.set_yscale(scale)
                if axes is grid[list(PANELS).index(metric), 0]:
                    axes.set_ylabel(label)
            column[0].set_title(title)
            column[-1].set_xlabel("β")
        legend_above(figure, grid.flat[0], ncols=2)
    return figure


def table(forests: Mapping[str, pd.DataFrame], beta: float = 1) -> pd.DataFrame:
    """Make the table of forests at β beside β = 0, a row for each kind and way to set the ridge.

    Columns: the ridges at 0 and at β; paired differences of the ensemble's loss on training and on test data, and of
    its accuracy in points where there are classes, ± the half-width of the 95 % t interval; individual loss and
    diversity on test data, at 0 → at β.

    Args:
        forests: what `at_ridges` gives, by name.
        beta: what is compared.
    """
    import pandas as pd

    rows = {}
    for name, tests in forests.items():
        for checkpoint, of in tests.groupby("checkpoint", sort=False):
            compared = compare(of, beta).xs(checkpoint, level="checkpoint")
            ridges = of.groupby("beta")["ridge"].first()
            row = {"ridges": f"{ridges[0]:g} → {ridges[beta]:g}"}
            for title, metric, scale, style in (
                ("Δ training loss", "train_ensemble", 1, "+.3f"),
                ("Δ test loss", "ensemble", 1, "+.3f"),
                ("Δ accuracy, points", "accuracy", 100, "+.1f"),
            ):
                if metric in compared.index:
                    found = compared.loc[metric]
                    row[title] = number_text(found["difference"], style, found["half_width"], scale=scale)
            for metric in ("individual", "diversity"):
                ends = (number_text(compared.loc[metric, at], ".2f") for at in ("reference", "beta"))
                row[metric] = " → ".join(ends)
            rows[name, checkpoint] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["forest", "ridge"])


def difference_text(tests: pd.DataFrame, checkpoint: str, beta: float = 1, metric: str = "ensemble") -> str:
    """Write the paired difference of β to the reference in a metric, with its interval; accuracies in points."""
    found = compare(tests, beta).loc[(metric, checkpoint)]
    scale, digits = (100, 1) if metric == "accuracy" else (1, 3)
    return number_text(found["difference"], f"+.{digits}f", found["half_width"], scale=scale)


def ratio(tests: pd.DataFrame, checkpoint: str, beta: float = 1, metric: str = "diversity") -> float:
    """Divide a metric's mean at β by its mean at the reference."""
    found = compare(tests, beta).loc[(metric, checkpoint)]
    return float(np.divide(found["beta"], found["reference"]))
