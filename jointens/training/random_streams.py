"""Torch's global random streams during training: masks of dropout and subsets of learners are drawn from them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor


@contextlib.contextmanager
def random_streams(device: torch.device, seed: int, state: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Seed the streams of the CPU and the device, or let them go on; afterwards they are as they were before.

    Args:
        device: where training runs.
        seed: where they begin.
        state: what `random_state` gave, where they are to go on; None: they begin.
    """
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        if state:
            torch.set_rng_state(state["cpu"])
            if gpus:
                torch.cuda.set_rng_state(state["cuda"], device)
        yield


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return where the streams of the CPU and the device are."""
    on_gpu = device.type == "cuda"
    return {"cpu": torch.get_rng_state()} | ({"cuda": torch.cuda.get_rng_state(device)} if on_gpu else {})
