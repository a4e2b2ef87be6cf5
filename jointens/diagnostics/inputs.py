"""Arrays of any framework as torch tensors, and from files: what a practitioner's ensemble hands over."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.errors import InputError


def as_tensor(values: Any, name: str) -> Tensor:
    """A tensor on the CPU, without a gradient, of what torch, numpy, or anything that numpy can read holds.

    Args:
        values: a tensor, an array, or nested lists of numbers.
        name: of the argument, for the message.

    Raises:
        ValueError: it holds other than numbers, or rows of different lengths.
    """
    if isinstance(values, Tensor):
        if values.is_complex():
            raise ValueError(f"{name} are {values.dtype}; allowed are real numbers")
        return values.detach().cpu()
    if isinstance(values, (list, tuple)) and values and all(isinstance(of, Tensor) for of in values):
        if len({of.shape for of in values}) > 1:
            raise ValueError(f"{name} are tensors of different shapes; allowed are those of one")
        return as_tensor(torch.stack([of.detach() for of in values]), name)
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise ValueError
        # A copy where torch would warn (memory not to be written) or refuse (negative strides, other byte order).
        plain = array.flags.writeable and array.dtype.isnative and all(stride >= 0 for stride in array.strides)
        return torch.from_numpy(array if plain else array.astype(array.dtype.newbyteorder("=")).copy())
    except (ValueError, TypeError, RuntimeError):
        told = f"of {np.asarray(values).dtype}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
        raise ValueError(f"{name} are {told}; allowed is an array or a tensor of numbers") from None


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name; raises InputError if it cannot be read or is none of plain arrays."""
    try:
        with np.load(file) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, TypeError, AttributeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{file} is damaged, or no .npz file of plain arrays") from error
