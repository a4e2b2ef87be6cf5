"""Train the stacks of a sweep that nobody else trains, one after the other: in this process, or as one of several."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..common import InputError, choose_device, is_locked
from ..experiment import Cell, Experiment, Results
from ..training import Checkpoint, choose_execution
from .build import load_data, make_trainer, stack_size
from .claims import Claim, Claims
from .grids import forget_finished_grids, note_grid
from .plan import plan
from .provenance import provenance
from .stack import Deadline, OutOfTime, Report, train_stack

CHECKPOINT_SECONDS = 60  # from one checkpoint to the next, at least, where a validation takes little
LOOK_SECONDS = 1.0  # from one look at the folder to the next


def missing_cells(results: Results) -> list[Cell]:
    """Return the cells of the experiment's grid that are not finished."""
    return [cell for cell in results.experiment.cells if not results.is_done(cell)]


def prepare(results: Results) -> None:
    """Make the folder of a grid that is not finished, as soon as it is known that its data are there.

    Raises:
        InputError: data are missing, and nothing is written, or the folder cannot be.
    """
    if missing := missing_cells(results):
        load_data(results.experiment, missing[0].seed)
        results.prepare()
        note_grid(results)


def free_stacks(results: Results, claims: Claims) -> list[list[Cell]]:
    """Divide the missing cells that nobody works on into stacks.

    Stacks are counted from the first missing cell and are claimed, and finished, whole. So two processes with one grid
    find the same stacks, whatever the other has taken of them.
    """
    missing = missing_cells(results)
    if not missing:
        return []
    taken = {cell for claim in claims.in_work() for cell in claim.cells}
    rest = [cell for cell in missing if cell not in taken]
    return plan(rest, results.all_records(), stack_size(results.experiment)) if rest else []


def work(
    results: Results,
    *,
    report: Report = lambda stack, number, losses: None,
    deadline: float | None = None,
    at_most: int | None = None,
) -> None:
    """Train free stacks until none is left, and all others are known to be in work.

    Args:
        results: the folder of an experiment, prepared.
        report: called after each validation with the stack, its number of validations, and the mean losses.
        deadline: a time of `time.monotonic`, in seconds, by which a stack has to be finished.
        at_most: the number of stacks to train.

    Raises:
        OutOfTime, InputError: see `run`.
    """
    claims, trained = Claims(results.folder), 0
    while trained != at_most:
        stacks = free_stacks(results, claims)
        if not stacks and not claims.undecided():
            return
        for stack in stacks:
            trained += _train(results, claims, stack, report, deadline)
            if trained == at_most:
                break
        else:
            time.sleep(0 if stacks else LOOK_SECONDS)


def _train(results: Results, claims: Claims, stack: Sequence[Cell], report: Report, deadline: float | None) -> bool:
    """Train a stack if it can be claimed; returns whether it was trained."""
    experiment = results.experiment
    validations = None if experiment.max_patience else experiment.num_validations  # or patience ends it
    claim = claims.take(stack, total=validations)
    if claim is None:
        return False
    with claim:
        if all(map(results.is_done, stack)):  # by somebody, a moment ago
            return False
        device = choose_device(experiment.device)
        execution = choose_execution(experiment.execution, device)
        try:
            train_stack(
                functools.partial(make_trainer, experiment, stack),
                stack,
                results,
                functools.partial(provenance, device, execution, stack),
                _checkpoint(results, stack) if len(stack) == 1 else None,
                Deadline(validations, deadline),
                functools.partial(_report, claim, report),
            )
        except ClaimLost:
            return False
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise InputError(
                f"a batch of {experiment.data_name} has one example, which {experiment.base_learner} "
                "with its batch-norm cannot be trained on; choose another batch_size or train_size"
            ) from error
    return True


class ClaimLost(Exception):
    """This process stood still for so long that another has taken its stack."""


def _report(claim: Claim, report: Report, stack: Sequence[Cell], number: int, losses: dict[str, float]) -> None:
    claim.validations = number
    if claim.lost:
        raise ClaimLost
    report(stack, number, losses)


def _checkpoint(results: Results, stack: Sequence[Cell]) -> Checkpoint:
    """The checkpoint of a stack of a single cell."""
    (cell,), experiment = stack, results.experiment
    wait = experiment.checkpoint_seconds
    if wait is None:
        wait = 0 if experiment.about_data.files else CHECKPOINT_SECONDS
    return Checkpoint(results.unfinished_path(cell, ".pt"), name=f"{experiment.hash} {cell}", wait=wait)


@dataclass
class Worker:
    """What a process of its own does: `work`, on one thread or one GPU. Called there without arguments.

    It is sent as plain values and not as an experiment, whose functions of the user's own have to be found first.
    """

    keys: dict[str, Any]
    """Of the experiment."""
    hash: str
    """Of the experiment: functions of the user's own must not have changed since."""
    folder: str
    """Of the results."""
    path: list[str]
    """`sys.path` of the process that sent it."""
    deadline: float | None = None
    at_most: int | None = None
    """The number of stacks to train; None: all that are free."""
    parent_lock: str | None = None
    """A file that is locked as long as the process lives that waits for this one; None: nobody waits."""
    gpus: str | None = None
    """$CUDA_VISIBLE_DEVICES of the process that sent it."""

    def __call__(self) -> Exception | None:
        """Train; returns an error that whoever waits is to raise, if there was one."""
        sys.path.extend(folder for folder in self.path if folder not in sys.path)
        if self.parent_lock:
            threading.Thread(target=_end_without, args=(Path(self.parent_lock),), daemon=True).start()
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # which submitit has emptied
            if self.gpus is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = self.gpus
        torch.set_num_threads(1)
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr, flush=True)
            try:
                experiment = Experiment.from_dict(self.keys)
                if experiment.hash != self.hash:
                    raise InputError(f"{self.folder}: data or learners have changed since the run was started")
                results = Results(experiment, self.folder)
                prepare(results)
                work(results, report=_say_if_it_goes_on, deadline=self.deadline, at_most=self.at_most)
                if not missing_cells(results):
                    forget_finished_grids(results)
                    results.write_csv()
            except (InputError, OutOfTime) as error:
                return error
        return None

    def checkpoint(self) -> Any:
        """Make what a preempted job is to go on with; submitit calls this. Training has checkpoints of its own."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@contextlib.contextmanager
def environment_of_workers() -> Iterator[None]:
    """Start processes that compute on one thread, and find this package wherever it lies."""
    package = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([os.fspath(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    before, changes = dict(os.environ), {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            os.environ.pop(name)
            os.environ.update({name: before[name]} if name in before else {})


def _say_if_it_goes_on(stack: Sequence[Cell], number: int, losses: dict[str, float]) -> None:
    if not losses:
        print(f"{stack[0]} goes on after {number} validations", file=sys.stderr, flush=True)


def _end_without(parent_lock: Path) -> None:
    """End this process when the one that started it has gone: whoever kills a run means its workers, too."""
    while is_locked(parent_lock):
        time.sleep(LOOK_SECONDS)
    os._exit(1)  # its claim is free as soon as it is gone, and a file is written whole or not at all
