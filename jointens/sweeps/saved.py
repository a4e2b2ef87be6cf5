"""Trained ensembles from the weights in a results folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..common import InputError
from ..experiment import Cell, Results, canonical_beta
from ..models import Ensemble
from .build import make_ensemble

if TYPE_CHECKING:
    import pandas as pd


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


def predict(folder: str | os.PathLike, rows: pd.DataFrame, beta: float, seed: int) -> pd.Series:
    """Predict the target of new rows of a table of the user's own, in the table's own units, without the table.

    Args:
        folder: a results folder that was trained on `csv:PATH`.
        rows: the columns of the table, in any order, with or without the target; what is missing is None or NaN.
        beta: of the cell, whose ensemble predicts at its best epoch.
        seed: of the cell.

    Returns:
        The ensemble's predictions, with the index of `rows` and the name of the target. Those of its learners are
        `results.preparation(seed).values(load(folder, beta, seed)(results.preparation(seed).inputs(rows)))`, `(M, N)`.

    Raises:
        InputError: as `load`; or the rows do not fit the table; or the folder was made before it kept how the table was
            prepared, and the table is not there.
    """
    import pandas as pd

    ensemble, preparation = load(folder, beta, seed), Results.at(folder).preparation(seed)
    with torch.no_grad():
        values = preparation.values(ensemble(preparation.inputs(rows)))  # (M, N)
    return pd.Series(values.mean(0).numpy(), index=rows.index, name=preparation.target)
