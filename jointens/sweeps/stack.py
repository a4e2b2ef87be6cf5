"""Train the cells of one stack, write each when all are finished, and on the way what they go on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..experiment import Cell, CellRecord, Results
from ..training import Checkpoint, TrainedRun, Trainer

# Called with the stack, the number of its validations so far, and the mean validation losses; without losses where it
# goes on from a checkpoint.
Report = Callable[[Sequence[Cell], int, dict[str, float]], None]


class OutOfTime(Exception):
    """What is being trained would not be finished by the deadline."""


def train_stack(
    make_trainer: Callable[..., Trainer],
    stack: Sequence[Cell],
    results: Results,
    describe: Callable[..., dict[str, Any]],
    checkpoint: Checkpoint | None,
    deadline: Deadline,
    report: Report,
) -> None:
    """Train a stack and write its cells; whatever training held is free when this returns.

    Args:
        make_trainer: makes the trainer of the stack for `on_validation=`.
        stack: its cells.
        results: the folder; cells that it holds already are not written again.
        describe: makes the provenance for `seconds=`.
        checkpoint: of a stack of a single cell, from which it goes on; None for others.
        deadline: checked after each validation.
        report: called after each validation, and before the first one of a stack that goes on.

    Raises:
        OutOfTime: as `Deadline` says.
    """
    begun = time.monotonic()

    def on_validation(trainer: Trainer, number: int, losses: dict[str, float]) -> None:
        if checkpoint and checkpoint.write_if_due(trainer):
            (trained,) = trainer.so_far()
            results.write_unfinished(_record(stack[0], trained, describe(seconds=checkpoint.spent())))
        deadline.check(number)
        report(stack, number, losses)

    trainer = make_trainer(on_validation=on_validation)
    if checkpoint and checkpoint.load_into(trainer):
        report(stack, len(trainer.history), {})
    trained = trainer.run()
    seconds = checkpoint.spent() if checkpoint else time.monotonic() - begun
    cell_provenance = describe(seconds=seconds)
    if trainer.loader.skipped:
        cell_provenance["skipped"] = len(trainer.loader.skipped)  # damaged images
    for cell, own in zip(stack, trained, strict=True):
        if not results.is_done(cell):
            results.write(_record(cell, own, cell_provenance), own.outputs, own.weights)


def _record(cell: Cell, trained: TrainedRun, provenance: dict[str, Any]) -> CellRecord:
    return CellRecord.of(
        cell, best_epoch=trained.best_epoch, test=trained.test, history=trained.history, provenance=provenance
    )


class Deadline:
    """The time by which a stack has to be finished.

    Args:
        validations: of the stack; None: unknown, and the stack is given up when the time is over.
        time: a time of `time.monotonic`, in seconds, or None.
    """

    def __init__(self, validations: int | None, time: float | None):
        self.validations, self.time = validations, time
        self.first = None  # validation of this process, and its time: before it a GPU is got ready

    def check(self, number: int) -> None:
        """Raise OutOfTime as soon as what is left after so many validations is too much."""
        if self.time is None or number == self.validations:
            return
        now = time.monotonic()
        self.first = self.first or (number, now)
        each = (now - self.first[1]) / max(1, number - self.first[0])
        if self.validations is None and now > self.time:
            raise OutOfTime(f"given up after {number} validations: the time is over")
        late = now + each * ((self.validations or number) - number) - self.time
        if late > 0:
            raise OutOfTime(f"given up after {number} of {self.validations} validations: {late:.0f} s more are needed")
