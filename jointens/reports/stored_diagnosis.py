"""Diagnosis of a stored ensemble as text, ours, the authors' or anybody's: what `python -m jointens show` prints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from ..analysis import StoredOutputs, stored_outputs
from ..common import InputError, check_names, expanded
from ..diagnostics import Report, as_tensor, diagnose, is_one_hot
from ..experiment import Cell, Results, canonical_beta, check_value
from ..losses import AVERAGES, LOSSES, OUTPUTS_ARE
from ..sweeps import describe_progress
from .array_files import READERS, listed, read_array, read_arrays

# The keys that are allowed, with their types.
SWEEP_KEYS = {"beta": float, "seed": str, "checkpoint": str}
ARRAY_KEYS = {
    "loss": Literal[LOSSES], "average": Literal[AVERAGES], "outputs_are": Literal[OUTPUTS_ARE],
    "targets": str, "reference": str,
}  # fmt: skip
FILES = f"a results folder, deep_ensemble_*.json, or arrays in {', '.join(READERS)}"


def diagnose_stored(source: str | os.PathLike, /, **keys: Any) -> str:
    """Diagnose a stored ensemble, as `diagnose` does, and return the report as text.

    Of a results folder that is not finished, what is done, in work and missing stands above it.

    Args:
        source: a results folder, or a file in the authors' format (`deep_ensemble_*.json`); or a file of arrays with
            `outputs` `(M, N, K)` and `targets` `(N,)`, and perhaps `reference` and the text `outputs_are`: .npz, or a
            dict in .pt, .pth or .safetensors (where the text is metadata). An .npy, .pt or .pth file may hold the
            outputs alone. Nothing in a file is executed. Or an .npz file of a cell of ours.
        keys: of a sweep beta, seed and checkpoint. Without beta both ends of the grid are shown, the joint one with the
            independent one as its reference; the seed is the first, the checkpoint the last epoch, if none is given.
            Of a file of arrays loss, average and outputs_are, as for `diagnose`; targets and reference, files that hold
            them. Without loss it is cross_entropy if there are several outputs, and targets are whole numbers or
            one-hot, or if there is a single one, targets are 0 and 1, and outputs are far from both.

    Raises:
        InputError: the source is none of these, it does not take a key, there are no such outputs, or it is not clear
            what the loss is.
    """
    source = expanded(source)
    suffix = source.suffix.lower()
    if suffix in READERS and not source.is_dir() and not _is_cell(source):
        return _diagnose_arrays(source, _read_keys(keys, ARRAY_KEYS))
    choice = _read_keys(keys, SWEEP_KEYS)
    if _is_cell(source):
        choice = {**Cell.named(source.stem)._asdict(), **choice}
        source = source.parent.parent
    if not source.exists():
        raise InputError(f"{source} is not there; allowed are {FILES}")
    if source.is_file() and suffix != ".json":
        raise InputError(f"{source} is no results folder, and no file of arrays; allowed are {FILES}")
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
    return (
        file.suffix == ".npz" and Cell.named(file.stem) is not None and (file.parent.parent / "experiment.yml").exists()
    )


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
    arrays = read_arrays(file)
    for name in ("targets", "reference"):
        if name in keys:
            arrays[name] = read_array(expanded(keys.pop(name)), name)
    if missing := [name for name in ("outputs", "targets") if name not in arrays]:
        needed = "outputs (M, N, K) and targets (N,), or targets=FILE"
        raise InputError(f"{file} holds {listed(arrays)}, and no {missing[0]}; needed are {needed}")
    if "outputs_are" in arrays:
        keys = _read_keys({"outputs_are": arrays["outputs_are"]}, ARRAY_KEYS) | keys
    known, hint = {name: arrays[name] for name in ("outputs", "targets", "reference") if name in arrays}, ""
    try:
        known = {name: as_tensor(values, name) for name, values in known.items()}
        if "loss" not in keys:
            outputs_are = keys.get("outputs_are", "logits")
            keys["loss"] = _unambiguous_loss(known["outputs"], known["targets"], outputs_are)
            hint = f" (read as {keys['loss']}; loss=… says otherwise)"
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error
    if keys["loss"] == "cross_entropy" and known["targets"].is_floating_point() and _are_whole(known["targets"]):
        known["targets"] = known["targets"].long()
    return str(_diagnose(file, **known, **keys, hint=hint))


def _unambiguous_loss(outputs: Tensor, targets: Tensor, outputs_are: str) -> str:
    """Return the loss that outputs and targets leave no doubt about; raises ValueError, with a question, otherwise.

    - Several outputs are scores if targets are whole numbers `(N,)` or one-hot `(N, K)`, otherwise predictions.
    - A single output is a logit if targets are 0 and 1, and some outputs are far from both; if targets are anything
      else it is a prediction.
    """
    if outputs_are == "probabilities":
        return "cross_entropy"
    binary = bool(((targets == 0) | (targets == 1)).all())
    if outputs.ndim > 2 and outputs.shape[-1] > 1:
        if targets.ndim < 2 or not targets.numel():
            return "cross_entropy" if _are_whole(targets) else "squared_error"
        if is_one_hot(targets):
            return "cross_entropy"
        if binary or ((targets >= 0).all() and ((targets.double().sum(-1) - 1).abs() < 1e-3).all()):
            found = "0 and 1, but not one-hot" if binary else "rows that sum to 1, but are not one-hot"
            raise ValueError(f"targets {tuple(targets.shape)} are {found}; give loss=squared_error, or classes (N,)")
        return "squared_error"
    if not outputs.numel() or not targets.ndim or targets.shape[:1] != outputs.shape[1:2]:
        return "squared_error"  # `diagnose` says what does not fit
    if _are_whole(targets) and _are_whole(outputs):
        question = "loss=squared_error if they are predictions; classes that learners vote for have no cross-entropy"
        raise ValueError(f"outputs {tuple(outputs.shape)} and targets are whole numbers; give {question}")
    if not binary:
        values = targets.unique().tolist() if _are_whole(targets) else []
        if len(values) == 2:
            named = " and ".join(f"{value:g}" for value in values)
            raise ValueError(f"targets are {named} only; give classes 0 and 1, or loss=squared_error")
        return "squared_error"
    if outputs.min() < -1 or outputs.max() > 2:
        return "cross_entropy"
    meanings = "loss=cross_entropy if the outputs are logits, outputs_are=probabilities if they are probabilities"
    spread = f"{outputs.min().item():.3g} to {outputs.max().item():.3g}"
    raise ValueError(
        f"targets are 0 and 1, outputs {tuple(outputs.shape)} are {spread}; give {meanings}, or loss=squared_error"
    )


def _are_whole(values: Tensor) -> bool:
    """Return True for integers, perhaps written 0.0 and 1.0."""
    if not values.is_floating_point():
        return True
    return bool((values.isfinite() & (values == values.round()) & (values.abs() < 2**31)).all())


def _diagnose(source: Path, outputs: Any, targets: Any, *, hint: str = "", **options: Any) -> Report:
    """Diagnose outputs; an error names their source, and behind it the `hint`: what was concluded."""
    try:
        return diagnose(outputs, targets, **options)
    except ValueError as error:
        raise InputError(f"{source}: {error}{hint}") from error
