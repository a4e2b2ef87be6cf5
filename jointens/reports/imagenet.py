"""Figures of the ImageNet chapter: images as learners see them, and the losses over training."""

from __future__ import annotations

import dataclasses

import torch
from matplotlib.figure import Figure

from ..common import InputError
from ..data import SeededBatchSampler, batches
from ..experiment import Experiment, Results
from ..sweeps import make_loader
from .beta_sweep import ends
from .style import (
    DIVERSITY_COLOUR,
    ENSEMBLE_COLOUR,
    LEARNERS_COLOUR,
    X_LABELS,
    legend_above,
    named,
    stamp,
    styled,
)


def pictures(experiment: Experiment, *, columns: int = 6) -> Figure:
    """Draw images of the data set: above as in validation, below as in training, cropped and flipped.

    Where the images are missing or cannot be read, the figure says so.

    Args:
        experiment: whose images.
        columns: images in each row.
    """
    small = dataclasses.replace(experiment, batch_size=columns, validate_every=None, workers=0)
    footer = f"{experiment.dataset}, {experiment.input_shape[-1]}×{experiment.input_shape[-1]} pixels"
    try:
        loader = make_loader(small, [small.seeds[0]], torch.device("cpu"))
        evenly = torch.linspace(0, len(loader.val) - 1, columns).long()
        sampler = SeededBatchSampler(evenly, torch.zeros(columns), columns)
        ((validation, _),) = batches(loader.val, sampler, loader.transforms["evaluate"], loader.reading)
        rows = {"validation images": validation, "training images": loader.batch(*next(loader.epoch())).inputs[0]}
    except InputError as error:
        rows, footer = {}, f"no images to show: {error}"
    with styled(2, columns, size=(7.6, 3.0), footer=footer) as (figure, grid):
        for axes in grid.flat:
            axes.set_axis_off()
        for row, (name, images) in zip(grid, rows.items(), strict=False):
            row[0].set_title(name, loc="left")
            for axes, image in zip(row, images, strict=False):
                axes.imshow(image.permute(1, 2, 0).numpy())
    return figure


def losses(results: Results, *, seed: int) -> Figure:
    """Draw individual loss, ensemble loss and diversity over training, at both ends of the grid.

    The ensemble's loss is the individual one less the diversity. On validation and on training data; cells in training
    are drawn as far as they have come.
    """
    history = results.history(unfinished=True)
    history = history[history["seed"] == seed]
    x = "step" if "step" in history else "epoch"
    styles = {"val": ("-", "validation"), "train": ("--", "training")}
    colours = {"individual": LEARNERS_COLOUR, "ensemble": ENSEMBLE_COLOUR, "diversity": DIVERSITY_COLOUR}
    betas, footer = ends(results), stamp(results, [seed])
    with styled(1, len(betas), size=(7.6, 3.6), footer=footer, sharey=True) as (figure, grid):
        for axes, beta in zip(grid.flat, betas, strict=True):
            for split, (line, data) in styles.items():
                rows = history[(history["beta"] == beta) & (history["split"] == split)]
                for name, colour in colours.items() if len(rows) else ():
                    axes.plot(rows[x], rows[name], color=colour, linestyle=line, label=f"{name}, {data}")
            axes.set(title=named(beta), xlabel=X_LABELS[x], yscale="log")
        grid.flat[0].set_ylabel("nats (log scale)")
        legend_above(figure, grid.flat[0], ncols=3)
    return figure
