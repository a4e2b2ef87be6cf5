"""The optimisers of the authors' code, one for all learners of all runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from ..experiment.config import Experiment
    from ..models.ensemble import Ensemble


def make_optimiser(experiment: Experiment, ensemble: Ensemble) -> torch.optim.Optimizer:
    """One optimiser over all members: its arithmetic is elementwise, so members do not see each other in it."""
    options = {"lr": experiment.learning_rate, "weight_decay": experiment.weight_decay}
    on_gpu = next(ensemble.parameters()).is_cuda
    if on_gpu and experiment.optimiser != "RMSprop":
        options["fused"] = True  # all parameters in a few kernels; RMSprop has none such
    if on_gpu and experiment.optimiser != "SGD":
        options["capturable"] = True  # its count of steps is on the device, so that a graph counts on; SGD has none
    if experiment.optimiser == "Adam":
        return torch.optim.Adam(ensemble.parameters(), **options)
    kind = {"SGD": torch.optim.SGD, "RMSprop": torch.optim.RMSprop}[experiment.optimiser]
    return kind(ensemble.parameters(), momentum=experiment.momentum, **options)
