"""Warn where bfloat16 does not make training faster: having the instruction is not enough on every CPU."""

from __future__ import annotations

import statistics
import time
import warnings

import torch

from ..common import autocast, has_bfloat16
from ..experiment import Experiment
from .build import make_ensemble

STEPS = 5  # that are timed, after one that is not


def warn_if_slow(experiment: Experiment, device: torch.device) -> None:
    """Warn if bfloat16 is asked for and emulated, or, on a CPU, slower than float32 in a timed trial."""
    if experiment.precision == "float32":
        return
    name = f"precision is bfloat16, which this {device.type}"
    if not has_bfloat16(device):
        warnings.warn(f"{name} does not have: it is emulated", stacklevel=4)
    elif device.type == "cpu":
        ratio = step_seconds(experiment, "bfloat16") / step_seconds(experiment, "float32")
        if ratio > 1:
            warnings.warn(f"{name} computes slower: a step takes {ratio:.1f} times as long as in float32", stacklevel=4)


def step_seconds(experiment: Experiment, precision: str) -> float:
    """Time the forward and backward pass of the ensemble on a training batch of random inputs, on the CPU.

    Returns:
        The median of some passes, in seconds.
    """
    ensemble, device = make_ensemble(experiment), torch.device("cpu")
    inputs = torch.randn(experiment.batch_size, *experiment.input_shape, generator=torch.Generator().manual_seed(0))
    seconds = []
    for _ in range(1 + STEPS):
        start = time.perf_counter()
        with autocast(precision, device):
            outputs = ensemble(inputs)
        outputs.float().square().mean().backward()
        seconds.append(time.perf_counter() - start)
        ensemble.zero_grad()
    return statistics.median(seconds[1:])
