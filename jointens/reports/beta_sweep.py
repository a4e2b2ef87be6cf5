"""Figures of the β sweep: its outcome over β, and its training curves.

Each function returns a matplotlib Figure and leaves nothing open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure, SubFigure

from ..analysis import independent, joint, over_beta, reference_beta
from ..experiment import Results
from .style import (
    CHECKPOINT_STYLES,
    DARK_GREY,
    ENSEMBLE_COLOUR,
    FOOTER,
    LEARNERS_COLOUR,
    RC,
    VERMILION,
    X_LABELS,
    legend_above,
    lines_over_beta,
    named,
    stamp,
    styled,
)

if TYPE_CHECKING:
    import pandas as pd


def sweep(*sweeps: Results) -> Figure:
    """Draw the β sweep on test data: differences to β = 0 in accuracy and loss, individual accuracy, diversity.

    Paired differences and their 95 % t intervals over seeds; at the best checkpoint and at the last epoch.
    Regression has no accuracies: one panel of individual loss takes the place of their two. Several sweeps stand one
    below the other, each with its own stamp.

    Raises:
        ValueError: no sweep is given.
    """
    if not sweeps:
        raise ValueError("no sweep is given; allowed are one or more")
    with matplotlib.rc_context(RC):
        heights = [5.8 if results.experiment.loss == "cross_entropy" else 2.9 for results in sweeps]
        figure = Figure(figsize=(7.6, sum(heights)), layout="constrained")
        parts = figure.subfigures(len(sweeps), 1, height_ratios=heights) if len(sweeps) > 1 else [figure]
        for part, results in zip(parts, sweeps, strict=True):
            _sweep(part, results)
            part.supxlabel(stamp(results), **FOOTER)
    return figure


def accuracies(results: Results, *, alone: Results | None = None) -> Figure:
    """Draw test accuracy over β at the best checkpoint: of the ensemble and, below it, of the learners by themselves.

    It is narrow enough for a phone. Thin lines are seeds. Bars are 95 % t intervals of the paired differences to β = 0.

    Args:
        results: a sweep of classifiers.
        alone: a single network, whose mean accuracy is drawn as a line behind the ensemble's.
    """
    tests = results.tests()
    panels = {
        "accuracy": ("the ensemble", ENSEMBLE_COLOUR, "o"),
        "individual_accuracy": ("its learners, one by one", VERMILION, "s"),
    }
    with styled(2, 1, size=(5.6, 4.8), footer=stamp(results), sharex=True) as (figure, grid):
        for axes, (column, (name, colour, marker)) in zip(grid.flat, panels.items(), strict=True):
            for _, runs in _at_best(tests).groupby("seed"):
                axes.plot(runs["beta"], 100 * runs[column], color=colour, linewidth=0.8, alpha=0.35)
            means, differences = (_at_best(over_beta(tests, column, paired=paired)) for paired in (False, True))
            axes.errorbar(
                means["beta"], 100 * means["mean"], 100 * differences["half_width"].to_numpy(),
                color=colour, marker=marker, linewidth=2.4, capsize=3,
            )  # fmt: skip
            for end, offset, vertical in ((0, (8, 4), "bottom"), (-1, (9, 0), "center")):
                beta, mean = means.iloc[end][["beta", "mean"]]
                place = {"xytext": offset, "textcoords": "offset points", "va": vertical}
                axes.annotate(f"{100 * mean:.1f} %", (beta, 100 * mean), color=colour, **place)
            axes.set_title(name, color=colour, loc="left")
            axes.set_ylabel("test accuracy, %")
            axes.margins(y=0.12)
            lowest, highest = means["beta"].min(), means["beta"].max()
            axes.set_xlim(lowest - 0.05, highest + 0.2)
            axes.set_xticks([tick for tick in axes.get_xticks() if lowest - 0.01 < tick < highest + 0.01])
        if alone is not None:
            level = 100 * _at_best(alone.tests())["accuracy"].mean()
            grid.flat[0].axhline(level, color=DARK_GREY, linestyle=":", zorder=1)
            grid.flat[0].text(
                0.5, level, f"one network of their weights: {level:.1f} %", color=DARK_GREY, ha="center", va="bottom"
            )  # fmt: skip
        grid.flat[1].set_xlabel("β: from independent (0) to joint training (1)")
    return figure


def _at_best(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["checkpoint"] == "best"].sort_values("beta")


def _sweep(figure: Figure | SubFigure, results: Results) -> None:
    tests = results.tests()
    loss, reference = _loss_name(results), f"{reference_beta(tests):g}"
    panels = [("ensemble", f"test {loss}\nminus that at β = {reference}", 1, True)]
    if "accuracy" in tests:
        panels.insert(0, ("accuracy", f"test accuracy, points\nminus that at β = {reference}", 100, True))
        panels.append(("individual_accuracy", "individual accuracy, %", 100, False))
    else:
        panels.append(("individual", f"individual {loss}", 1, False))
    panels.append(("diversity", "diversity (log scale)", 1, False))

    rows, columns = (2, 2) if len(panels) == 4 else (1, len(panels))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (column, label, scale, paired) in zip(grid.flat, panels, strict=True):
        lines_over_beta(axes, over_beta(tests, column, paired=paired), scale)
        axes.set(xlabel="β", ylabel=label)
        if paired:
            axes.axhline(0, color="black", linewidth=0.8, zorder=1)
        if column == "diversity" and (tests["diversity"].dropna() > 0).all():
            axes.set_yscale("log")
    legend_above(figure, grid.flat[0], ncols=2)


def training_curves(results: Results, *, seed: int) -> Figure:
    """Draw validation accuracy of the ensemble and of each base learner over training, both `ends` side by side.

    Regression shows validation losses of the ensemble and the individual mean instead. Cells in training are drawn as
    far as they have come.
    """
    betas = ends(results)
    history, learners = results.history(unfinished=True), results.learner_history(unfinished=True)
    x = "step" if "step" in history else "epoch"
    history = history[(history["split"] == "val") & (history["seed"] == seed)]
    footer = stamp(results, [seed])
    with styled(1, len(betas), size=(7.6, 3.3), footer=footer, sharey=True) as (figure, grid):
        for axes, beta in zip(grid.flat, betas, strict=True):
            ensemble = history[history["beta"] == beta]
            if len(learners):
                rows = learners[(learners["split"] == "val") & (learners["seed"] == seed) & (learners["beta"] == beta)]
                for index, (_, learner) in enumerate(rows.groupby("learner")):
                    label = "base learners" if index == 0 else None
                    accuracy = 100 * learner["accuracy"]
                    axes.plot(learner[x], accuracy, color=LEARNERS_COLOUR, linewidth=0.9, label=label)
                axes.plot(ensemble[x], 100 * ensemble["accuracy"], color=ENSEMBLE_COLOUR, label="ensemble")
            else:
                axes.plot(ensemble[x], ensemble["individual"], color=LEARNERS_COLOUR, label="individual (mean)")
                axes.plot(ensemble[x], ensemble["ensemble"], color=ENSEMBLE_COLOUR, label="ensemble")
            axes.set(title=named(beta), xlabel=X_LABELS[x])
        grid.flat[0].set_ylabel("validation accuracy, %" if len(learners) else "validation squared error")
        grid.flat[0].legend(loc="best")
    return figure


def ends(results: Results) -> list[float]:
    """Return the ends of the grid: β = 0 and β = 1, or the values nearest to them, each once."""
    betas = results.experiment.beta_vals
    return sorted({independent(betas), joint(betas)})


def train_against_test(results: Results) -> Figure:
    """Draw the effect of β on the ensemble's loss on training data against its effect on test data.

    A dot for each run, its difference to β = 0 of the same seed; a ring for each β's mean, with its 95 % intervals.
    Upper left is overfitting: lower than independent training on training data, higher on test data.
    """
    tests = results.tests()
    betas, reference = np.sort(tests["beta"].unique()), reference_beta(tests)
    columns = {"x": "train_ensemble", "y": "ensemble"}
    means = {axis: over_beta(tests, column, paired=True) for axis, column in columns.items()}
    base = tests[tests["beta"] == reference].set_index(["checkpoint", "seed"])
    colours = matplotlib.colormaps["viridis_r"](np.linspace(0.1, 1, len(betas)))
    loss = _loss_name(results)
    with styled(1, 2, size=(7.6, 3.9), footer=stamp(results), sharey=True) as (figure, grid):
        for axes, checkpoint in zip(grid.flat, CHECKPOINT_STYLES, strict=True):
            axes.axhline(0, color="black", linewidth=0.8, zorder=1)
            axes.axvline(0, color="black", linewidth=0.8, zorder=1)
            for beta, colour in zip(betas, colours, strict=True):
                runs = tests[(tests["checkpoint"] == checkpoint) & (tests["beta"] == beta)].set_index("seed")
                x, y = (runs[column] - base.loc[checkpoint, column] for column in columns.values())
                axes.scatter(x, y, color=colour, s=12, alpha=0.5, linewidths=0)
                mean = {
                    axis: summary[(summary["checkpoint"] == checkpoint) & (summary["beta"] == beta)]
                    for axis, summary in means.items()
                }
                axes.errorbar(
                    mean["x"]["mean"], mean["y"]["mean"], mean["y"]["half_width"], mean["x"]["half_width"],
                    label=f"β = {beta:g}", color=colour, linestyle="", marker="o", markersize=8, markeredgecolor="k",
                )  # fmt: skip
            label = CHECKPOINT_STYLES[checkpoint][0]
            axes.set(title=label, xlabel=f"training {loss}\nminus that at β = {reference:g}")
            axes.locator_params(axis="x", nbins=5)
        grid.flat[0].set_ylabel(f"test {loss}\nminus that at β = {reference:g}")
        handles, labels = grid.flat[0].get_legend_handles_labels()
        handles = [handle[0] for handle in handles]  # the markers without their bars
        figure.legend(handles, labels, loc="outside upper center", ncols=6, columnspacing=0.8, handletextpad=0)
    return figure


def _loss_name(results: Results) -> str:
    """Return the name of the ensemble's loss on an axis.

    "released" hands probabilities to cross-entropy as if they were scores: that is no likelihood.
    """
    if results.experiment.loss == "squared_error":
        return "squared error"
    return "released loss" if results.experiment.average == "released" else "NLL"
