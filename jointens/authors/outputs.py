"""The authors' files of trained regression ensembles: outputs for every β, on which their three diagnostics are made.

A file `deep_ensemble_<dataset>….json` is an object of runs. Each run has `beta`, a list; `ens_loss`, `div_loss` and
`w_ind_loss`, a number for each β; `targets`, of which the first entry is used; and `ind_preds`, of shape (β, N, M, 1).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common import InputError, read_json_object
from ..experiment import CHECKPOINTS, Cell, Metrics, Results, canonical_beta

KEYS = ("beta", "ens_loss", "div_loss", "w_ind_loss", "targets", "ind_preds")
LOSSES = {"ens_loss": "ensemble", "div_loss": "diversity", "w_ind_loss": "individual"}  # their name and ours


def read_outputs(file: Path) -> tuple[tuple[float, ...], dict[str, tuple[Tensor, Tensor]]]:
    """Read a file of theirs: its β, and for each run outputs `(β, M, N, 1)` and targets `(N,)`, float64.

    Raises:
        InputError: it cannot be read, or is no such file.
    """
    found, first = {}, None
    for run, content in read_json_object(file).items():
        where = f"{file}, run {run!r}"
        if not isinstance(content, dict) or (missing := [key for key in KEYS if key not in content]):
            raise InputError(f"{where}: {f'{missing[0]} is missing' if isinstance(content, dict) else 'is no object'}")
        betas = tuple(canonical_beta(beta) for beta in _numbers(content["beta"], f"{where}: beta", 1).tolist())
        first = first or betas
        if betas != first or len(set(betas)) < len(betas):
            raise InputError(
                f"{where}: beta is {list(betas)}; allowed is {list(first)}, as in the first run, each once"
            )
        outputs = _numbers(content["ind_preds"], f"{where}: ind_preds", 4)
        if outputs.shape[::3] != (len(betas), 1):
            allowed = f"({len(betas)}, N, M, 1): β, test examples, learners"
            raise InputError(f"{where}: ind_preds has shape {outputs.shape}; allowed is {allowed}")
        targets = content["targets"]
        targets = targets[0] if isinstance(targets, list) and targets else targets
        targets = _numbers(targets, f"{where}: the first entry of targets", None)
        if targets.size != outputs.shape[1]:
            raise InputError(f"{where}: {targets.size} targets for {outputs.shape[1]} test examples in ind_preds")
        found[run] = (torch.from_numpy(outputs).transpose(1, 2), torch.from_numpy(targets.reshape(-1)))
    if not found:
        raise InputError(f"{file} holds no run")
    return first, found


def _numbers(values: Any, where: str, axes: int | None) -> np.ndarray:
    try:
        array = np.array(values, dtype=float)
    except (ValueError, TypeError):
        array = np.array(np.nan)
    if not array.size or not np.isfinite(array).all() or axes not in (None, array.ndim):
        raise InputError(f"{where} is no {f'list of {axes} levels' if axes else 'list'} of finite numbers")
    return array


def authors_files(results: Results) -> dict[str, str]:
    """Convert a results folder of ours to two files of theirs, of the best checkpoint and of the last epoch.

    Raises:
        InputError: a seed lacks a β, or outputs were not stored.
    """
    experiment, diverged = results.experiment, results.diverged()
    betas = sorted(experiment.beta_vals)
    for cell in experiment.cells:
        if cell in diverged or not results.is_done(cell) or not results.path(cell, ".npz").exists():
            why = ", which diverged" if cell in diverged else ""
            raise InputError(
                f"{results.folder} lacks the outputs of {cell}{why}; the authors' format has them for every seed and β"
            )
    files = {}
    for checkpoint in CHECKPOINTS:
        runs = {str(seed): _authors_run(results, betas, seed, checkpoint) for seed in experiment.seeds}
        files[f"deep_ensemble_{experiment.data_name}_{checkpoint}.json"] = json.dumps(runs) + "\n"
    return files


def _authors_run(results: Results, betas: list[float], seed: int, checkpoint: str) -> dict[str, Any]:
    cells = [Cell(beta, seed) for beta in betas]
    arrays = [results.outputs(cell) for cell in cells]
    tests: list[Metrics] = [results.read(cell).test[checkpoint] for cell in cells]
    outputs = [own[f"test_outputs_{checkpoint}"].swapaxes(0, 1) for own in arrays]  # (N, M, 1) each
    return {
        "beta": betas,
        **{theirs: [getattr(test, ours) for test in tests] for theirs, ours in LOSSES.items()},
        "targets": [_plain(own["test_targets"]) for own in arrays],
        "ind_preds": [[[_plain(one) for one in example] for example in own] for own in outputs],
    }


def _plain(values: np.ndarray) -> list[float]:
    """Convert float32 values to the shortest decimals that name them."""
    return [float(str(value)) for value in values]
