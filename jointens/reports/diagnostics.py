"""Figures of the tabular chapter and of the paper's three diagnostics, from the frames of `sweep_diagnostics`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ..analysis import PUBLISHED, StoredOutputs, mean_interval, over_beta
from ..common import InputError
from ..experiment import Results
from .published_tables import published_experiment
from .style import (
    BLUE,
    CHECKPOINT_STYLES,
    DARK_GREY,
    SCALES,
    legend_above,
    lines_over_beta,
    named,
    stamp,
    styled,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

STYLES = {**CHECKPOINT_STYLES, PUBLISHED: ("the authors' outputs", BLUE, "o", "-")}
LOSS_NAMES = {"ensemble": "ensemble loss", "individual": "individual loss", "diversity": "diversity"}


def course(results: Results, betas: Sequence[float]) -> Figure:
    """Draw ensemble loss, individual loss and diversity over training, on training and on test data, for some β.

    Means over seeds with their 95 % t intervals as bands.

    Raises:
        InputError: the experiment does not measure test data (`measure_test`) or training data at each validation.
    """
    history = results.history()
    if not {"train", "test"} <= set(history["split"]):
        raise InputError(
            "the course of training needs losses on training and on test data: measure_test and measured_size"
        )
    colours = matplotlib.colormaps["plasma"](np.linspace(0, 0.75, len(betas)))
    lines = {"train": ("--", "training"), "test": ("-", "test")}
    with styled(1, 3, size=(7.6, 3.5), footer=stamp(results)) as (figure, grid):
        for axes, (loss, label) in zip(grid.flat, LOSS_NAMES.items(), strict=True):
            for beta, colour in zip(betas, colours, strict=True):
                for split, (line, data) in lines.items():
                    rows = history[(history["beta"] == beta) & (history["split"] == split)]
                    values = rows.pivot(index="epoch", columns="seed", values=loss)
                    mean, half_width = mean_interval(values.to_numpy())
                    axes.plot(values.index, mean, color=colour, linestyle=line, label=f"β = {beta:g}, {data}")
                    axes.fill_between(
                        values.index, mean - half_width, mean + half_width, color=colour, alpha=0.15, linewidth=0
                    )
            axes.set(title=label, xlabel="epoch")
        grid.flat[0].set_ylabel("squared error" if results.experiment.loss == "squared_error" else "nats")
        grid.flat[2].set(yscale="log", title="diversity (log scale)")
        legend_above(figure, grid.flat[0], ncols=len(betas))
    return figure


def explosion(stored: StoredOutputs, frame: pd.DataFrame) -> Figure:
    """Draw the first diagnostic: the ensemble's test loss and its diversity over β.

    Mean ± standard deviation over runs.

    Args:
        stored: the outputs.
        frame: what `sweep_diagnostics.explosion` made of them.
    """
    loss = "squared error" if stored.loss == "squared_error" else "NLL"
    with styled(1, 2, size=(7.6, 3.3), footer=stamp_of(stored)) as (figure, grid):
        panels = {"ensemble": f"test {loss} of the ensemble", "diversity": "diversity (log scale)"}
        for axes, (column, label) in zip(grid.flat, panels.items(), strict=True):
            _over_beta(axes, frame, column)
            axes.set_ylabel(label)
        if (frame["diversity"] > 0).all():
            grid.flat[1].set_yscale("log")
        _legend(figure, grid.flat[0])
    return figure


def debiased(stored: StoredOutputs, frame: pd.DataFrame) -> Figure:
    """Draw the second diagnostic: the fall of diversity without constant shifts over β, in per cent.

    Mean ± standard deviation over runs.

    Args:
        stored: the outputs.
        frame: what `sweep_diagnostics.debiased` made of them.
    """
    with styled(1, 1, size=(5.6, 3.3), footer=stamp_of(stored)) as (figure, grid):
        _over_beta(grid.flat[0], frame.assign(fall=100 * frame["fall"]), "fall")
        grid.flat[0].set_ylabel("fall of diversity, %")
        grid.flat[0].axhline(0, color="black", linewidth=0.8, zorder=1)
        _legend(figure, grid.flat[0])
    return figure


def codependence(stored: StoredOutputs, frame: pd.DataFrame) -> Figure:
    """Draw the third diagnostic: the increase of the loss when random learners are dropped, over β.

    Mean ± standard deviation over runs, at the last checkpoint. For squared error circles show the closed form, for
    classification a second panel shows accuracy.

    Args:
        stored: the outputs.
        frame: what `sweep_diagnostics.dropped` made of them.
    """
    checkpoint = stored.checkpoints[-1]
    frame = frame[frame["checkpoint"] == checkpoint]
    loss = "squared error" if stored.loss == "squared_error" else "NLL"
    panels = {"increase": (f"increase in test {loss}", 1)}
    if "accuracy_lost" in frame:
        panels["accuracy_lost"] = ("test accuracy lost, points", 100)
    drops = sorted(frame["drop"].unique())
    colours = matplotlib.colormaps["viridis_r"](np.linspace(0.25, 0.95, len(drops)))
    with styled(1, len(panels), size=(7.6, 3.4), footer=stamp_of(stored)) as (figure, grid):
        for axes, (column, (label, scale)) in zip(grid.flat, panels.items(), strict=True):
            for drop, colour in zip(drops, colours, strict=True):
                rows = frame[frame["drop"] == drop]
                mean, deviation = _spread(rows, column)
                name = f"without {drop} of {drop + rows['keep'].iloc[0]}"
                axes.plot(mean.index, scale * mean, color=colour, label=name)
                low, high = scale * (mean - deviation), scale * (mean + deviation)
                axes.fill_between(mean.index, low, high, color=colour, alpha=0.2, linewidth=0)
                if column == "increase" and "expected" in rows:
                    exact, _ = _spread(rows, "expected")
                    axes.plot(exact.index, exact, "o", color=colour, markersize=5, markerfacecolor="none")
            axes.set(xlabel="β", ylabel=label)
        if "expected" in frame:
            grid.flat[0].plot([], [], "o", color=DARK_GREY, markerfacecolor="none", label="by the formula")
        legend_above(figure, grid.flat[0], ncols=4)
    return figure


def four_sets(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw the published sweeps on the paper's regression sets over β, a column for each.

    From above: the ensemble's loss on training and on test data, as paired differences to β = 0 of the same seed;
    diversity on test data; and the share of it that is constant shifts. With 95 % t intervals over seeds.

    Args:
        tables: what `published_tables.read_tables` gives, at least one.
    """
    rows = {
        "train_ensemble": ("training loss\nminus that at β = 0", True),
        "ensemble": ("test loss\nminus that at β = 0", True),
        "diversity": ("diversity\n(log scale)", False),
        "fall": ("constant\nshifts, %", False),
    }
    experiments = [published_experiment(name) for name in tables]
    learners = sorted({experiment.base_learner for experiment in experiments})
    num_learners = sorted({experiment.num_learners for experiment in experiments})
    num_seeds = sorted({len(table["seed"].unique()) for table in tables.values()})
    footer = (
        f"{SCALES['other']} · {', '.join(learners)}, M = {', '.join(map(str, num_learners))} · "
        f"{', '.join(map(str, num_seeds))} seeds · "
        + ", ".join(f"{name} {experiment.hash}" for name, experiment in zip(tables, experiments, strict=True))
    )
    with styled(len(rows), len(tables), size=(7.6, 8.2), footer=footer, sharex=True) as (figure, grid):
        for column, (experiment, table) in enumerate(zip(experiments, tables.values(), strict=True)):
            grid[0, column].set_title(experiment.dataset)
            for axes, (metric, (label, paired)) in zip(grid[:, column], rows.items(), strict=True):
                lines_over_beta(axes, over_beta(table, metric, paired=paired), 100 if metric == "fall" else 1)
                if paired:
                    axes.axhline(0, color="black", linewidth=0.8, zorder=1)
                if metric == "diversity":
                    axes.set_yscale("log")
                    axes.yaxis.set_minor_formatter(NullFormatter())
                if column == 0:
                    axes.set_ylabel(label)
                axes.tick_params(labelsize=8)
            grid[-1, column].set_xlabel("β")
        legend_above(figure, grid.flat[0], ncols=2)
    return figure


def correlations(matrices: dict[float, np.ndarray], footer: str) -> Figure:
    """Draw the correlation of the errors of every two learners, a square for each β.

    Args:
        matrices: `Report.error_correlations`, `(M, M)`, by β.
        footer: whose learners they are, for the line below.
    """
    with styled(1, len(matrices), size=(7.6, 3.4), footer=footer) as (figure, grid):
        for axes, (beta, matrix) in zip(grid.flat, matrices.items(), strict=True):
            image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
            axes.set(title=named(beta), xlabel="learner")
            axes.grid(False)
        grid.flat[0].set_ylabel("learner")
        figure.colorbar(image, ax=list(grid.flat), shrink=0.8, label="error correlation")
    return figure


def stamp_of(stored: StoredOutputs) -> str:
    """Return the line that says where outputs come from: the stamp of our results, or the authors' file."""
    if stored.results is not None:
        return stamp(stored.results)
    return f"outputs of the authors' format · {stored.source.name} · {len(stored.runs)} runs"


def _over_beta(axes: Axes, frame: pd.DataFrame, column: str) -> None:
    for checkpoint, rows in frame.groupby("checkpoint", sort=False):
        label, colour, marker, line = STYLES[checkpoint]
        mean, deviation = _spread(rows, column)
        axes.plot(mean.index, mean, color=colour, marker=marker, linestyle=line, markersize=4, label=label)
        axes.fill_between(mean.index, mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel("β")


def _spread(rows: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """Compute mean and standard deviation over runs for each β, divided by n as in the authors' notebook."""
    grouped = rows.groupby("beta")[column]
    return grouped.mean(), grouped.std(ddof=0)


def _legend(figure: Figure, axes: Axes) -> None:
    _, labels = axes.get_legend_handles_labels()
    legend_above(figure, axes, ncols=len(labels))
