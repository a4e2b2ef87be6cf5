"""The grid β × seed: what is done is loaded, what is missing is trained, in stacks where that is faster."""

from __future__ import annotations

import functools
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from ..common import InputError, choose_device, warn_if_emulated
from ..experiment import Cell, CellRecord, Experiment, Results
from ..training import Checkpoint, TrainedRun, Trainer, choose_execution
from .build import load_data, make_trainer
from .plan import plan, stack_size
from .provenance import provenance

CHECKPOINT_SECONDS = 60  # from one checkpoint to the next, at least, where a validation takes little

# A finished cell and what is stored beside its record: its record, outputs and weights.
Finished = tuple[CellRecord, dict[str, Any], dict[str, Any]]


class OutOfTime(Exception):
    """What is being trained would not be finished by the deadline."""


def run(experiment: Experiment, *, progress: bool = True, deadline: float | None = None) -> Results:
    """Train the cells of the grid that are not in the results folder yet, and return the results of all.

    Stopped at any moment and called again, it ends with the same files as if it had not been stopped, but for what
    stands under `provenance`; on a GPU, but for rounding as well.

    Args:
        experiment: the grid and its setting.
        progress: a bar on standard error with the mean validation losses and the time left.
        deadline: a time of `time.monotonic`, in seconds, by which all of it has to be finished.

    Raises:
        jointens.sweeps.OutOfTime: a stack would not be finished by the deadline, as its validations so far tell.
        InputError: the folder holds another experiment or cannot be written, or the device is not here. Nothing is
            trained then. Or an image is damaged, or a checkpoint; what was finished before is kept.
    """
    device = choose_device(experiment.device)
    execution = choose_execution(experiment.execution, device)
    results = Results(experiment)
    if max(experiment.beta_vals) > 1:
        warnings.warn("beta > 1: the objective is unbounded below, training may diverge", stacklevel=2)
    missing = [cell for cell in experiment.cells if not results.is_done(cell)]
    stacks = plan(missing, results.all_records(), stack_size(experiment)) if missing else []
    for cell in filter(results.is_done, experiment.cells):
        results.forget_unfinished(cell)  # that a process which was killed has left
    if stacks:
        for note in experiment.about_data.notes:
            print(f"jointens: {experiment.data_name}: {note}", file=sys.stderr)
        load_data(experiment, stacks[0][0].seed)  # missing data are found before anything is written
        results.prepare()
        warn_if_emulated(experiment.precision, device)
    bar = tqdm(
        total=None if experiment.max_patience else len(stacks) * experiment.num_validations,  # or patience ends it
        desc=experiment.name,
        unit="validation" if experiment.validate_every else "epoch",
        disable=not (progress and stacks),
        dynamic_ncols=True,
    )
    with bar:
        for number, stack in enumerate(stacks):
            describe = functools.partial(provenance, device, execution, stack)
            if bar.total:
                bar.n = number * experiment.num_validations
            for record, outputs, weights in _train(experiment, stack, results, bar, deadline, describe):
                if not results.is_done(record.cell):
                    results.write(record, outputs, weights)
    results.write_csv()
    return results


def _train(
    experiment: Experiment, stack: list[Cell], results: Results, bar: tqdm, deadline: float | None, describe: Callable
) -> list[Finished]:
    """Train a stack, with a checkpoint if it is a single cell.

    Args:
        bar: moves with each validation.
        describe: makes the provenance for `seconds=`.
    """
    watch, before = _Watch(None if experiment.max_patience else experiment.num_validations, deadline), bar.n
    wait = experiment.checkpoint_seconds
    if wait is None:
        wait = 0 if experiment.about_data.files else CHECKPOINT_SECONDS
    name = f"{experiment.hash} {stack[0]}"
    checkpoint = Checkpoint(results.unfinished_path(stack[0], ".pt"), name=name, wait=wait)

    def on_validation(trainer: Trainer, number: int, losses: dict[str, float]) -> None:
        if len(stack) == 1 and checkpoint.write_if_due(trainer):
            (trained,) = trainer.so_far()
            results.write_unfinished(_record(stack[0], trained, describe(seconds=checkpoint.spent())))
        watch(number)
        bar.set_postfix({f"val {name}": f"{value:.4f}" for name, value in losses.items()}, refresh=False)
        bar.update(before + number - bar.n)

    trainer = make_trainer(experiment, stack, on_validation=on_validation)
    if len(stack) == 1 and checkpoint.load_into(trainer):
        if not bar.disable:
            bar.write(
                f"{experiment.name}: {stack[0]} goes on after {len(trainer.history)} validations", file=sys.stderr
            )
        bar.update(len(trainer.history))
    try:
        trained = trainer.run()
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            raise InputError(
                f"a batch of {experiment.data_name} has one example, which {experiment.base_learner} "
                "with its batch-norm cannot be trained on; choose another batch_size or train_size"
            ) from error
        raise
    told = describe(seconds=checkpoint.spent())
    if trainer.loader.skipped:
        told["skipped"] = len(trainer.loader.skipped)  # damaged images
    return [(_record(cell, one, told), one.outputs, one.weights) for cell, one in zip(stack, trained, strict=True)]


def _record(cell: Cell, trained: TrainedRun, provenance: dict[str, Any]) -> CellRecord:
    return CellRecord.of(
        cell, best_epoch=trained.best_epoch, test=trained.test, history=trained.history, provenance=provenance
    )


class _Watch:
    """Looks at the time after each validation; raises OutOfTime as soon as what is left of a stack is too much.

    Args:
        total: validations of the stack; None: unknown, and it is raised when the time is over.
        deadline: a time of `time.monotonic`, or None.
    """

    def __init__(self, total: int | None, deadline: float | None):
        self.total, self.deadline = total, deadline
        self.first = None  # validation of this process, and its time: before it a GPU is got ready

    def __call__(self, number: int) -> None:
        if self.deadline is None or number == self.total:
            return
        now = time.monotonic()
        self.first = self.first or (number, now)
        each = (now - self.first[1]) / max(1, number - self.first[0])
        if self.total is None and now > self.deadline:
            raise OutOfTime(f"given up after {number} validations: the time is over")
        late = now + each * ((self.total or number) - number) - self.deadline
        if late > 0:
            raise OutOfTime(f"given up after {number} of {self.total} validations: {late:.0f} s more are needed")
