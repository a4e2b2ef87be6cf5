"""Draw what a sweep reaches at each of several learning rates."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from ..analysis import choose_rates, over_rates
from ..experiment import Results
from .style import BLUE, VERMILION, legend_above, named, stamp_of_many, styled

PANELS = {
    "val_ensemble": ("validation ensemble loss", 1),
    "ensemble": ("test ensemble loss", 1),
    "accuracy": ("test accuracy, %", 100),
}


def rates(sweeps: Mapping[float, Results]) -> Figure:
    """Draw validation loss, test loss and test accuracy at the best checkpoint over the learning rate, for two β.

    Dots are seeds, lines their means. A ring is around the rate with the lowest validation loss, as `choose_rates`
    finds it.

    Args:
        sweeps: of one setting with two β, by learning rate.
    """
    frame = over_rates({rate: results.tests() for rate, results in sweeps.items()})
    chosen, best = choose_rates(frame), frame[frame["checkpoint"] == "best"]
    footer = stamp_of_many(list(sweeps.values()), sorted(frame["seed"].unique()))
    with styled(1, len(PANELS), size=(7.6, 3), footer=footer) as (figure, grid):
        for axes, (column, (label, scale)) in zip(grid.flat, PANELS.items(), strict=True):
            for (beta, rows), colour, marker in zip(best.groupby("beta"), (BLUE, VERMILION), "os", strict=True):
                means = scale * rows.groupby("learning_rate")[column].mean()
                axes.plot(rows["learning_rate"], scale * rows[column], marker, color=colour, alpha=0.35, markersize=4)
                axes.plot(means.index, means, color=colour, marker=marker, label=named(beta))
                ring = {"markerfacecolor": "none", "markeredgecolor": "black", "markersize": 11}
                axes.plot([chosen[beta]], [means[chosen[beta]]], "o", **ring)
            axes.set(xscale="log", xlabel="learning rate", ylabel=label)
            axes.set_xticks(list(sweeps), [f"{rate:g}" for rate in sweeps])
            axes.minorticks_off()
        legend_above(figure, grid.flat[0], ncols=2)
    return figure
