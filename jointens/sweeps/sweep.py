"""The grid β × seed: what is done is loaded, what is missing is trained, in stacks where that is faster."""

from __future__ import annotations

import functools
import sys
import warnings

from tqdm import tqdm

from ..common import InputError, choose_device, warn_if_emulated
from ..experiment import Experiment, Results
from ..training import Checkpoint, choose_execution
from .build import load_data, make_trainer, stack_size
from .plan import plan
from .provenance import provenance
from .stack import Deadline, train_stack

CHECKPOINT_SECONDS = 60  # from one checkpoint to the next, at least, where a validation takes little


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
    for cell in filter(results.is_done, experiment.cells):
        results.forget_unfinished(cell)  # that a process which was killed has left
    stacks = plan(missing, results.all_records(), stack_size(experiment)) if missing else []
    if stacks:
        for note in experiment.about_data.notes:
            print(f"jointens: {experiment.data_name}: {note}", file=sys.stderr)
        load_data(experiment, stacks[0][0].seed)  # missing data are found before anything is written
        results.prepare()
        warn_if_emulated(experiment.precision, device)
    validations = None if experiment.max_patience else experiment.num_validations  # or patience ends it
    bar = tqdm(
        total=validations and len(stacks) * validations,
        desc=experiment.name,
        unit="validation" if experiment.validate_every else "epoch",
        disable=not (progress and stacks),
        dynamic_ncols=True,
    )
    with bar:
        for number, stack in enumerate(stacks):
            if bar.total:
                bar.n = number * validations
            make = functools.partial(make_trainer, experiment, stack)
            describe = functools.partial(provenance, device, execution, stack)
            checkpoint = _checkpoint(results, stack) if len(stack) == 1 else None
            try:
                train_stack(make, stack, results, bar, describe, checkpoint, Deadline(validations, deadline))
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise InputError(
                    f"a batch of {experiment.data_name} has one example, which {experiment.base_learner} "
                    "with its batch-norm cannot be trained on; choose another batch_size or train_size"
                ) from error
    results.write_csv()
    return results


def _checkpoint(results: Results, stack: list) -> Checkpoint:
    """The checkpoint of a stack of a single cell."""
    (cell,), experiment = stack, results.experiment
    wait = experiment.checkpoint_seconds
    if wait is None:
        wait = 0 if experiment.about_data.files else CHECKPOINT_SECONDS
    return Checkpoint(results.unfinished_path(cell, ".pt"), name=f"{experiment.hash} {cell}", wait=wait)
