"""Build base learners with a function of the user's own: `import:MODULE:FUNCTION`.

    def function(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module

The module has fresh weights from torch's global generator, and takes inputs `(B, *input_shape)` to `(B, num_outputs)`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..common import InputError, OwnFunction


def from_own(source: OwnFunction, input_shape: Sequence[int], num_outputs: int) -> nn.Module:
    """Call the function for inputs of a shape.

    Raises:
        InputError: it raises an exception, or returns something else than a module.
    """
    learner = source(tuple(input_shape), num_outputs)
    if not isinstance(learner, nn.Module):
        raise InputError(
            f"{source.name} returned a value of type {type(learner).__name__}; allowed is a torch.nn.Module"
        )
    return learner


@functools.lru_cache(maxsize=64)  # each learner that is built asks for it
def check_own(source: OwnFunction, input_shape: tuple[int, ...], num_outputs: int) -> None:
    """Check that the function returns new modules that take inputs of a shape to `num_outputs` outputs.

    Raises:
        InputError: it does not, or an exception is raised.
    """
    try:
        with torch.device("meta"):  # shapes alone
            _check(source, input_shape, num_outputs)
    except Exception:  # not all that works on a CPU does on the meta device; and if it is the user's mistake, say so
        with torch.random.fork_rng(devices=[]):
            _check(source, input_shape, num_outputs)


def _check(source: OwnFunction, input_shape: tuple[int, ...], num_outputs: int) -> None:
    learner = from_own(source, input_shape, num_outputs)
    if from_own(source, input_shape, num_outputs) is learner:
        raise InputError(f"{source.name} returned the same module twice; allowed is a new one at each call")
    shape = "×".join(map(str, input_shape))
    try:
        with torch.no_grad():
            outputs = learner.eval()(torch.zeros(2, *input_shape))
    except Exception as error:
        fault = str(error).partition("\n")[0]
        raise InputError(
            f"{source.name} returned a module that does not take inputs of {shape}: {type(error).__name__}: {fault}"
        ) from error
    found = tuple(outputs.shape) if isinstance(outputs, Tensor) else f"of type {type(outputs).__name__}"
    if found != (2, num_outputs):
        raise InputError(
            f"{source.name} returned a module with outputs {found} for 2 inputs of {shape}; allowed is "
            f"{(2, num_outputs)}"
        )
