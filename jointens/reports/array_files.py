"""Files of arrays, from anywhere: nothing in them is executed, so files of others can be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..common import InputError, read_npz

LISTED = 5  # names that an error message lists


def read_arrays(file: Path) -> dict[str, Any]:
    """Read the arrays or tensors of a file by name; a file that holds a single one without a name has "outputs".

    Args:
        file: its suffix, in lower or upper case, is one of `READERS`.

    Raises:
        InputError: the file is not there, is damaged, or holds other objects than arrays.
    """
    try:
        return READERS[file.suffix.lower()](file)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except Exception as error:  # the readers raise a dozen kinds of errors for damaged files
        raise InputError(f"{file} is damaged, or holds other objects than arrays, which are not loaded") from error


def read_array(file: Path, name: str) -> Any:
    """Read the array of this name, or the only array of a file; errors as for `read_arrays`."""
    if file.suffix.lower() not in READERS:
        raise InputError(f"{name} is {file}; allowed are files of {', '.join(READERS)}")
    arrays = read_arrays(file)
    if name not in arrays and len(arrays) != 1:
        raise InputError(f"{file} holds {listed(arrays)}, and no {name}")
    return arrays[name] if name in arrays else next(iter(arrays.values()))


def listed(arrays: dict[str, Any]) -> str:
    """List the names of arrays for an error message."""
    names = list(map(str, arrays))
    return ", ".join(names[:LISTED] + ["…"] * (len(names) > LISTED)) or "nothing"


def _read_npy(file: Path) -> dict[str, np.ndarray]:
    return {"outputs": np.load(file, allow_pickle=False)}


def _read_torch(file: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other pickle protocols; what cannot be read is an error
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    return loaded if isinstance(loaded, dict) else {"outputs": loaded}


def _read_safetensors(file: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(file, framework="pt", device="cpu") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118, it is no dict
        return {**(opened.metadata() or {}), **tensors}


READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": read_npz,
    ".npy": _read_npy,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".safetensors": _read_safetensors,
}
"""The function that reads a file, by its suffix."""
