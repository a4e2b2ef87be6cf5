"""The optimisers of the authors' code, one for all learners of all runs."""

from __future__ import annotations

from collections.abc import Iterable

import torch

OPTIMISERS = ("SGD", "Adam", "RMSprop")


def make_optimiser(
    name: str,
    parameters: Iterable[torch.nn.Parameter],
    *,
    learning_rate: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Make one optimiser over all learners: its arithmetic is elementwise, so learners do not see each other in it.

    Args:
        name: one of `OPTIMISERS`.
        parameters: of the ensemble.
        learning_rate: at the start.
        momentum: of SGD and RMSprop; Adam has none.
        weight_decay: L2 penalty added to the gradient.

    Raises:
        ValueError: an unknown name.
    """
    if name not in OPTIMISERS:
        raise ValueError(f"unknown optimiser {name!r}; allowed are {', '.join(OPTIMISERS)}")
    parameters = list(parameters)
    options = {"lr": learning_rate, "weight_decay": weight_decay}
    on_gpu = parameters[0].is_cuda
    if on_gpu and name != "RMSprop":
        options["fused"] = True  # all parameters in a few kernels; RMSprop has none such
    if on_gpu and name != "SGD":
        options["capturable"] = True  # its count of steps is on the device, so that a graph counts on; SGD has none
    if name == "Adam":
        return torch.optim.Adam(parameters, **options)
    kind = {"SGD": torch.optim.SGD, "RMSprop": torch.optim.RMSprop}[name]
    return kind(parameters, momentum=momentum, **options)
