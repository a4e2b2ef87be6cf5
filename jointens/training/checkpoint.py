"""Save a training run to one file and go on from it.

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

from ..common import InputError, write_atomically, writing
from .trainer import Trainer


class Checkpoint:
    """The checkpoint of one training run, perhaps not written yet.

    Args:
        path: its file; the folder is made when it is first written.
        name: names the run; a checkpoint of another name is not loaded.
        wait: seconds from one checkpoint to the next, at least.
    """

    def __init__(self, path: Path, *, name: str, wait: float = 0.0):
        self.path, self.name, self.wait = path, name, wait
        self.seconds = 0.0  # that training took before this process
        self.written = self.begun = time.monotonic()

    def load_into(self, trainer: Trainer) -> bool:
        """Let a trainer go on from the checkpoint, if there is one; returns whether there is.

        Raises:
            InputError: the file is damaged, or a checkpoint of another run, or of a CPU on a GPU.
        """
        if not self.path.exists():
            return False
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            origin, state = content["origin"], content["state"]
        except Exception as error:  # of many kinds: the file is unpickled, though nothing but tensors and numbers
            reason = os.strerror(error.errno) if getattr(error, "errno", None) else "it is damaged"
            raise InputError(f"cannot go on from {self.path}: {reason}; remove it to begin anew") from error
        if origin != self._origin(trainer):
            raise InputError(
                f"{self.path} is a checkpoint of another run, {origin} there and {self._origin(trainer)} here; "
                "remove it to begin anew"
            )
        trainer.load_state(state)
        self.seconds = content["seconds"]
        return True

    def write_if_due(self, trainer: Trainer) -> bool:
        """Write the trainer's state if the last checkpoint is old enough; returns whether it was written."""
        if time.monotonic() - self.written < self.wait:
            return False
        saved = {"origin": self._origin(trainer), "seconds": self.spent(), "state": trainer.state()}
        content = io.BytesIO()  # torch's writer makes errors of its own of a full disk or a signal
        torch.save(saved, content)
        with writing("a checkpoint", self.path.parent):
            self.path.parent.mkdir(exist_ok=True)
            write_atomically(self.path, lambda file: file.write(content.getbuffer()))
        self.written = time.monotonic()
        return True

    def spent(self) -> float:
        """Return the seconds of training so far, those before this process included."""
        return self.seconds + time.monotonic() - self.begun

    def _origin(self, trainer: Trainer) -> str:
        """What has to be the same; the optimiser of a GPU has another state, and a stack other names."""
        kind = "stacked" if trainer.ensemble.stacked else "looped"
        return f"{self.name} {trainer.device.type} {kind}"
