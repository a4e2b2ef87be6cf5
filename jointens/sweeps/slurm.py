"""Train a sweep as a Slurm job array: one task for each stack or cell, submitted by submitit."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import shutil
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..common import InputError
from ..experiment import Experiment, Results
from .claims import Claims
from .progress import Progress
from .worker import Worker, environment_of_workers, missing_cells

if TYPE_CHECKING:
    import submitit

PROGRAMS = ("sbatch", "srun", "squeue", "scontrol")
DEFAULT_MINUTES = 240
LOOK_SECONDS = 2.0
ANY_NUMBER = 1_000_000  # of timeouts, after each of which a task goes on from its checkpoint
# States of a task that will not run again. Others, PREEMPTED and REQUEUED among them, may.
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"}


def check_slurm() -> None:
    """Check that Slurm's programs are here.

    Raises:
        InputError: one is not.
    """
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise InputError(f"launcher is slurm, and there is no {missing[0]} on PATH; start it where Slurm is installed")


def submit(worker: Worker, results: Results, stacks: int) -> list[submitit.Job]:
    """Submit a job array with a task for each stack; returns its tasks.

    A task trains the first stack that is free. It is requeued after preemption and timeout, and then goes on from the
    last checkpoint.

    Args:
        worker: what each task does.
        results: the folder, prepared. The tasks' logs go to `slurm/` in it.
        stacks: how many there are to train.

    Raises:
        InputError: Slurm does not take the job; the message is Slurm's.
    """
    import submitit

    experiment = results.experiment
    folder = results.folder / "slurm" / datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # submitit prints Slurm's complaints, which the error has, too
            executor = submitit.SlurmExecutor(folder, max_num_timeout=ANY_NUMBER)
            executor.update_parameters(**_parameters(experiment))
            with environment_of_workers(), executor.batch():
                return [executor.submit(dataclasses.replace(worker, at_most=1)) for _ in range(stacks)]
    except (submitit.core.utils.FailedJobError, OSError, RuntimeError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
        raise InputError(f"Slurm does not take the job: {error}") from error


def _parameters(experiment: Experiment) -> dict[str, object]:
    """Return submitit's parameters for the keys."""
    chosen = {
        "job_name": experiment.name,
        "partition": experiment.slurm_partition,
        "time": experiment.slurm_time or DEFAULT_MINUTES,
        "gpus_per_node": experiment.slurm_gpus,
        "cpus_per_task": experiment.slurm_cpus or 1,
        "mem": experiment.slurm_memory and f"{experiment.slurm_memory}GB",
        "array_parallelism": experiment.jobs,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def array_id(tasks: list[submitit.Job]) -> str:
    """Return the id by which Slurm's commands know all tasks."""
    return tasks[0].job_id.partition("_")[0]


def follow(tasks: list[submitit.Job], results: Results, progress: Progress) -> None:
    """Wait until all cells are finished.

    Raises:
        InputError, OutOfTime: a task ended with it, or all have ended and cells are missing.
    """
    claims, told = Claims(results.folder), set()
    while True:
        running, reasons = _look(array_id(tasks))
        for reason in reasons - told:  # of which some last for ever
            progress.say(f"jointens: job {array_id(tasks)} waits: {reason}")
        told |= reasons
        progress.look(claims)
        missing = missing_cells(results)
        for task in tasks if missing else ():
            if task.paths.result_pickle.exists() and isinstance(error := task.result(), Exception):
                raise error
        if not missing:
            return
        if running is False and not claims.in_work():
            raise InputError(
                f"job {array_id(tasks)} has ended, and {len(missing)} cells are missing, such as {missing[0]}; its "
                f"messages are in {tasks[0].paths.folder}, and the same command submits what is missing"
            )
        time.sleep(LOOK_SECONDS)


def _look(job: str) -> tuple[bool | None, set[str]]:
    """Ask squeue for a job, since sacct needs a database; returns whether tasks will run, and why some wait.

    None: Slurm's controller does not answer.
    """
    asked = ["squeue", "--noheader", "--array", "--states=all", "--format=%T|%r", f"--jobs={job}"]
    done = subprocess.run(asked, capture_output=True, text=True)
    if done.returncode:
        return (False if "Invalid job id" in done.stderr else None), set()  # it forgets jobs some minutes after them
    rows = [line.strip().split("|") for line in done.stdout.splitlines()]
    waiting = {reason for state, reason in rows if state == "PENDING" and reason not in USUAL}
    return any(state not in ENDED for state, _ in rows), waiting


USUAL = {"None", "Resources", "Priority", "JobArrayTaskLimit", "BeginTime"}  # reasons to wait that pass
