"""What the benchmarks read off a device: seconds, memory, its rate of matrix products; and the work of a learner."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long the work takes, from an idle device to an idle device."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def matrix_rate(device: torch.device, precision: str, rounds: int = 9) -> float:
    """FLOP per second of a large product of random matrices: what a device reaches, not what it is sold for."""
    size, repeats = (8192, 10) if device.type == "cuda" else (2048, 1)
    a, b = (torch.randn(size, size, device=device).to(getattr(torch, precision)) for _ in range(2))

    def products() -> None:
        for _ in range(repeats):
            a @ b

    seconds(products, device)
    return 2 * size**3 * repeats / median(seconds(products, device) for _ in range(rounds))


def training_flops(learner: nn.Module, inputs: torch.Tensor) -> float:
    """FLOP of a training step for each of the inputs `(B, ...)`: products and convolutions, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        learner(inputs).sum().backward()
    return counter.get_total_flops() / len(inputs)


class Memory:
    """The most memory of a GPU that was held since this was made, in GiB; NaN on a CPU."""

    def __init__(self, device: torch.device):
        self.device = device
        gc.collect()  # compiled learners that were trained before may hold themselves in circles
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)

    def peak(self) -> float:
        return torch.cuda.max_memory_reserved(self.device) / 2**30 if self.device.type == "cuda" else float("nan")


def device_name(device: torch.device) -> str:
    """What ratios are to be read with: the GPU, or how many threads of the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
