"""Claims: which cells of a results folder are in work, by whom, and how far they are.

A process that trains a stack holds a claim on it, the file `unfinished/beta=0.2,seed=3.claim` of the stack's first
cell. The file is locked as long as the process lives, however it ends; so processes of one machine see at once that an
owner is dead. Locks may not reach other machines that share the folder. For those a number in the file goes up every
`BEAT_SECONDS`: a claim whose number has not moved for `STALE_SECONDS` of the observer's own clock is dead. No two
clocks are compared.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..common import is_file_of, try_lock, writing
from ..experiment import Cell

BEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
TICK_SECONDS = 1.0  # from one look to the next whether there is something new to write

SLURM_JOB = "Slurm job "
State = Literal["alive", "dead", "undecided"]


@dataclass(frozen=True)
class ClaimContent:
    """What a claim's file says."""

    cells: tuple[Cell, ...]
    """The stack that is trained."""
    token: str = ""
    """Names this claim and no other."""
    host: str = "?"
    process: int = 0
    machine: str = ""
    """Names the machine since it was started: hosts can share a name."""
    job: str | None = None
    """The owner's job, see `current_job`; None: it was not launched."""
    since: str = "?"
    """UTC."""
    validations: int = 0
    """So far."""
    total: int | None = None
    """Validations in all; None: training may stop early."""
    beat: int = 0

    @property
    def owner(self) -> str:
        slurm = f", {self.job}" if (self.job or "").startswith(SLURM_JOB) else ""
        return f"process {self.process} on {self.host}{slurm}"

    @classmethod
    def read(cls, path: Path) -> ClaimContent:
        """Read a claim; of one that is being written, or was cut off, the name of its file is all that is known."""
        try:
            content = json.loads(path.read_bytes())
            return cls(**{**content, "cells": tuple(Cell(beta, seed) for beta, seed in content["cells"])})
        except (OSError, ValueError, TypeError, KeyError):
            cell = Cell.named(path.stem)
            return cls((cell,) if cell else ())


class Claims:
    """The claims of a results folder.

    Args:
        folder: of the results.
    """

    def __init__(self, folder: Path):
        self.folder = folder / "unfinished"
        self._seen: dict[Path, tuple[tuple[str, int], float, bool]] = {}  # token and beat, since when, whether moved

    def take(self, cells: Sequence[Cell], *, total: int | None = None) -> Claim | None:
        """Claim a stack; returns None if somebody else has it, or one of its cells.

        Args:
            cells: the stack.
            total: its validations, for those who look.

        Raises:
            InputError: the folder cannot be written.
        """
        path = self.folder / f"{cells[0]}.claim"
        with writing("results", self.folder.parent):
            file = self._open_locked(path)
            if file is None:
                return None
            claim = Claim(path, file, cells, total)
        others = {cell for other in self.in_work() if other.token != claim.token for cell in other.cells}
        if not others.isdisjoint(cells):  # another grid, whose stacks are other ones, was as fast as this
            claim.release()
            return None
        return claim

    def in_work(self) -> list[ClaimContent]:
        """Return the claims that are not dead."""
        return [content for content, state in self.all() if state != "dead"]

    def remove_dead(self) -> None:
        """Remove the claims of processes that are gone."""
        for path in self.folder.glob("*.claim"):
            with contextlib.suppress(OSError):
                if (file := self._open_locked(path)) is not None:
                    path.unlink()
                    os.close(file)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def undecided(self) -> bool:
        """Return True if of some claim it is not known yet whether its owner lives."""
        return any(state == "undecided" for _, state in self.all())

    def all(self) -> list[tuple[ClaimContent, State]]:
        """Return every claim and its state, the dead ones, too."""
        found = []
        for path in sorted(self.folder.glob("*.claim")):
            with contextlib.suppress(OSError):  # it is gone
                file = os.open(path, os.O_RDONLY)
                try:
                    locked = try_lock(file, shared=True)
                    content = ClaimContent.read(path)
                    found.append((content, self._state(path, content, locked)))
                finally:
                    os.close(file)  # and its lock with it
        return found

    def _open_locked(self, path: Path) -> int | None:
        """Open and lock a claim's file that is new, or whose owner is dead; returns None for others."""
        while True:
            self.folder.mkdir(exist_ok=True)
            try:
                file, new = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
            except FileNotFoundError:  # somebody has just removed the empty folder
                continue
            except FileExistsError:
                try:
                    file, new = os.open(path, os.O_RDWR), False
                except FileNotFoundError:
                    continue
            locked = try_lock(file, wait=new)
            if locked is not False and not is_file_of(path, file):  # its owner removed it before this lock
                os.close(file)
                continue
            if new or self._state(path, ClaimContent.read(path), locked) == "dead":
                return file
            os.close(file)
            return None

    def _state(self, path: Path, content: ClaimContent, locked: bool | None) -> State:
        """Decide whether a claim's owner lives.

        Args:
            path: of the claim.
            content: what it says.
            locked: whether this process could lock it; None: files cannot be locked here.
        """
        if locked is False:
            return "alive"
        if locked and content.machine == _machine():
            return "dead"
        now, here = time.monotonic(), (content.token, content.beat)
        seen, since, moved = self._seen.get(path, (here, now, False))
        if seen != here:
            since, moved = now, True
        self._seen[path] = here, since, moved
        if now - since >= STALE_SECONDS:
            return "dead"
        return "alive" if moved else "undecided"


class Claim:
    """A claim of this process. Leaving its context releases it.

    Args:
        path: its file.
        file: the same, open and locked.
        cells: the stack.
        total: validations in all.
    """

    def __init__(self, path: Path, file: int, cells: Sequence[Cell], total: int | None):
        self.path, self.file, self.cells, self.total = path, file, tuple(cells), total
        self.token, self.since = uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="seconds")
        self.validations = 0
        self.lost = False
        """Whether somebody else has taken the stack, because this process stood still for too long."""
        self._beat = 0
        self._write()
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"claim {cells[0]}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the stack back: another process may claim it."""
        self._released.set()
        self._thread.join()
        if not self._is_lost():
            self.path.unlink(missing_ok=True)
        os.close(self.file)
        with contextlib.suppress(OSError):  # others are at work
            self.path.parent.rmdir()

    def _keep(self) -> None:
        written, at = self.validations, time.monotonic()
        while not self._released.wait(TICK_SECONDS):
            if written != self.validations or time.monotonic() - at >= BEAT_SECONDS:
                if self._is_lost():
                    self.lost = True
                    return
                written, at = self.validations, time.monotonic()
                with contextlib.suppress(OSError):  # a full disk is for the results to complain of
                    self._write()

    def _is_lost(self) -> bool:
        return not is_file_of(self.path, self.file) or ClaimContent.read(self.path).token not in (self.token, "")

    def _write(self) -> None:
        """Write the file in place, since its lock belongs to it, and in one piece."""
        self._beat += 1
        content = {
            "cells": self.cells, "token": self.token, "host": platform.node(), "process": os.getpid(),
            "machine": _machine(), "job": current_job(), "since": self.since, "validations": self.validations,
            "total": self.total, "beat": self._beat,
        }  # fmt: skip
        text = json.dumps(content).encode()
        os.pwrite(self.file, text, 0)
        os.ftruncate(self.file, len(text))


def current_job() -> str | None:
    """Return submitit's number of the local job of this process, or `Slurm job 18_3`, or None."""
    if local := os.environ.get("SUBMITIT_LOCAL_JOB_ID"):
        return local
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    number = f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")
    return f"{SLURM_JOB}{number}" if number else None


@functools.cache
def _machine() -> str:
    """Name this machine since it was started."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        started = f"{uuid.getnode():x}"
    return f"{platform.node()} {started}"
