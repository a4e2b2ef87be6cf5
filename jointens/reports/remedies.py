"""Figures of remedies for joint training: what each keeps of its gain on training data, and what it costs on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from torch import Tensor

from ..analysis import over_beta
from ..experiment import Results
from ..losses import decompose, joint_objective
from ..theory import beta_of_kept, expected_loss, subset_weights
from .style import (
    BLUE,
    CHECKPOINT_STYLES,
    DARK_GREY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    legend_above,
    stamp_of_many,
    styled,
)

if TYPE_CHECKING:
    import pandas as pd

# Colour, marker, and where the name of a strength stands beside it, in points.
STYLES = (
    (VERMILION, "s", (7, 5)), (BLUE, "o", (-2, -14)), (ORANGE, "D", (7, 6)), (GREEN, "^", (-4, 7)),
    (PURPLE, "v", (-8, 8)), (SKY_BLUE, "P", (-14, -36)),
)  # fmt: skip
COLUMNS = ("train_ensemble", "ensemble")  # of the x axis and of the y axis
PANELS = ("last", "best")  # checkpoints, from above; strengths are named in the first


def trade_off(remedies: Mapping[str, Mapping[str, pd.DataFrame]], sweeps: Sequence[Results]) -> Figure:
    """Draw each remedy's effect on the ensemble's loss on training data against that on test data.

    A marker for each strength, with the 95 % t intervals of both paired differences to β = 0. Lower left is what is
    looked for, lower than independent training on both. Above the last epoch, with the names of the strengths; below
    the best checkpoint.

    Args:
        remedies: by name, tests by the name of the strength, as `side_by_side` gives them.
        sweeps: whose tests they are, for the line at the bottom.
    """
    size, heights = (7.6, 7.4), (3, 2)
    with styled(2, 1, size=size, footer=stamp_of_many(sweeps), sharex=True, height_ratios=heights) as (figure, grid):
        for axes, checkpoint in zip(grid.flat, PANELS, strict=True):
            axes.axhline(0, color="black", linewidth=0.8, zorder=1)
            axes.axvline(0, color="black", linewidth=0.8, zorder=1)
            for (name, strengths), (colour, marker, offset) in zip(remedies.items(), STYLES, strict=False):
                points = [_differences(tests, checkpoint) for tests in strengths.values()]
                (x, x_width), (y, y_width) = (tuple(zip(*values, strict=True)) for values in zip(*points, strict=True))
                axes.errorbar(
                    x, y, y_width, x_width, label=name, color=colour, linestyle="", marker=marker, markersize=7,
                    markeredgecolor="black", markeredgewidth=0.6, elinewidth=0.9, zorder=3,
                )  # fmt: skip
                if checkpoint == PANELS[0]:
                    axes.plot(x, y, color=colour, linewidth=0.8, alpha=0.6, zorder=2)
                    for place, strength in zip(zip(x, y, strict=True), strengths, strict=True):
                        beside = {"textcoords": "offset points", "xytext": offset, "fontsize": 7.5, "zorder": 4}
                        axes.annotate(strength, place, color=colour, **beside)
            axes.set(title=CHECKPOINT_STYLES[checkpoint][0], ylabel="test loss\nminus that at β = 0, nats")
        axes.set_xlabel("training loss minus that at β = 0, nats")
        handles, labels = grid.flat[0].get_legend_handles_labels()
        handles = [handle[0] for handle in handles]  # the markers without their bars
        figure.legend(handles, labels, loc="outside upper center", ncols=6, columnspacing=1.0, handletextpad=0.2)
    return figure


def _differences(tests: pd.DataFrame, checkpoint: str) -> list[tuple[float, float]]:
    """Return the mean and half-width of the paired difference to β = 0, on training and on test data."""
    pairs = []
    for column in COLUMNS:
        summary = over_beta(tests, column, paired=True).set_index(["checkpoint", "beta"])
        pairs.append(tuple(summary.loc[(checkpoint, 1.0)]))
    return pairs


def loss_over_kept(cases: Mapping[str, tuple[Tensor, Tensor]], *, average: str = "scores", footer: str) -> Figure:
    """Draw the expected cross-entropy of the mean of K random learners over K, and L^β with the equivalent β.

    Args:
        cases: outputs `(M, B, K)` and targets `(B,)` by name, a panel for each.
        average: what the ensemble averages.
        footer: the line below the figure.
    """
    with styled(1, len(cases), size=(7.6, 3.1), footer=footer) as (figure, grid):
        for axes, (name, (outputs, targets)) in zip(grid.flat, cases.items(), strict=True):
            expected, equivalent = kept_losses(outputs, targets, average=average)
            sizes = range(1, len(expected) + 1)
            line = {"color": VERMILION, "linestyle": "--", "marker": "s", "markersize": 8, "markerfacecolor": "none"}
            axes.plot(sizes, expected, color=BLUE, marker="o", label="expected loss of K random learners")
            axes.plot(sizes, equivalent, **line, label="$L^β$ with the equivalent β")
            axes.set(title=name, xlabel="learners kept, K", xticks=list(sizes))
            for loss, x, aligned, words in (
                (expected[0], 0.98, ("right", "bottom"), "individual"),
                (expected[-1], 0.02, ("left", "top"), "ensemble"),
            ):
                axes.axhline(loss, color=DARK_GREY, linewidth=0.7, linestyle=":")
                options = dict(zip(("ha", "va"), aligned, strict=True), fontsize=8, color=DARK_GREY)
                axes.annotate(words, (x, loss), xycoords=("axes fraction", "data"), **options)
            axes.margins(y=0.14)
        grid.flat[0].set_ylabel("cross-entropy, nats")
        legend_above(figure, grid.flat[0], ncols=2)
    return figure


def kept_losses(outputs: Tensor, targets: Tensor, *, average: str = "scores") -> tuple[list[float], list[float]]:
    """Compute both lines of `loss_over_kept`, in the mean over the examples, for K from 1 to M."""
    num_learners, parts = len(outputs), decompose(outputs, targets, average=average)
    sizes = range(1, num_learners + 1)
    weights = [subset_weights(kept, num_learners) for kept in sizes]
    expected = [expected_loss(outputs, targets, rows, average=average).mean().item() for rows in weights]
    betas = [beta_of_kept(kept, num_learners) for kept in sizes]
    return expected, [joint_objective(parts, beta).mean().item() for beta in betas]
