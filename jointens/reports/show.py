"""What `python -m jointens show` prints: the diagnosis of a stored ensemble, ours, the authors' or anybody's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.stored import StoredOutputs, stored_outputs
from ..common.errors import InputError
from ..common.paths import expanded
from ..diagnostics.diagnosis import diagnose
from ..diagnostics.inputs import read_npz
from ..diagnostics.report import Report
from ..experiment.fields import check, check_names, coerced
from ..experiment.record import Cell, canonical_beta
from ..losses.decomposition import AVERAGES, LOSSES

# The keys that may be given, with their types.
OF_SWEEPS = {"beta": float, "seed": str, "checkpoint": str}
OF_FILES = {"loss": str, "average": str}


def show(source: str | os.PathLike, /, **keys: Any) -> str:
    """Diagnose a stored ensemble, as `diagnose` does, and say so in text.

    Args:
        source: a results folder, or a file in the authors' format (`deep_ensemble_*.json`); or an .npz file with the
            arrays `outputs` `(M, N, K)` and `targets` `(N,)`, and perhaps `reference`; or one of a cell of ours.
        keys: of a sweep beta, seed and checkpoint. Without beta both ends of the grid are shown, the joint one with the
            independent one as its reference; the seed is the first, the checkpoint the last epoch, if none is given.
            Of an .npz file loss and average; without loss it is cross_entropy if there are several outputs and targets
            are whole numbers.

    Raises:
        InputError: the source is none of these, a key is none that it takes, or there are no such outputs.
    """
    source = expanded(source)
    if source.suffix == ".npz" and not _is_cell(source):
        return _show_arrays(source, _read_keys(keys, OF_FILES))
    told = _read_keys(keys, OF_SWEEPS)
    if source.suffix == ".npz":
        told = {**Cell.named(source.stem)._asdict(), **told}
        source = source.parent.parent
    if not source.exists():
        raise InputError(f"{source} is not there; allowed are a results folder, an .npz file or deep_ensemble_*.json")
    return _show_sweep(stored_outputs(source), **told)


def _read_keys(keys: dict[str, Any], allowed: dict[str, type]) -> dict[str, Any]:
    check_names(keys, list(allowed), where="show")
    told = {name: coerced(name, str(value), allowed[name]) for name, value in keys.items()}
    for name, known in {"loss": LOSSES, "average": AVERAGES}.items():
        check(name, told.get(name), {"among": known})
    return told


def _is_cell(file: Path) -> bool:
    """Whether a file is a cell's in a results folder, which knows more about it."""
    return Cell.named(file.stem) is not None and (file.parent.parent / "experiment.yml").exists()


def _show_sweep(
    stored: StoredOutputs, *, beta: float | None = None, seed: str | None = None, checkpoint: str | None = None
) -> str:
    run = stored.runs[0] if seed is None else next((of for of in stored.runs if str(of) == str(seed)), seed)
    reference, joint = stored.independent, stored.joint if beta is None else canonical_beta(beta)
    others, targets = stored.read(reference, run, checkpoint)
    how = {"loss": stored.loss, "average": stored.average}
    parts = []
    for shown in dict.fromkeys([reference, joint] if beta is None else [joint]):
        outputs, _ = stored.read(shown, run, checkpoint)
        against = None if shown == reference else others
        report = _diagnosed(stored.source, "", outputs, targets, reference=against, **how)
        where = f"β = {shown:g}, seed {run}, {checkpoint or stored.checkpoints[-1]}"
        parts.append(f"{where}{f'; reference β = {reference:g}' if against is not None else ''}\n{report}")
    return "\n\n\n".join(parts)


def _show_arrays(file: Path, keys: dict[str, Any]) -> str:
    arrays = read_npz(file)
    if missing := [name for name in ("outputs", "targets") if name not in arrays]:
        held = ", ".join(arrays) or "nothing"
        raise InputError(f"{file} holds {held}, and no {missing[0]}; needed are outputs (M, N, K) and targets (N,)")
    hint = ""
    if "loss" not in keys:
        keys["loss"] = _likely_loss(arrays["outputs"], arrays["targets"])
        hint = f" (read as {keys['loss']}; loss=… says otherwise)"
    known = {name: arrays[name] for name in ("outputs", "targets", "reference") if name in arrays}
    return str(_diagnosed(file, hint, **known, **keys))


def _likely_loss(outputs: np.ndarray, targets: np.ndarray) -> str:
    """One output for each example is a value; several are the scores of classes, if targets are whole numbers."""
    if outputs.ndim < 3 or outputs.shape[-1] == 1:
        return "squared_error"
    return "cross_entropy" if _are_whole(targets) and targets.ndim == 1 else "squared_error"


def _are_whole(targets: np.ndarray) -> bool:
    """Whether these may be classes, perhaps written 0.0 and 1.0."""
    if targets.dtype.kind != "f":
        return targets.dtype.kind in "iu"
    values = targets.astype(float)
    return bool((np.isfinite(values) & (values == values.round()) & (abs(values) < 2**31)).all())


def _diagnosed(source: Path, hint: str, outputs: Any, targets: Any, **how: Any) -> Report:
    """hint: what was guessed, for the message if it does not fit."""
    try:
        if how["loss"] == "cross_entropy" and isinstance(targets, np.ndarray) and _are_whole(targets):
            targets = targets.astype(int)
        return diagnose(outputs, targets, **how)
    except ValueError as error:
        raise InputError(f"{source}: {error}{hint}") from error
