"""Train a sweep by several worker processes of this machine, each with one thread or one GPU."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..common import InputError, lock_file
from ..experiment import Results
from .claims import ClaimContent, Claims
from .progress import Progress
from .worker import Worker, environment_of_workers, free_stacks, missing_cells

if TYPE_CHECKING:
    import submitit

LOOK_SECONDS = 0.25
MOST_DEATHS = 10  # of workers, without a cell finished in between
FOREVER = 10 * 365 * 24 * 60  # minutes: submitit ends jobs after two if nothing is said


def choose_jobs(jobs: int | None, device: torch.device, stacks: int) -> int:
    """Return the number of processes that train so many stacks; 1: this process does it itself.

    Args:
        jobs: the key; None: one for each GPU, or for each thread that torch would use.
        device: on which to train. With an index it is one GPU, which all processes share.
        stacks: how many there are.
    """
    if jobs is None and device.type == "cuda":
        jobs = 1 if device.index is not None else torch.cuda.device_count()
    elif jobs is None:
        jobs = torch.get_num_threads()
    elif jobs > stacks:
        things = "is one stack or cell" if stacks == 1 else f"are {stacks} stacks or cells"
        print(f"jointens: jobs is {jobs}, but there {things} to train: that many processes", file=sys.stderr)
    return max(1, min(jobs, stacks))


def train_by_workers(worker: Worker, results: Results, jobs: int, progress: Progress, device: torch.device) -> None:
    """Let worker processes train what is missing, until nothing is.

    Args:
        worker: what each of them does.
        results: the folder, prepared.
        jobs: how many.
        progress: shows how far all are.
        device: of the experiment; each worker gets another GPU where it does not say which.

    Raises:
        InputError, OutOfTime: a worker ended with it, or workers died again and again.
    """
    claims, deaths, missing = Claims(results.folder), 0, missing_cells(results)
    known: dict[str, ClaimContent] = {}  # by job, what it has claimed last
    with Workers(worker, device, say=progress.say) as workers:
        while missing:
            known |= {claim.job: claim for claim, _ in claims.all() if claim.job}
            for job, outcome in workers.ended():
                if outcome is not DIED:
                    if outcome is not None:
                        raise outcome
                    continue
                deaths += 1
                what = f"job {job.job_id}"
                if lost := known.get(job.job_id):
                    what = f"process {lost.process}, while it trained {lost.cells[0]}"
                progress.say(f"jointens: a worker died ({what}); what it had not finished is trained again")
                if deaths == MOST_DEATHS:
                    raise InputError(
                        f"workers died {deaths} times, with no cell finished in between, the last one as {what}; "
                        "is there enough memory? jobs=1 needs the least"
                    )
                workers.start()
            if not workers.running:
                for _ in free_stacks(results, claims)[:jobs]:
                    workers.start()
            progress.look(claims)
            time.sleep(LOOK_SECONDS)
            before, missing = missing, missing_cells(results)
            deaths = deaths if len(missing) == len(before) else 0
        progress.look(claims)


DIED = object()


class Workers:
    """Processes of this machine that are started by submitit; they end when the context is left, or this process ends.

    submitit, and not a pool of processes: a pool is broken when one of its processes dies, and takes down the others.

    Args:
        worker: what each of them does.
        device: of the experiment.
        say: called with each line that a worker writes to its standard error.
    """

    def __init__(self, worker: Worker, device: torch.device, *, say: Callable[[str], None]):
        self.worker, self.device, self.say = worker, device, say
        self.running: dict[int, submitit.Job] = {}  # by number, the lowest that is free

    def __enter__(self) -> Workers:
        import submitit

        self._folder = tempfile.TemporaryDirectory(prefix="jointens-jobs-", ignore_cleanup_errors=True)
        parent_lock = Path(self._folder.name, "parent")
        self._lock = lock_file(parent_lock)
        self.worker = dataclasses.replace(
            self.worker, parent_lock=str(parent_lock), gpus=os.environ.get("CUDA_VISIBLE_DEVICES")
        )
        self._executor = submitit.LocalExecutor(self._folder.name)
        self._executor.update_parameters(timeout_min=FOREVER)
        self._told: dict[str, int] = {}  # by job, bytes of its messages that were passed on
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)  # for which the workers wait, to end
        until = time.monotonic() + 10
        for job in self.running.values():
            while not job.done() and time.monotonic() < until:
                time.sleep(0.02)
            self._tell(job)
        Claims(Path(self.worker.folder)).remove_dead()
        self._folder.cleanup()

    def start(self) -> None:
        """Start one more worker."""
        number = next(number for number in range(len(self.running) + 1) if number not in self.running)
        worker = self.worker
        if self.device.type == "cuda" and self.device.index is None:
            worker = dataclasses.replace(
                worker, keys={**worker.keys, "device": f"cuda:{number % torch.cuda.device_count()}"}
            )
        with _for_children():
            self.running[number] = self._executor.submit(worker)

    def ended(self) -> Iterator[tuple[submitit.Job, object]]:
        """Iterate over the workers that have ended since the last call, and what they left: None, an error, or DIED."""
        for number, job in list(self.running.items()):
            self._tell(job)
            if job.done():
                del self.running[number]
                yield job, job.result() if job.paths.result_pickle.exists() else DIED

    def _tell(self, job: submitit.Job) -> None:
        """Pass on what a worker has written to its standard error."""
        with contextlib.suppress(FileNotFoundError), open(job.paths.stderr, "rb") as file:
            file.seek(self._told.get(job.job_id, 0))
            if text := file.read().rpartition(b"\n")[0]:
                self._told[job.job_id] = self._told.get(job.job_id, 0) + len(text) + 1
                for line in text.decode(errors="replace").splitlines():
                    self.say(f"jointens: {line}")


@contextlib.contextmanager
def _for_children() -> Iterator[None]:
    """Start processes that compute on one thread, and to whom Ctrl-C in the terminal means nothing."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with environment_of_workers():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
