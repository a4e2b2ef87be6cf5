"""Convert arrays of any framework to what the diagnostics compute with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_tensor(values: Any, name: str) -> Tensor:
    """Convert values to a tensor on the CPU, detached from the graph.

    Args:
        values: a tensor, a list of tensors of one shape, an array, nested lists of numbers, or anything else that numpy
            can read.
        name: name of the argument, for error messages.

    Raises:
        ValueError: values that are not real numbers, or rows of different lengths.
    """
    if isinstance(values, Tensor):
        if values.is_complex():
            raise ValueError(f"{name} are {values.dtype}; allowed are real numbers")
        return values.detach().cpu()
    if isinstance(values, (list, tuple)) and values and all(isinstance(item, Tensor) for item in values):
        if len({item.shape for item in values}) > 1:
            raise ValueError(f"{name} are tensors of different shapes; allowed are tensors of one shape")
        return as_tensor(torch.stack([item.detach() for item in values]), name)
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise ValueError
        # Copy where torch would warn (read-only memory) or refuse (negative strides, foreign byte order).
        shareable = array.flags.writeable and array.dtype.isnative and all(stride >= 0 for stride in array.strides)
        return torch.from_numpy(array if shareable else array.astype(array.dtype.newbyteorder("=")).copy())
    except (ValueError, TypeError, RuntimeError):
        found = f"of {np.asarray(values).dtype}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
        raise ValueError(f"{name} are {found}; allowed is an array or a tensor of numbers") from None
