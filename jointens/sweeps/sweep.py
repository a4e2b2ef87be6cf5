"""The grid β × seed: what is done is loaded, what is missing is trained, in this process or by several."""

from __future__ import annotations

import sys
import time
import warnings

from ..common import choose_device, float32_on_cpu
from ..experiment import Experiment, Results
from ..training import choose_execution
from . import slurm
from .build import stack_size
from .claims import Claims
from .grids import forget_finished_grids
from .local import choose_jobs, train_by_workers
from .plan import plan
from .precision import warn_if_slow
from .progress import Progress, describe_diverged
from .worker import LOOK_SECONDS, Worker, missing_cells, prepare, work


@float32_on_cpu()
def run(experiment: Experiment, *, progress: bool = True, deadline: float | None = None, wait: bool = True) -> Results:
    """Train the cells of the grid that are not in the results folder yet, and return the results of all.

    Stopped at any moment and called again, it ends with the same files as if it had not been stopped, but for what
    stands under `provenance`; on a GPU, but for rounding as well. Several may run on one folder at once, also on
    several machines that share it: each cell is trained by one of them, and all wait until all is done.

    A cell whose ensemble loss on validation data is not finite has diverged. Its training ends there, its record says
    so, and a warning names it; it has no best checkpoint, no tests, no outputs and no weights.

    Args:
        experiment: the grid and its setting; its keys `jobs` and `launcher` say by which processes it is trained.
        progress: a bar on standard error with the cells done, the mean validation losses and the time left.
        deadline: a time of `time.monotonic`, in seconds, by which all of it has to be finished; of this machine alone.
        wait: with the launcher slurm, wait until all is done; otherwise the results of what is done so far come back
            as soon as the job is submitted.

    Raises:
        jointens.sweeps.OutOfTime: a stack would not be finished by the deadline, as its validations so far tell.
        InputError: the folder holds another experiment or cannot be written, or the device or launcher is not here.
            Nothing is trained then. Or an image is damaged, or a checkpoint; what was finished before is kept.
    """
    by_slurm = experiment.launcher == "slurm"
    if by_slurm:
        slurm.check_slurm()
    else:
        device = choose_device(experiment.device)
        choose_execution(experiment.execution, device)
    results = Results(experiment)
    if max(experiment.beta_vals) > 1:
        warnings.warn("beta > 1: the objective is unbounded below, training may diverge", stacklevel=3)
    missing = missing_cells(results)
    for cell in filter(results.is_done, experiment.cells):
        results.forget_unfinished(cell)  # that a process which was killed has left
    if missing:
        for note in experiment.about_data.notes:
            print(f"jointens: {experiment.data_name}: {note}", file=sys.stderr)
        stacks = len(plan(missing, results.all_records(), stack_size(experiment)))
        with Progress(results, missing, enabled=progress and (wait or not by_slurm)) as bar:
            if by_slurm:
                prepare(results)
                tasks = slurm.submit(_worker(results), results, stacks)
                bar.say(f"jointens: submitted job {slurm.array_id(tasks)}, {len(tasks)} tasks")
                if not wait:
                    return results
                slurm.follow(tasks, results, bar)
            else:
                warn_if_slow(experiment, device)
                jobs = choose_jobs(experiment.jobs, device, stacks)
                if jobs > 1:
                    train_by_workers(_worker(results, deadline), results, jobs, bar, device)
                else:
                    prepare(results)
                _train_here(results, bar, deadline)
    forget_finished_grids(results)
    results.write_csv()
    if diverged := describe_diverged(results):
        warnings.warn(f"{diverged}; tables and figures leave them out", stacklevel=3)
    return results


def _train_here(results: Results, bar: Progress, deadline: float | None) -> None:
    """Train what is missing in this process, and wait for what others train."""
    claims = Claims(results.folder)
    while missing_cells(results):
        work(results, report=bar.report, deadline=deadline)
        bar.look(claims)
        if missing_cells(results):
            time.sleep(LOOK_SECONDS)


def _worker(results: Results, deadline: float | None = None) -> Worker:
    experiment = results.experiment
    keys = {name: getattr(experiment, name) for name in experiment.names()}
    return Worker(keys, experiment.hash, str(results.folder.absolute()), list(sys.path), deadline=deadline)
