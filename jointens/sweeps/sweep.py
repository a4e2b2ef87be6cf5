"""The grid β × seed: what is done is loaded, what is missing is trained, in stacks where that is faster."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import torch
from tqdm import tqdm

from ..common.device import choose_device, choose_way, warn_if_emulated
from ..experiment.config import Experiment
from ..experiment.folder import Results
from ..experiment.record import Cell, TrainedCell
from ..models.learners import known_learner
from ..training.checkpoint import Checkpoint
from ..training.schedule import looks_back
from ..training.trainer import Trainer, new_ensemble

# Parameters, over all runs and learners, that one stack may hold: with gradients, momentum and the best checkpoint
# four times as many numbers are kept, so this is about half a gigabyte.
STACK_PARAMETERS = 32_000_000


class OutOfTime(Exception):
    """What is being trained would not be finished by the deadline."""


def run(experiment: Experiment, *, progress: bool = True, deadline: float | None = None) -> Results:
    """Train the cells of the grid that are not in the results folder yet, and give the results of all.

    Stopped at any moment and called again, it ends with the same files as if it had not been stopped, but for what
    stands under `provenance`; on a GPU, but for rounding as well.

    Args:
        experiment: the grid and its setting.
        progress: a bar on standard error with the mean validation losses and the time left.
        deadline: a time of `time.monotonic`, in seconds, by which all of it has to be finished.

    Raises:
        jointens.sweep.OutOfTime: a stack would not be finished by the deadline, as its validations so far tell.
        InputError: the folder holds another experiment or cannot be written, or the device is not here. Nothing is
            trained then. Or an image is damaged, or a checkpoint; what was finished before is kept.
    """
    device = choose_device(experiment.device)
    way = choose_way(experiment.execution, device)
    results = Results(experiment)
    if max(experiment.beta_vals) > 1:
        warnings.warn("beta > 1: the objective is unbounded below, training may diverge", stacklevel=2)
    stacks = plan(experiment, results)
    for cell in filter(results.is_done, experiment.cells):
        results.forget_unfinished(cell)  # that a process which was killed has left
    if stacks:
        for note in experiment.about_data.notes:
            print(f"jointens: {experiment.data_name}: {note}", file=sys.stderr)
        experiment.load_data(stacks[0][0].seed)  # missing data are found before anything is written
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
            about = functools.partial(provenance, device, way, stack)
            if bar.total:
                bar.n = number * experiment.num_validations
            for cell, told in _train(experiment, stack, results, bar, deadline, about):
                if not results.is_done(cell.cell):
                    results.write(cell, told)
    results.write_csv()
    return results


def _train(
    experiment: Experiment, stack: list[Cell], results: Results, bar: tqdm, deadline: float | None, about: Callable
) -> list[tuple[TrainedCell, dict[str, Any]]]:
    """Train a stack, with a checkpoint if it is a single cell; gives its cells, each with its provenance.

    bar: moves with each validation.
    about: gives the provenance for `seconds=`.
    """
    watch, before = _Watch(None if experiment.max_patience else experiment.num_validations, deadline), bar.n
    checkpoint = Checkpoint(results, stack[0])

    def on_validation(number: int, losses: dict[str, float]) -> None:
        if len(stack) == 1 and checkpoint.write_if_due(trainer):
            (cell,) = trainer.so_far()
            results.write_unfinished(cell, about(seconds=checkpoint.spent()))
        watch(number)
        bar.set_postfix({f"val {name}": f"{value:.4f}" for name, value in losses.items()}, refresh=False)
        bar.update(before + number - bar.n)

    trainer = Trainer(experiment, stack, on_validation=on_validation)
    if len(stack) == 1 and checkpoint.load_into(trainer):
        if not bar.disable:
            bar.write(
                f"{experiment.name}: {stack[0]} goes on after {len(trainer.history)} validations", file=sys.stderr
            )
        bar.update(len(trainer.history))
    trained = trainer.run()
    told = about(seconds=checkpoint.spent())
    if trainer.feed.skipped:
        told["skipped"] = len(trainer.feed.skipped)  # damaged images
    return [(cell, told) for cell in trained]


class _Watch:
    """Looks at the time after each validation; raises OutOfTime as soon as what is left of a stack is too much.

    total: validations; None: nobody knows, and it is raised when the time is over.
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


def plan(experiment: Experiment, results: Results) -> list[list[Cell]]:
    """The stacks to train, each a list of cells, so that every missing cell is in one of them.

    A cell's last bits can depend on the others in its stack. So a stack that was broken while its files were being
    written is trained again whole, finished cells and all, though only the missing files are written.
    """
    missing = [cell for cell in experiment.cells if not results.is_done(cell)]
    stacks = []
    for stack in _broken_stacks(results, missing):
        stacks.append(stack)
        missing = [cell for cell in missing if cell not in stack]
    size = _stack_size(experiment)
    return stacks + [missing[i : i + size] for i in range(0, len(missing), size)]


def _broken_stacks(results: Results, missing: Sequence[Cell]) -> list[list[Cell]]:
    """The stacks that finished cells name in their provenance and that hold a cell which is missing."""
    if not missing:
        return []
    named = {tuple(Cell(*cell) for cell in record["provenance"]["stack"]) for record in results.all_records()}
    return [list(stack) for stack in sorted(named) if not set(stack).isdisjoint(missing)]


def _stack_size(experiment: Experiment) -> int:
    """How many runs train as one tensor program: decided by the experiment alone, never by the machine."""
    if looks_back(experiment):  # then each run has a rate of its own
        return 1
    with torch.device("meta"):  # the architecture alone, without the work of drawing weights
        ensemble = new_ensemble(experiment)
    # Of image learners it is the activations that are large, not the weights: one run at a time.
    if not ensemble.stacked or experiment.about_data.files or known_learner(experiment.base_learner).smallest:
        return 1
    return max(1, STACK_PARAMETERS // experiment.num_parameters)


def provenance(device: torch.device, way: str, stack: Sequence[Cell], *, seconds: float) -> dict[str, Any]:
    """Where, when and from what a stack's cells came: everything about them that may differ between two equal runs."""
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "stack": [list(cell) for cell in stack],
        "stack_seconds": round(seconds, 3),
        "commit": _commit(),
        "host": platform.node(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "execution": way,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__},
    }


def _commit() -> str | None:
    """The repository's commit, with `+` behind it if tracked files were changed; outside of one $JOINTENS_COMMIT."""
    where = Path(__file__).resolve().parent
    ask = ["git", "-C", os.fspath(where)]
    try:
        head = subprocess.run([*ask, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*ask, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("JOINTENS_COMMIT")
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
