"""Read `import:MODULE:FUNCTION`, a data set that a function of the user's own returns, and check what it returns.

    def function(seed: int):
        return (train_inputs, train_targets), (val_inputs, val_targets), (test_inputs, test_targets)

Inputs `(N, ...)` are floats, targets `(N,)` classes (integers) or values (floats), as tensors or arrays.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..common import InputError, OwnFunction, derived_seed

Part = tuple[Tensor, Tensor]  # inputs (N, ...), float32, and targets (N,), int64 classes or float32 values
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Format:
    """Sizes, shapes and kind of targets, which are the same for every seed."""

    sizes: tuple[int, int, int]
    input_shape: tuple[int, ...]
    num_outputs: int
    """The largest class + 1, or 1 for values."""
    loss: str
    """"cross_entropy" for classes, "squared_error" for values."""


@functools.lru_cache(maxsize=2)  # every cell of a seed reads the same data
def read_own_parts(source: OwnFunction, seed: int) -> tuple[Part, Part, Part]:
    """Call the function with a seed and return training, validation and test part.

    Raises:
        InputError: it raises an exception, or returns something else than three parts of one format.
    """
    with torch.random.fork_rng(devices=[]):  # what it draws from the global generator follows from the seed, too
        torch.default_generator.manual_seed(derived_seed(seed, "own data"))
        returned = source(seed)
    if not isinstance(returned, (tuple, list)) or len(returned) != 3:
        raise InputError(
            f"{source.name} returned {_kind(returned)}; allowed are three parts, train, val and test, each a pair "
            "(inputs, targets)"
        )
    train, val, test = (_checked(part, f"{source.name}: {name}") for part, name in zip(returned, PARTS, strict=True))
    return train, val, test


@functools.lru_cache(maxsize=8)  # an experiment asks for its shape and sizes again and again
def own_format(source: OwnFunction, seed: int = 0) -> Format:
    """Return the format of the data of a seed.

    Raises:
        InputError: the parts do not fit each other.
    """
    parts = read_own_parts(source, seed)
    for what, values in {
        "inputs of shape": [tuple(inputs.shape[1:]) for inputs, _ in parts],
        "targets of type": [targets.dtype for _, targets in parts],
    }.items():
        if len(set(values)) > 1:
            listed = ", ".join(f"{name} {value}" for name, value in zip(PARTS, values, strict=True))
            raise InputError(f"{source.name} returned {what} {listed}; allowed is the same for all parts")
    classes = not parts[0][1].is_floating_point()
    num_outputs = 1 + max(int(targets.max()) for _, targets in parts) if classes else 1
    if classes and num_outputs < 2:
        raise InputError(f"{source.name} returned class 0 alone; allowed are at least two classes, or floats as values")
    train, val, test = (len(targets) for _, targets in parts)
    loss = "cross_entropy" if classes else "squared_error"
    return Format((train, val, test), tuple(parts[0][0].shape[1:]), num_outputs, loss)


def read_of_format(source: OwnFunction, seed: int) -> tuple[Part, Part, Part]:
    """Call the function with a seed and check that its data have the format of those of seed 0."""
    expected, found = own_format(source), own_format(source, seed)
    for name in ("sizes", "input_shape", "loss"):
        here, there = getattr(found, name), getattr(expected, name)
        if here != there:
            raise InputError(
                f"{source.name} returned {name} {here} for seed {seed}, {there} for seed 0; allowed is the same"
            )
    if found.num_outputs > expected.num_outputs:
        raise InputError(
            f"{source.name} returned class {found.num_outputs - 1} for seed {seed}, classes up to "
            f"{expected.num_outputs - 1} for seed 0; allowed are the same"
        )
    return read_own_parts(source, seed)


def _checked(part: Any, where: str) -> Part:
    """Copy a part into float32 inputs and int64 or float32 targets; raises InputError if it is none."""
    if not isinstance(part, (tuple, list)) or len(part) != 2:
        raise InputError(f"{where} is {_kind(part)}; allowed is a pair (inputs, targets)")
    try:
        inputs, targets = (torch.as_tensor(values).detach().cpu() for values in part)
    except (TypeError, ValueError, RuntimeError) as error:
        inputs, targets = (type(values).__name__ for values in part)
        raise InputError(
            f"{where} holds inputs of type {inputs} and targets of type {targets}; allowed are tensors or arrays"
        ) from error
    if inputs.ndim < 2 or targets.ndim != 1 or len(inputs) != len(targets) or 0 in inputs.shape:
        raise InputError(
            f"{where} has inputs of shape {tuple(inputs.shape)} and targets of shape {tuple(targets.shape)}; "
            "allowed are (N, ...) and (N,), N at least 1"
        )
    if not inputs.is_floating_point():
        raise InputError(f"{where} has inputs of type {inputs.dtype}; allowed are floats, prepared by the function")
    if targets.dtype == torch.bool or targets.is_complex():
        raise InputError(f"{where} has targets of type {targets.dtype}; allowed are integers (classes) or floats")
    inputs = inputs.to(torch.float32, copy=True)  # cached: the function may use its arrays again
    targets = targets.to(torch.float32 if targets.is_floating_point() else torch.int64, copy=True)
    for name, values in {"inputs": inputs, "targets": targets}.items():
        if not values.isfinite().all():
            raise InputError(f"{where} has NaN or infinite {name}; allowed are finite numbers of float32")
    if not targets.is_floating_point() and targets.min() < 0:
        raise InputError(f"{where} has class {targets.min()}; allowed are classes from 0")
    return inputs, targets


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a value of type {type(value).__name__}"
