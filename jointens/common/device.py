"""How a device is driven: which one, in which precision, and how it is handed the work of a training step.

A step of an ensemble on a GPU is a thousand small operations, and handing them over one by one takes longer than they
do. So they are recorded once as a CUDA graph and then replayed as one; learners may have a stream each, so that the
small layers of one run beside those of another; torch.compile may fuse what lies between a learner's convolutions.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .errors import InputError

PRECISIONS = ("float32", "bfloat16")


class Way(NamedTuple):
    """How a training step is run. On every way it computes the same but for rounding and the draws of dropout."""

    graph: bool = False
    """Recorded once as a CUDA graph and replayed, not handed over operation by operation; on a GPU alone."""
    compiled: bool = False
    """Each learner's forward and backward are fused by torch.compile."""
    streams: bool = False
    """Looped learners run side by side, each on a stream of its own; on a GPU alone."""


WAYS = {
    "eager": Way(),
    "graph": Way(graph=True),
    "streams": Way(graph=True, streams=True),
    "compiled": Way(graph=True, compiled=True),
    "compiled_streams": Way(graph=True, compiled=True, streams=True),
}
"""The ways by name, the values of the key `execution`: eager, graph, streams, compiled, compiled_streams."""
ON_CPU = ("eager", "compiled")  # without graph and streams, which a CPU does not have

# Steps of a shape that are trained without the graph before it is recorded: in these the optimiser makes its state,
# cuDNN chooses its algorithms and torch.compile compiles. None of that may happen while a graph is recorded.
WARM_UP = 3
MOST_RECORDINGS = 4  # of shapes, each of which keeps its memory: whole batches, last ones, and not every odd size
STREAMS = 8  # that many learners at once fill a GPU


def choose_device(name: str) -> torch.device:
    """The device a key names; raises InputError for one that is not here."""
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


def choose_way(execution: str | None, device: torch.device) -> str:
    """The way of the key `execution` on this device; raises InputError if the device has no such way.

    None is `graph` on a GPU and `eager` on a CPU: what needs neither a compiler nor a measurement.
    """
    if execution is None:
        return "graph" if device.type == "cuda" else "eager"
    if device.type == "cpu" and execution not in ON_CPU:
        raise InputError(f"execution is {execution}, which needs a GPU; a CPU allows {' and '.join(ON_CPU)}")
    if WAYS[execution].compiled:
        _check_compiler(device)
    return execution


@functools.lru_cache
def _check_compiler(device: torch.device) -> None:
    """torch.compile needs a C++ compiler, and one that finds Python's headers: better told now than after loading."""
    try:
        torch.compile(torch.sin)(torch.zeros(1, device=device))
    except Exception as error:  # of many kinds, from import to linking
        reason = next(line for line in [*str(error).splitlines(), type(error).__name__] if line.strip())
        raise InputError(
            f"torch.compile does not work on this machine ({reason.strip()}); use execution=eager"
        ) from error


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """Where products and convolutions are computed in `precision`. Weights, losses and optimiser are always float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def warn_if_emulated(precision: str, device: torch.device) -> None:
    """bfloat16 works on every device, but where the hardware does not have it, hundreds of times slower."""
    if precision == "float32":
        return
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported()
    if not native:
        warnings.warn(f"precision is bfloat16, which this {device.type} does not have: it is emulated", stacklevel=3)


@contextlib.contextmanager
def working_on(device: torch.device) -> Iterator[None]:
    """The settings of a training run. On a GPU it has a stream of its own: the default one cannot be recorded."""
    if device.type == "cpu":
        yield
        return
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.device(device), torch.cuda.stream(stream), warnings.catch_warnings():
            # Of the steps before the recording, that they are not recorded.
            warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
            yield
    finally:
        torch.cuda.current_stream(device).wait_stream(stream)
        torch.backends.cudnn.benchmark = before


# Records what a call does, without the values it meets, and gives what does the same again on the same memory.
Record = Callable[[Callable[[], None]], Callable[[], None]]


def cuda_graph(function: Callable[[], None]) -> Callable[[], None]:
    """Record a call on the current stream as a CUDA graph; its replay hands over all of it at once.

    Raises:
        InputError: the call does something that cannot be recorded. The device is not to be used after that.
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


class Step:
    """A function of tensors that works on what it holds and returns nothing; after `WARM_UP` calls it is recorded.

    Each of the first `MOST_RECORDINGS` shapes of the inputs has a recording of its own, on memory to which the inputs
    are copied; other shapes are trained without. The function must
    take every number that changes from call to call from a tensor; when another one changes, `forget` the recordings.

    Args:
        function: trains a step.
        record: `cuda_graph`; None calls the function each time.
    """

    def __init__(self, function: Callable[..., None], record: Record | None = None):
        self.function, self.record = function, record
        self._calls = Counter()  # of each shape
        self._recorded: dict[tuple, tuple[list[Tensor], Callable[[], None]]] = {}

    def __call__(self, *inputs: Tensor) -> None:
        shape = tuple(tensor.shape for tensor in inputs)
        self._calls[shape] += 1
        unrecorded = shape not in self._recorded and len(self._recorded) >= MOST_RECORDINGS
        if self.record is None or self._calls[shape] <= WARM_UP or unrecorded:
            return self.function(*inputs)
        if shape not in self._recorded:
            own = [tensor.clone() for tensor in inputs]
            self._recorded[shape] = own, self.record(lambda: self.function(*own))
        own, replay = self._recorded[shape]
        for mine, given in zip(own, inputs, strict=True):
            mine.copy_(given)
        return replay()

    def forget(self) -> None:
        """Drop the recordings; the next call of each shape makes a new one."""
        self._recorded.clear()


def side_by_side(calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
    """What the calls give, each on a CUDA stream beside the others, between the work before and the work behind.

    autograd runs each backward operation on the stream of its forward, so the gradients are side by side, too.
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
