"""What a cell in training goes on from after it was stopped: the trainer's whole state, in one file.

A checkpoint is written after a validation. It holds the weights, the optimiser, the schedule, the best checkpoint so
far, the history, the random streams and the place in the epoch; so on a CPU what comes of a run that was stopped is bit
for bit what would have come of it otherwise.
"""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import torch

from ..common.errors import InputError
from ..common.files import write_atomically
from ..experiment.folder import Results
from ..experiment.record import Cell
from .trainer import Trainer

SECONDS = 60  # from one to the next, at least, where a validation takes little


class Checkpoint:
    """The checkpoint of one cell, perhaps not written yet.

    Args:
        results: the folder of its experiment; the file is `unfinished/CELL.pt` there, beside the cell's history so far.
        cell: whose it is.
    """

    path: Path
    """Its file."""

    def __init__(self, results: Results, cell: Cell):
        self.results, self.cell = results, cell
        self.path = results.unfinished_path(cell, ".pt")
        experiment = results.experiment
        usual = 0 if experiment.about_data.files else SECONDS
        self.wait = usual if experiment.checkpoint_seconds is None else experiment.checkpoint_seconds
        self.seconds = 0.0  # that training took before this process
        self.written = self.begun = time.monotonic()

    def load_into(self, trainer: Trainer) -> bool:
        """Let a trainer go on from it, if it is there; returns whether it is.

        Raises:
            InputError: the file is damaged, or a checkpoint of another experiment or cell, or of a CPU on a GPU.
        """
        if not self.path.exists():
            return False
        try:
            told = torch.load(self.path, map_location="cpu", weights_only=True)
            origin, state = told["origin"], told["state"]
        except Exception as error:  # of many kinds: the file is unpickled, though nothing but tensors and numbers
            reason = os.strerror(error.errno) if getattr(error, "errno", None) else "it is damaged"
            raise InputError(f"cannot go on from {self.path}: {reason}; remove it to begin anew") from error
        if origin != self._origin(trainer):
            raise InputError(
                f"{self.path} is a checkpoint of another run, {origin} there and {self._origin(trainer)} here; "
                "remove it to begin anew"
            )
        trainer.load_state(state)
        self.seconds = told["seconds"]
        return True

    def write_if_due(self, trainer: Trainer) -> bool:
        """Write the trainer's state if the last one is old enough; returns whether it was."""
        if time.monotonic() - self.written < self.wait:
            return False
        told = {"origin": self._origin(trainer), "seconds": self.spent(), "state": trainer.state()}
        content = io.BytesIO()  # torch's writer makes errors of its own of a full disk or a signal
        torch.save(told, content)
        try:
            self.path.parent.mkdir(exist_ok=True)
            write_atomically(self.path, lambda file: file.write(content.getbuffer()))
        except OSError as error:
            raise InputError(f"cannot write the checkpoint {self.path}: {error.strerror}") from error
        self.written = time.monotonic()
        return True

    def spent(self) -> float:
        """Seconds of training so far, those before this process included."""
        return self.seconds + time.monotonic() - self.begun

    def _origin(self, trainer: Trainer) -> str:
        """What has to be the same; the optimiser of a GPU has another state, and a stack other names."""
        kind = "stacked" if trainer.ensemble.stacked else "looped"
        return f"{self.results.experiment.hash} {self.cell} {trainer.device.type} {kind}"
