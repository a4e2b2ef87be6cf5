"""Trained ensembles from the weights in a results folder."""

from __future__ import annotations

import os
from pathlib import Path

from ..common import InputError
from ..experiment import Cell, Results, canonical_beta
from ..models import Ensemble
from .build import make_ensemble


def load(folder: str | os.PathLike, beta: float, seed: int) -> Ensemble:
    """Load the trained ensemble of one cell, at its best epoch, on the CPU and in evaluation mode.

    Called with inputs `(B, ...)` it gives outputs `(M, B, K)`.

    Args:
        folder: a results folder, `Results.folder`.
        beta: of the cell.
        seed: of the cell.

    Raises:
        InputError: the folder holds no such cell, or holds it without weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder, cell = Path(folder), Cell(canonical_beta(beta), int(seed))
    results = Results.at(folder)
    if not results.is_done(cell):
        known = sorted(path.stem for path in (folder / "cells").glob("*.json"))
        raise InputError(f"{folder} holds no cell {cell}; it holds {'; '.join(known) or 'none'}")
    if since := results.read(cell).diverged:
        raise InputError(f"{folder} holds no weights of {cell}: it diverged, at validation {since}")
    weights = results.path(cell, ".safetensors")
    if not weights.exists():
        raise InputError(f"{folder} holds no weights of {cell}: it was trained with save_weights false, or converted")
    try:
        return make_ensemble(results.experiment).load_weights(load_file(weights)).eval()
    except SafetensorError as error:
        raise InputError(f"{weights} is damaged: {error}") from error
