"""Convert arrays of any framework to what the diagnostics compute with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_tensor(values: Any, name: str) -> Tensor:
    """Convert values to a tensor on the CPU, detached from the graph.

    Args:
        values: a tensor, an array, a list of tensors or arrays of one shape, nested lists of numbers, or anything else
            that numpy can read. Arrays of objects are read if all objects are numbers.
        name: name of the argument, for error messages.

    Raises:
        ValueError: values that are not real numbers or are missing, or rows or arrays of different shapes.
    """
    if isinstance(values, Tensor):
        if values.is_complex():
            raise ValueError(f"{name} are {values.dtype}; allowed are real numbers")
        if values.layout != torch.strided or isinstance(values, torch.masked.MaskedTensor):
            raise ValueError(f"{name} are a tensor that is sparse or masked; allowed are tensors that hold all values")
        return values.detach().cpu()
    if isinstance(values, (list, tuple)) and any(map(_is_array, values)):
        return _stacked([as_tensor(item, name) for item in values], name)
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError):
        _check_shapes(values, name)
        array = np.empty((), dtype=object)
    found = f"of {array.dtype}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
    if missing := _number_missing(values, array):
        raise ValueError(f"{name} are {found}, {missing} of {array.size} values are missing; allowed are numbers only")
    if array.dtype.kind == "O" and not isinstance(values, (list, tuple)) and array.ndim:
        return as_tensor(array.tolist(), name)  # the list has a type of its own, unless its items are no numbers
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} are {found}; allowed is an array or a tensor of numbers")
    # Copy where torch would warn (read-only memory) or refuse (negative strides, foreign byte order).
    shareable = array.flags.writeable and array.dtype.isnative and all(stride >= 0 for stride in array.strides)
    try:
        return torch.from_numpy(array if shareable else array.astype(array.dtype.newbyteorder("=")).copy())
    except TypeError:  # a type that torch does not have, such as long double
        raise ValueError(f"{name} are of {array.dtype}; allowed is an array or a tensor of numbers") from None


def _is_array(item: Any) -> bool:
    return isinstance(item, Tensor) or (hasattr(item, "__array__") and getattr(item, "ndim", 1) > 0)


def _stacked(items: list[Tensor], name: str) -> Tensor:
    _check_shapes(items, name)
    return torch.stack(items)


def _check_shapes(values: Any, name: str) -> None:
    """Check that the items of a list have one shape, if they have any."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        return
    try:
        shapes = list(dict.fromkeys(tuple(np.shape(item)) for item in values))
    except ValueError:  # an item has no shape itself
        return
    if len(shapes) > 1:
        named = ", ".join(map(str, shapes[:3])) + (", …" if len(shapes) > 3 else "")
        raise ValueError(f"{name} are {len(values)} arrays of different shapes, {named}; allowed is one shape for all")


def _number_missing(values: Any, array: np.ndarray) -> int:
    """Count the values that are masked, or that are None or NA among objects."""
    if isinstance(values, np.ma.MaskedArray):
        return int(np.ma.getmaskarray(values).sum())
    if array.dtype.kind != "O" or not array.ndim:
        return 0
    import pandas as pd

    return int(pd.isna(array).sum())
