"""Every figure, from tidy frames, in one style. Each function gives a matplotlib Figure and leaves nothing open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure, SubFigure

from ..analysis.statistics import complete_seeds, over_beta, reference_beta
from ..data.augmentation import Augmentation
from ..experiment.folder import Results
from .scales import SCALES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from torch import Tensor

# Okabe and Ito's colours, which colour-blind readers can tell apart; markers differ as well.
CHECKPOINTS = {"best": ("best checkpoint", "#0072B2", "o", "-"), "last": ("last epoch", "#D55E00", "s", "--")}
AVERAGE_NAMES = {
    "scores": "score averaging",
    "probabilities": "probability averaging",
    "released": "averaging as released",
}
LEARNERS_COLOUR, ENSEMBLE_COLOUR = "#999999", "#0072B2"

X_LABELS = {"epoch": "epoch", "step": "training step"}
STAMP = {"fontsize": 7.5, "color": "#555555"}
STYLE = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "figure.dpi": 150,
    "svg.hashsalt": "jointens",
}


def sweep(*sweeps: Results) -> Figure:
    """The β sweep on test data: differences to β = 0 in accuracy and loss, individual accuracy, diversity.

    Paired differences and their 95 % t intervals over seeds; at the best checkpoint and at the last epoch.
    Regression has no accuracies: their panels become one of individual loss. Several sweeps stand one below the other,
    each with its own stamp.

    Raises:
        ValueError: there is no sweep to show.
    """
    if not sweeps:
        raise ValueError("no sweep is given; allowed are one or more")
    with matplotlib.rc_context(STYLE):
        heights = [5.8 if of.experiment.loss == "cross_entropy" else 2.9 for of in sweeps]
        figure = Figure(figsize=(7.6, sum(heights)), layout="constrained")
        parts = figure.subfigures(len(sweeps), 1, height_ratios=heights) if len(sweeps) > 1 else [figure]
        for part, results in zip(parts, sweeps, strict=True):
            _sweep(part, results)
            part.supxlabel(stamp(results), **STAMP)
    return figure


def _sweep(figure: Figure | SubFigure, results: Results) -> None:
    tests = results.tests()
    loss, to = _loss_name(results), f"{reference_beta(tests):g}"
    panels = [("ensemble", f"test {loss}\nminus that at β = {to}", 1, True)]
    if "accuracy" in tests:
        panels.insert(0, ("accuracy", f"test accuracy, points\nminus that at β = {to}", 100, True))
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
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)


def training_curves(results: Results, *, seed: int) -> Figure:
    """Validation accuracy of the ensemble and of each base learner over training, both ends of the grid side by side.

    The ends are β = 0 and β = 1, or what the grid has nearest to them. Regression shows validation losses of ensemble
    and individual mean instead. Cells in training are shown as far as they have come.
    """
    betas = ends(results)
    history, learners = (of(unfinished=True) for of in (results.history, results.learner_history))
    x = "step" if "step" in history else "epoch"
    history = history[(history["split"] == "val") & (history["seed"] == seed)]
    told = stamp(results, [seed])
    with styled(1, len(betas), size=(7.6, 3.3), told=told, sharey=True) as (figure, grid):
        for axes, beta in zip(grid.flat, betas, strict=True):
            own = history[history["beta"] == beta]
            if len(learners):
                rows = learners[(learners["split"] == "val") & (learners["seed"] == seed) & (learners["beta"] == beta)]
                for index, (_, learner) in enumerate(rows.groupby("learner")):
                    label = "base learners" if index == 0 else None
                    accuracy = 100 * learner["accuracy"]
                    axes.plot(learner[x], accuracy, color=LEARNERS_COLOUR, linewidth=0.9, label=label)
                axes.plot(own[x], 100 * own["accuracy"], color=ENSEMBLE_COLOUR, label="ensemble")
            else:
                axes.plot(own[x], own["individual"], color=LEARNERS_COLOUR, label="individual (mean)")
                axes.plot(own[x], own["ensemble"], color=ENSEMBLE_COLOUR, label="ensemble")
            axes.set(title=named(beta), xlabel=X_LABELS[x])
        grid.flat[0].set_ylabel("validation accuracy, %" if len(learners) else "validation squared error")
        grid.flat[0].legend(loc="best")
    return figure


def ends(results: Results) -> list[float]:
    """Independent and joint training: β = 0 and β = 1, or what the grid has nearest to them."""
    return sorted({min(results.experiment.beta_vals, key=lambda beta: abs(beta - end)) for end in (0, 1)})


def train_against_test(results: Results) -> Figure:
    """What β does to the ensemble's loss on training data, against what it does on test data.

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
    with styled(1, 2, size=(7.6, 3.9), told=stamp(results), sharey=True) as (figure, grid):
        for axes, checkpoint in zip(grid.flat, CHECKPOINTS, strict=True):
            axes.axhline(0, color="black", linewidth=0.8, zorder=1)
            axes.axvline(0, color="black", linewidth=0.8, zorder=1)
            for beta, colour in zip(betas, colours, strict=True):
                runs = tests[(tests["checkpoint"] == checkpoint) & (tests["beta"] == beta)].set_index("seed")
                x, y = (runs[column] - base.loc[checkpoint, column] for column in columns.values())
                axes.scatter(x, y, color=colour, s=12, alpha=0.5, linewidths=0)
                at = {axis: of[(of["checkpoint"] == checkpoint) & (of["beta"] == beta)] for axis, of in means.items()}
                axes.errorbar(
                    at["x"]["mean"], at["y"]["mean"], at["y"]["half_width"], at["x"]["half_width"],
                    label=f"β = {beta:g}", color=colour, linestyle="", marker="o", markersize=8, markeredgecolor="k",
                )  # fmt: skip
            axes.set(title=CHECKPOINTS[checkpoint][0], xlabel=f"training {loss}\nminus that at β = {reference:g}")
            axes.locator_params(axis="x", nbins=5)
        grid.flat[0].set_ylabel(f"test {loss}\nminus that at β = {reference:g}")
        handles, labels = grid.flat[0].get_legend_handles_labels()
        handles = [handle[0] for handle in handles]  # the markers without their bars
        figure.legend(handles, labels, loc="outside upper center", ncols=6, columnspacing=0.8, handletextpad=0)
    return figure


def augmented(images: Tensor, augmentation: Augmentation, *, columns: int, seed: int = 0) -> Figure:
    """Images, what `augmentation` makes of them, and what torchvision makes of them one by one with the same draws.

    Args:
        images: `(N, 3, H, W)`, uint8; each has a block of three rows.
        augmentation: as in `datasets.DATASETS[name].augmentation`.
        columns: draws of each image.
        seed: of the draws.
    """
    from torchvision.transforms import functional

    def by_torchvision(image: Tensor, top: float, left: float, flip: float, degrees: float) -> np.ndarray:
        picture = functional.pad(functional.to_pil_image(image), augmentation.padding)
        picture = functional.crop(picture, int(top), int(left), *image.shape[1:])
        return np.asarray(functional.rotate(functional.hflip(picture) if flip else picture, degrees))

    chance = torch.Generator().manual_seed(seed)
    names = ("as it is", "jointens", "torchvision")
    told = f"the same draws for both, seed {seed}"
    size = (7.6, 0.4 + 7.6 / (columns + 1) * 2 * len(images))
    with styled(2 * len(images), columns + 1, size=size, told=told) as (figure, grid):
        for axes in grid.flat:
            axes.set_axis_off()
        for image, rows in zip(images, grid.reshape(len(images), 2, -1), strict=True):
            draws = augmentation.draw(columns, chance)
            ours = augmentation(image.expand(columns, -1, -1, -1), draws).permute(0, 2, 3, 1).numpy()
            theirs = [by_torchvision(image, *draw) for draw in draws.tolist()]
            for axes, name, shown in zip(rows, names[1:], (ours, theirs), strict=True):
                axes[0].imshow(image.permute(1, 2, 0).numpy())
                for place, picture in zip(axes[1:], shown, strict=True):
                    place.imshow(picture)
                axes[1].set_title(name, loc="left")
            rows[1, 0].clear()
            rows[1, 0].set_axis_off()
            rows[0, 0].set_title(names[0], loc="left")
    return figure


def stamp(results: Results, seeds: Sequence[int] | None = None) -> str:
    """Where a figure's numbers come from: scale, setting, seeds (those shown), device kind and experiment's hash."""
    return _stamp([results], seeds or complete_seeds(results.tests()), f"experiment {results.experiment.hash}")


def stamp_of_many(sweeps: Sequence[Results]) -> str:
    """The stamp of a figure that compares sweeps of different numbers of learners, or of different training."""
    return _stamp(sweeps, complete_seeds(sweeps[0].tests()), f"{len(sweeps)} experiments")


def _stamp(sweeps: Sequence[Results], seeds: Sequence[int], named: str) -> str:
    experiment = sweeps[0].experiment
    sizes = sorted({of.experiment.num_learners for of in sweeps})
    size = experiment.sizes[0]
    records = [record for of in sweeps for record in (*of.records(), *of.unfinished_records())]
    devices = sorted({record["provenance"]["device"] for record in records})
    noise = f", {experiment.label_noise:.0%} label noise" if experiment.label_noise else ""
    average = f", {AVERAGE_NAMES[experiment.average]}" if experiment.loss == "cross_entropy" else ""
    rate = ", M × the loss" if experiment.rate_per_learner else ""
    precision = "" if experiment.precision == "float32" else f" in {experiment.precision}"
    return " · ".join([
        SCALES[experiment.scale],
        f"{experiment.data_name}, {size} training examples{noise}",
        f"{experiment.base_learner}, M = {', '.join(map(str, sizes))}{average}{rate}",
        f"{'seed' if len(seeds) == 1 else 'seeds'} {_ranges(seeds)}",
        ", ".join(devices) + precision,
        named,
    ])  # fmt: skip


@contextmanager
def styled(rows: int, columns: int, *, size: tuple[float, float], told: str, **shared) -> Iterator:
    """A figure and its grid of axes, in the book's style, with what is `told` of its numbers' origin below."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, **shared)
        yield figure, grid
        figure.supxlabel(told, **STAMP)


# ------------------------------------------------------------------------------------------------------- helpers


def lines_over_beta(axes: Axes, summary: pd.DataFrame, scale: float) -> None:
    """A line for each checkpoint, moved apart a little so that their intervals do not cover each other."""
    step = np.ptp(summary["beta"]) * 0.006
    for shift, (checkpoint, (label, colour, marker, line)) in zip((-step, step), CHECKPOINTS.items(), strict=True):
        of = summary[summary["checkpoint"] == checkpoint]
        if of.empty:  # results of the authors' code, which has no last epoch
            continue
        axes.errorbar(
            of["beta"] + shift, of["mean"] * scale, of["half_width"] * scale,
            label=label, color=colour, marker=marker, linestyle=line, markersize=4, capsize=2.5,
        )  # fmt: skip


def _loss_name(results: Results) -> str:
    """What the ensemble's loss is called on an axis; "released" hands probabilities to cross-entropy: no likelihood."""
    if results.experiment.loss == "squared_error":
        return "squared error"
    return "released loss" if results.experiment.average == "released" else "NLL"


def named(beta: float) -> str:
    """β in words, where it has some."""
    return {0.0: "β = 0, independent", 1.0: "β = 1, joint"}.get(beta, f"β = {beta:g}")


def _ranges(seeds: Sequence[int]) -> str:
    """(0, 1, 2, 7) → "0–2, 7"."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
