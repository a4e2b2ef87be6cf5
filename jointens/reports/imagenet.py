"""Figures of the ImageNet chapter: what the learners see, and the losses over training."""

from __future__ import annotations

import dataclasses

import torch
from matplotlib.figure import Figure

from ..common.errors import InputError
from ..data.image_files import Places, batches
from ..data.loaders import make_feed
from ..experiment.config import Experiment
from ..experiment.folder import Results
from .beta_sweep import ENSEMBLE_COLOUR, LEARNERS_COLOUR, X_LABELS, ends, named, stamp, styled

DIVERSITY_COLOUR = "#D55E00"


def pictures(experiment: Experiment, *, columns: int = 6) -> Figure:
    """Images of the data set: as validation shows them above, and as training shows them, cropped and flipped, below.

    Where the images are not here, or cannot be read, the figure says so.
    """
    small = dataclasses.replace(experiment, batch_size=columns, validate_every=None, workers=0)
    told = f"{experiment.dataset}, {experiment.input_shape[-1]}×{experiment.input_shape[-1]} pixels"
    try:
        feed = make_feed(small, [small.seeds[0]], torch.device("cpu"), 1)
        evenly = torch.linspace(0, len(feed.val) - 1, columns).long()
        places = Places(evenly, torch.zeros(columns), columns)
        ((seen, _),) = batches(feed.val, places, feed.transforms["evaluate"], feed.reading)
        rows = {"validation images": seen, "training images": feed.batch(*next(feed.epoch())).inputs[0]}
    except InputError as error:
        rows, told = {}, f"no images to show: {error}"
    with styled(2, columns, size=(7.6, 3.0), told=told) as (figure, grid):
        for place in grid.flat:
            place.set_axis_off()
        for axes, (name, images) in zip(grid, rows.items(), strict=False):
            axes[0].set_title(name, loc="left")
            for place, image in zip(axes, images, strict=False):
                place.imshow(image.permute(1, 2, 0).numpy())
    return figure


def losses(results: Results, *, seed: int) -> Figure:
    """Individual loss, ensemble loss and diversity over training, at both ends of the grid; validation and training.

    The ensemble's loss is the individual one less the diversity. Cells in training are shown as far as they have come.
    """
    history = results.history(unfinished=True)
    history = history[history["seed"] == seed]
    x = "step" if "step" in history else "epoch"
    styles = {"val": ("-", "validation"), "train": ("--", "training")}
    colours = {"individual": LEARNERS_COLOUR, "ensemble": ENSEMBLE_COLOUR, "diversity": DIVERSITY_COLOUR}
    with styled(1, len(ends(results)), size=(7.6, 3.6), told=stamp(results, [seed]), sharey=True) as (figure, grid):
        for axes, beta in zip(grid.flat, ends(results), strict=True):
            for split, (line, data) in styles.items():
                own = history[(history["beta"] == beta) & (history["split"] == split)]
                for name, colour in colours.items() if len(own) else ():
                    axes.plot(own[x], own[name], color=colour, linestyle=line, label=f"{name}, {data}")
            axes.set(title=named(beta), xlabel=X_LABELS[x], yscale="log")
        grid.flat[0].set_ylabel("nats (log scale)")
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure
