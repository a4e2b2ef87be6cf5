"""Diagnosis of a stored ensemble as text, ours, the authors' or anybody's: what `python -m jointens show` prints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..analysis import StoredOutputs, stored_outputs
from ..common import InputError, check_names, expanded, read_npz
from ..diagnostics import Report, diagnose
from ..experiment import Cell, Results, canonical_beta, check_value
from ..losses import AVERAGES, LOSSES
from ..sweeps import describe_progress

# The keys that are allowed, with their types.
SWEEP_KEYS = {"beta": float, "seed": str, "checkpoint": str}
ARRAY_KEYS = {"loss": Literal[LOSSES], "average": Literal[AVERAGES]}


def diagnose_stored(source: str | os.PathLike, /, **keys: Any) -> str:
    """Diagnose a stored ensemble, as `diagnose` does, and return the report as text.

    Of a results folder that is not finished, what is done, in work and missing stands above it.

    Args:
        source: a results folder, or a file in the authors' format (`deep_ensemble_*.json`); or an .npz file with the
            arrays `outputs` `(M, N, K)` and `targets` `(N,)`, and perhaps `reference`; or one of a cell of ours.
        keys: of a sweep beta, seed and checkpoint. Without beta both ends of the grid are shown, the joint one with the
            independent one as its reference; the seed is the first, the checkpoint the last epoch, if none is given.
            Of an .npz file loss and average; without loss it is cross_entropy if there are several outputs and targets
            are whole numbers.

    Raises:
        InputError: the source is none of these, it does not take a key, or there are no such outputs.
    """
    source = expanded(source)
    if source.suffix == ".npz" and not _is_cell(source):
        return _diagnose_arrays(source, _read_keys(keys, ARRAY_KEYS))
    choice = _read_keys(keys, SWEEP_KEYS)
    if source.suffix == ".npz":
        choice = {**Cell.named(source.stem)._asdict(), **choice}
        source = source.parent.parent
    if not source.exists():
        raise InputError(f"{source} is not there; allowed are a results folder, an .npz file or deep_ensemble_*.json")
    if progress := _progress(source):
        try:
            return f"{progress}\n\n{_diagnose_sweep(stored_outputs(source), **choice)}"
        except InputError:
            if choice:
                raise
            return progress  # what can be diagnosed is not there yet
    return _diagnose_sweep(stored_outputs(source), **choice)


def _progress(source: Path) -> str:
    """Return what of a results folder is done, in work and missing; "" of other sources, and of what is finished."""
    return describe_progress(Results.at(source)) if (source / "experiment.yml").exists() else ""


def _read_keys(keys: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    check_names(keys, list(types), where="show")
    return {name: check_value(name, str(value), types[name]) for name, value in keys.items()}


def _is_cell(file: Path) -> bool:
    """Return True for a cell's file in a results folder, whose experiment.yml knows the loss and the average."""
    return Cell.named(file.stem) is not None and (file.parent.parent / "experiment.yml").exists()


def _diagnose_sweep(
    stored: StoredOutputs, *, beta: float | None = None, seed: str | None = None, checkpoint: str | None = None
) -> str:
    run = stored.runs[0] if seed is None else next((run for run in stored.runs if str(run) == str(seed)), seed)
    reference, chosen = stored.independent, stored.joint if beta is None else canonical_beta(beta)
    others, targets = stored.read(reference, run, checkpoint)
    parts = []
    for diagnosed in dict.fromkeys([reference, chosen] if beta is None else [chosen]):
        outputs, _ = stored.read(diagnosed, run, checkpoint)
        compared = None if diagnosed == reference else others
        report = _diagnose(
            stored.source, outputs, targets, loss=stored.loss, average=stored.average, reference=compared
        )
        heading = f"β = {diagnosed:g}, seed {run}, {checkpoint or stored.checkpoints[-1]}"
        parts.append(f"{heading}{f'; reference β = {reference:g}' if compared is not None else ''}\n{report}")
    return "\n\n\n".join(parts)


def _diagnose_arrays(file: Path, keys: dict[str, Any]) -> str:
    arrays = read_npz(file)
    if missing := [name for name in ("outputs", "targets") if name not in arrays]:
        held = ", ".join(arrays) or "nothing"
        raise InputError(f"{file} holds {held}, and no {missing[0]}; needed are outputs (M, N, K) and targets (N,)")
    hint = ""
    if "loss" not in keys:
        keys["loss"] = _likely_loss(arrays["outputs"], arrays["targets"])
        hint = f" (read as {keys['loss']}; loss=… says otherwise)"
    known = {name: arrays[name] for name in ("outputs", "targets", "reference") if name in arrays}
    return str(_diagnose(file, **known, **keys, hint=hint))


def _likely_loss(outputs: np.ndarray, targets: np.ndarray) -> str:
    """Guess the loss: one output for each example is a value; several are scores if targets are whole numbers."""
    if outputs.ndim < 3 or outputs.shape[-1] == 1:
        return "squared_error"
    return "cross_entropy" if _are_integers(targets) and targets.ndim == 1 else "squared_error"


def _are_integers(targets: np.ndarray) -> bool:
    """Return True if targets may be classes, perhaps written 0.0 and 1.0."""
    if targets.dtype.kind != "f":
        return targets.dtype.kind in "iu"
    values = targets.astype(float)
    return bool((np.isfinite(values) & (values == values.round()) & (abs(values) < 2**31)).all())


def _diagnose(source: Path, outputs: Any, targets: Any, *, hint: str = "", **options: Any) -> Report:
    """Diagnose outputs; an error names their source, and behind it the `hint`: what was guessed."""
    try:
        if options["loss"] == "cross_entropy" and isinstance(targets, np.ndarray) and _are_integers(targets):
            targets = targets.astype(int)
        return diagnose(outputs, targets, **options)
    except ValueError as error:
        raise InputError(f"{source}: {error}{hint}") from error
