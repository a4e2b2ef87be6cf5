"""Stored test outputs of a sweep, an ensemble for each β and run: ours, or what the authors offer for download."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..authors import read_outputs
from ..common import InputError, expanded
from ..experiment import CHECKPOINTS, Cell, Results
from ..sweeps import describe_diverged
from .statistics import independent, joint

PUBLISHED = "published"  # stands for the checkpoint of the authors' outputs, which their files do not name


@dataclass(frozen=True)
class StoredOutputs:
    """The learners' outputs on test data; reading the outputs of one ensemble reads one file."""

    source: Path
    """The results folder, or the authors' file."""
    loss: str
    average: str
    betas: tuple[float, ...]
    runs: tuple[int | str, ...]
    """Seeds, or the authors' names of their runs. Each has every β."""
    checkpoints: tuple[str, ...]
    _read: Callable[[str, float, int | str], tuple[Tensor, Tensor]]
    results: Results | None = None
    """Whose outputs they are, if they are ours."""

    @property
    def independent(self) -> float:
        """The β nearest to 0, with which the others are compared."""
        return independent(self.betas)

    @property
    def joint(self) -> float:
        """The β nearest to 1."""
        return joint(self.betas)

    def need(self, *, loss: str | None = None, learners: int = 2) -> StoredOutputs:
        """Return itself if it has this loss and so many learners; raises InputError otherwise."""
        if loss not in (None, self.loss):
            raise InputError(f"{self.source} holds outputs judged by {self.loss}; needed here is {loss}")
        outputs, _ = self.read(self.betas[0], self.runs[0])
        if len(outputs) < learners:
            raise InputError(f"{self.source} holds ensembles of {len(outputs)}; needed here are {learners} learners")
        return self

    def read(self, beta: float, run: int | str, checkpoint: str | None = None) -> tuple[Tensor, Tensor]:
        """Read outputs `(M, N, K)`, float64, and targets `(N,)`.

        Args:
            beta: one of `betas`.
            run: one of `runs`.
            checkpoint: one of `checkpoints`; None: the last of them, which of ours is the last epoch.

        Raises:
            InputError: there are none of these, or the file is damaged.
        """
        checkpoint = self.checkpoints[-1] if checkpoint is None else checkpoint
        known = {"beta": self.betas, "seed": self.runs, "checkpoint": self.checkpoints}
        for name, value in {"beta": beta, "seed": run, "checkpoint": checkpoint}.items():
            if value not in known[name]:
                held = ", ".join(f"{entry:g}" if isinstance(entry, float) else str(entry) for entry in known[name])
                raise InputError(f"{self.source} holds no outputs of {name} {value}; it has {held}")
        outputs, targets = self._read(checkpoint, beta, run)
        return outputs.double(), targets.double() if targets.is_floating_point() else targets


def stored_outputs(source: str | os.PathLike | Results) -> StoredOutputs:
    """Open the outputs in a results folder of ours, at both checkpoints, or in a file of the authors' format.

    Raises:
        InputError: the source is neither of the two, is damaged, or has no outputs.
    """
    if isinstance(source, Results):
        return _ours(source)
    source = expanded(source)
    return _theirs(source) if source.suffix.lower() == ".json" else _ours(Results.at(source))


def _ours(results: Results) -> StoredOutputs:
    experiment, folder = results.experiment, results.folder
    diverged = results.diverged()
    kept = {
        cell
        for cell in experiment.cells
        if results.is_done(cell) and cell not in diverged and results.path(cell, ".npz").exists()
    }
    runs = tuple(seed for seed in experiment.seeds if all(Cell(beta, seed) in kept for beta in experiment.beta_vals))
    told = f"; {described}" if (described := describe_diverged(results)) else ""
    if not runs:
        raise InputError(
            f"{folder} holds no seed with the learners' outputs for every β: it was trained with store_outputs false, "
            f"it is not finished, or it was published without them{told}"
        )
    if len(runs) < len(experiment.seeds):
        lacking = len(experiment.seeds) - len(runs)
        warnings.warn(
            f"{folder}: {lacking} of {len(experiment.seeds)} seeds lack a β and are left out{told}", stacklevel=3
        )

    def read(checkpoint: str, beta: float, run: int | str) -> tuple[Tensor, Tensor]:
        arrays, names = results.outputs(Cell(beta, run)), (f"test_outputs_{checkpoint}", "test_targets")
        if missing := [name for name in names if name not in arrays]:
            raise InputError(f"{results.path(Cell(beta, run), '.npz')} is damaged: it holds no {missing[0]}")
        return tuple(torch.from_numpy(arrays[name]) for name in names)

    return StoredOutputs(
        folder,
        loss=experiment.loss,
        average=experiment.average,
        betas=tuple(sorted(experiment.beta_vals)),
        runs=runs,
        checkpoints=CHECKPOINTS,
        _read=read,
        results=results,
    )


def _theirs(file: Path) -> StoredOutputs:
    betas, found = read_outputs(file)

    def read(checkpoint: str, beta: float, run: int | str) -> tuple[Tensor, Tensor]:
        outputs, targets = found[run]
        return outputs[betas.index(beta)], targets

    return StoredOutputs(
        file,
        loss="squared_error",
        average="scores",
        betas=betas,
        runs=tuple(found),
        checkpoints=(PUBLISHED,),
        _read=read,
    )
