"""How a training step is handed to the device: operation by operation, as a recorded CUDA graph, compiled, on streams.

A step of an ensemble on a GPU is a thousand small operations, and handing them over one by one takes longer than they
do. So they are recorded once as a CUDA graph and then replayed as one; learners may have a stream each, so that the
small layers of one run beside those of another; torch.compile may fuse what lies between a learner's convolutions.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch

from ..common import InputError


class ExecutionMode(NamedTuple):
    """How a training step is run. Every mode computes the same but for rounding and the draws of dropout."""

    graph: bool = False
    """Recorded once as a CUDA graph and replayed, not handed over operation by operation; on a GPU alone."""
    compiled: bool = False
    """Each learner's forward and backward are fused by torch.compile."""
    streams: bool = False
    """Looped learners run side by side, each on a stream of its own; on a GPU alone."""


EXECUTION_MODES = {
    "eager": ExecutionMode(),
    "graph": ExecutionMode(graph=True),
    "streams": ExecutionMode(graph=True, streams=True),
    "compiled": ExecutionMode(graph=True, compiled=True),
    "compiled_streams": ExecutionMode(graph=True, compiled=True, streams=True),
}
"""The modes by name, the values of the key `execution`: eager, graph, streams, compiled, compiled_streams."""
ON_CPU = ("eager", "compiled")  # the modes without graph and streams, which a CPU does not have


def choose_execution(execution: str | None, device: torch.device) -> str:
    """Return the name of the execution mode for a device.

    Args:
        execution: the key `execution`; None is `graph` on a GPU and `eager` on a CPU, the modes that need neither a
            compiler nor a measurement.
        device: where training runs.

    Raises:
        InputError: the device has no such mode, or torch.compile does not work here.
    """
    if execution is None:
        return "graph" if device.type == "cuda" else "eager"
    if device.type == "cpu" and execution not in ON_CPU:
        raise InputError(f"execution is {execution}, which needs a GPU; a CPU allows {' and '.join(ON_CPU)}")
    if EXECUTION_MODES[execution].compiled:
        _check_compiler(device)
    return execution


@functools.lru_cache
def _check_compiler(device: torch.device) -> None:
    """Compile something small: a missing C++ compiler or Python header is better found now than after loading."""
    try:
        torch.compile(torch.sin)(torch.zeros(1, device=device))
    except Exception as error:  # of many kinds, from import to linking
        reason = next(line for line in [*str(error).splitlines(), type(error).__name__] if line.strip())
        raise InputError(
            f"torch.compile does not work on this machine ({reason.strip()}); use execution=eager"
        ) from error
