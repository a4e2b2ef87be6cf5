"""The book's figure style: colours, labels, and the line below each figure that says where its numbers come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ..analysis import complete_seeds
from ..experiment import Experiment, Results
from ..sweeps import describe_diverged

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# The palette of Okabe and Ito, which colour-blind readers can tell apart; markers and line styles differ as well.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY_BLUE = "#CC79A7", "#E69F00", "#56B4E9"
GREY, DARK_GREY = "#999999", "#555555"

LEARNERS_COLOUR, ENSEMBLE_COLOUR, DIVERSITY_COLOUR = GREY, BLUE, VERMILION
# Label, colour, marker and line style of each checkpoint.
CHECKPOINT_STYLES = {"best": ("best checkpoint", BLUE, "o", "-"), "last": ("last epoch", VERMILION, "s", "--")}
AVERAGE_NAMES = {
    "scores": "score averaging",
    "probabilities": "probability averaging",
    "released": "averaging as released",
}
X_LABELS = {"epoch": "epoch", "step": "training step"}

STAMP_LENGTH = 140  # characters below a figure of the book's width
FOOTER = {"fontsize": 7.5, "color": DARK_GREY, "parse_math": False}  # a file's name may hold dollar signs
RC = {
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

SCALES = {
    "quick": "quick results",
    "small": "small-scale results",
    "authors": "results with the authors' hyperparameters",
    "other": "results with other hyperparameters",
    "own": "results on a table of your own",
}
PLAIN = {"kept_learners": None, "diversity_cap": None, "warm_start": 0}  # without remedies
# The authors' shipped sweep, whatever its data set, learner and average.
AUTHORS = {
    "num_learners": 5, "width": 1, "optimiser": "SGD", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
    "scheduler": "ExponentialLR", "gamma": 0.2, "lr_switch": [30, 50, 70], "batch_size": 128, "num_epochs": 80,
    "label_noise": 0.0, "rate_per_learner": False, "augmentation": "protocol", "stem_stride": 1, **PLAIN,
}  # fmt: skip
# Their ImageNet run, whatever its learner; the shipped file is MobileViT's.
AUTHORS_IMAGENET = {
    "num_learners": 3, "average": "probabilities", "optimiser": "SGD", "learning_rate": 0.5, "momentum": 0.9,
    "weight_decay": 1e-7, "scheduler": "ExponentialLR", "gamma": 0.2, "lr_switch": 6, "max_patience": 15,
    "validate_every": 2000, "batch_size": 32, "num_epochs": 1000, "label_noise": 0.0, "rate_per_learner": False,
    **PLAIN,
}  # fmt: skip


@contextmanager
def styled(
    rows: int, columns: int, *, size: tuple[float, float], footer: str, **shared
) -> Iterator[tuple[Figure, np.ndarray]]:
    """Make a figure with a grid of axes in the book's style.

    Args:
        rows: of axes.
        columns: of axes.
        size: width and height in inches.
        footer: the line below the figure, such as `stamp` gives.
        shared: further arguments of `Figure.subplots`, such as `sharex` and `height_ratios`.

    Yields:
        The figure and its axes, an array `(rows, columns)`.
    """
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, **shared)
        yield figure, grid
        figure.supxlabel(footer, **FOOTER)


def legend_above(figure: Figure, axes: Axes, **options) -> None:
    """Put the legend of some axes above the whole figure; options as for `Figure.legend`."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", **options)


def lines_over_beta(axes: Axes, summary: pd.DataFrame, scale: float) -> None:
    """Draw means and intervals over β, a line for each checkpoint.

    Args:
        axes: where.
        summary: columns checkpoint, beta, mean and half_width, as `statistics.over_beta` gives them.
        scale: a factor on the values, such as 100 for per cent.
    """
    offset = np.ptp(summary["beta"]) * 0.006  # so that the intervals of two checkpoints do not cover each other
    styles = zip((-offset, offset), CHECKPOINT_STYLES.items(), strict=True)
    for shift, (checkpoint, (label, colour, marker, line)) in styles:
        rows = summary[summary["checkpoint"] == checkpoint]
        if rows.empty:  # results of the authors' code, which has no last epoch
            continue
        axes.errorbar(
            rows["beta"] + shift, rows["mean"] * scale, rows["half_width"] * scale,
            label=label, color=colour, marker=marker, linestyle=line, markersize=4, capsize=2.5,
        )  # fmt: skip


def named(beta: float) -> str:
    """Return β as a title, with its name where it has one."""
    return {0.0: "β = 0, independent", 1.0: "β = 1, joint"}.get(beta, f"β = {beta:g}")


def stamp(results: Results, seeds: Sequence[int] | None = None) -> str:
    """Return the line that says where numbers come from: scale, setting, seeds, kind of device, experiment's hash.

    Args:
        results: whose numbers they are.
        seeds: those shown; None: those that have every β.
    """
    seeds = seeds or complete_seeds(results.tests())
    return _stamp([results], seeds, f"experiment {results.experiment.hash}")


def stamp_of_many(sweeps: Sequence[Results], seeds: Sequence[int] | None = None) -> str:
    """Return the `stamp` of a figure that compares sweeps; what differs between them is listed.

    Args:
        sweeps: whose numbers they are.
        seeds: those shown; None: those of the first sweep that have every β.
    """
    seeds = seeds or complete_seeds(sweeps[0].tests())
    return _stamp(sweeps, seeds, f"{len(sweeps)} experiments")


def _stamp(sweeps: Sequence[Results], seeds: Sequence[int], name: str) -> str:
    experiments = [results.experiment for results in sweeps]
    data = _listed(experiment.data_name for experiment in experiments)
    sizes = _listed(sorted({experiment.sizes[0] for experiment in experiments}))
    learners = _listed(experiment.base_learner for experiment in experiments)
    num_learners = _listed(sorted({experiment.num_learners for experiment in experiments}))
    records = [record for results in sweeps for record in (*results.records(), *results.unfinished_records())]
    devices = sorted({record.provenance["device"] for record in records})
    noises = sorted({experiment.label_noise for experiment in experiments})
    noise = f", {_listed(f'{share:.0%}' for share in noises)} label noise" if any(noises) else ""
    kinds = {"crop_flip": "crop and flip", "none": "not augmented"}
    augmentation = _listed(kinds[of.augmentation] for of in experiments if of.augmentation in kinds)
    average = _listed(AVERAGE_NAMES[of.average] for of in experiments if of.loss == "cross_entropy")
    rate = ", M × the loss" if all(experiment.rate_per_learner for experiment in experiments) else ""
    precisions = _listed(experiment.precision for experiment in experiments)
    precision = "" if precisions == "float32" else f" in {precisions}"
    parts = [
        _listed(SCALES[scale_of(experiment)] for experiment in experiments),
        f"{data}, {sizes} training examples{noise}{augmentation and f', {augmentation}'}",
        f"{learners}, M = {num_learners}{average and f', {average}'}{rate}",
        f"{'seed' if len(seeds) == 1 else 'seeds'} {_ranges(seeds)}",
        ", ".join(devices) + precision,
        name,
    ]  # fmt: skip
    line = " · ".join(parts)
    if len(line) > STAMP_LENGTH:
        line = " · ".join(parts[:2]) + "\n" + " · ".join(parts[2:])
    diverged = [told for results in sweeps if (told := describe_diverged(results, most=3))]
    return "\n".join([line, *(f"left out: {told}" for told in diverged)])


def _listed(values: Iterable[object]) -> str:
    """Write values with commas, each once."""
    return ", ".join(dict.fromkeys(map(str, values)))


def _ranges(seeds: Sequence[int]) -> str:
    """Write seeds as ranges: (0, 1, 2, 7) → "0–2, 7"."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def scale_of(experiment: Experiment) -> str:
    """Return which of `SCALES` an experiment has.

    "own" on the user's own table; "quick" on quick data; "small" on cut data, or with a learner that is tiny for
    images; "authors" with the authors' keys; else "other", as on the regression sets, whose keys they do not give.
    """
    dataset = experiment.about_data
    if dataset.content:
        return "own"
    if dataset.quick:
        return "quick"
    if experiment.sizes != dataset.sizes or (dataset.pixels and experiment.base_learner in ("MLP", "CNN", "ResNet8")):
        return "small"
    if not dataset.pixels:
        return "other"
    identity = experiment.identity()
    authors = AUTHORS_IMAGENET if experiment.dataset == "ImageNet" else AUTHORS
    return "authors" if all(identity[name] == value for name, value in authors.items()) else "other"
