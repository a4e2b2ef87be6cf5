"""Devices: which one is used, in which precision it computes, and how independent work runs side by side on a GPU."""

from __future__ import annotations

import contextlib
import functools
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from .errors import InputError

PRECISIONS = ("float32", "bfloat16")
STREAMS = 8  # so many learners at once fill a GPU


def choose_device(name: str) -> torch.device:
    """Return the device that a key names; "auto" is a GPU if there is one.

    Raises:
        InputError: no device has this name, or this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise InputError(f"device is {name!r}; allowed are auto, cpu, cuda and cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device is {name}; this machine has {torch.cuda.device_count()} CUDA devices, use device=cpu")
    return device


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """Compute products and convolutions in `precision`. Weights, losses and optimiser are always float32.

    Raises:
        ValueError: an unknown precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; allowed are {', '.join(PRECISIONS)}")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def has_bfloat16(device: torch.device) -> bool:
    """Check that the hardware has bfloat16: it works on every device, but emulated it is hundreds of times slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


@contextlib.contextmanager
def float32_on_cpu() -> Iterator[None]:
    """Make new tensors float32 and on the CPU where nothing else is said, whatever torch's defaults are set to."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        # Only if it has an effect: torch then looks at every operation.
        with contextlib.nullcontext() if device.type == "cpu" else torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)


@contextlib.contextmanager
def working_on(device: torch.device) -> Iterator[None]:
    """Apply the settings of a training run. A GPU gets a stream of its own: the default one cannot be recorded."""
    if device.type == "cpu":
        yield
        return
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.device(device), torch.cuda.stream(stream), warnings.catch_warnings():
            # The steps before the recording warn that they are not recorded.
            warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
            yield
    finally:
        torch.cuda.current_stream(device).wait_stream(stream)
        torch.backends.cudnn.benchmark = before


def side_by_side(calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
    """Call functions side by side, each on a CUDA stream, after the work before and before the work behind.

    autograd runs each backward operation on the stream of its forward, so the gradients are side by side as well.
    """
    here, results = torch.cuda.current_stream(), []
    streams = _streams(here.device, min(len(calls), STREAMS))
    for stream in streams:
        stream.wait_stream(here)
    for call, stream in zip(calls, itertools.cycle(streams)):
        with torch.cuda.stream(stream):
            results.append(call())
    for stream in streams:
        here.wait_stream(stream)
    return results


@functools.lru_cache  # the same in every step: the memory that a stream has used is kept for it
def _streams(device: torch.device, number: int) -> list[torch.cuda.Stream]:
    return [torch.cuda.Stream(device) for _ in range(number)]
