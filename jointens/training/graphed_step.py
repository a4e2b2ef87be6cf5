"""A training step that is recorded as a CUDA graph and replayed, once for each shape of its inputs."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from ..common import InputError

# Steps of a shape that are trained without the graph before it is recorded: in these the optimiser makes its state,
# cuDNN chooses its algorithms and torch.compile compiles. None of that may happen while a graph is recorded.
WARM_UP = 3
MOST_RECORDINGS = 4  # of shapes, each of which keeps its memory: whole batches, last ones, and not every odd size

# Records what a call does, without the values it meets, and returns what does the same again on the same memory.
Record = Callable[[Callable[[], None]], Callable[[], None]]


def cuda_graph(function: Callable[[], None]) -> Callable[[], None]:
    """Record a call on the current stream as a CUDA graph; returns its replay, which hands over all of it at once.

    Raises:
        InputError: the call does something that cannot be recorded. The device cannot be used after that.
    """
    gc.collect()  # a graph that is thrown away while another is recorded would spoil the recording
    graph = torch.cuda.CUDAGraph()
    try:
        # thread_local: beside it a thread of the loader may pin memory, which would otherwise spoil the recording.
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
            function()
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"a training step cannot be recorded as a CUDA graph ({reason}); use execution=eager"
        ) from error
    return graph.replay


class GraphedStep:
    """Runs a function of tensors, and after `WARM_UP` calls records and replays it.

    Each of the first `MOST_RECORDINGS` shapes of the inputs has a recording of its own, on memory to which the inputs
    are copied; other shapes run without. The function returns nothing, and must take every number that changes from
    call to call from a tensor; when another one changes, `forget` the recordings.

    The function is an argument of each call and is not kept: a step that held a method of its trainer would keep the
    trainer, and all memory of a training run, until the garbage collector looks for circles.

    Args:
        record: `cuda_graph`; None calls the function each time.
    """

    def __init__(self, record: Record | None = None):
        self.record = record
        self._calls = Counter()  # of each shape
        self._recorded: dict[tuple, tuple[list[Tensor], Callable[[], None]]] = {}

    def __call__(self, function: Callable[..., None], *inputs: Tensor) -> None:
        """Run `function(*inputs)`: the same function in every call."""
        shape = tuple(tensor.shape for tensor in inputs)
        self._calls[shape] += 1
        unrecorded = shape not in self._recorded and len(self._recorded) >= MOST_RECORDINGS
        if self.record is None or self._calls[shape] <= WARM_UP or unrecorded:
            return function(*inputs)
        if shape not in self._recorded:
            own = [tensor.clone() for tensor in inputs]
            self._recorded[shape] = own, self.record(lambda: function(*own))
        own, replay = self._recorded[shape]
        for held, given in zip(own, inputs, strict=True):
            held.copy_(given)
        return replay()

    def forget(self) -> None:
        """Drop the recordings; the next call of each shape makes a new one."""
        self._recorded.clear()
