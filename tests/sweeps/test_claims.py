"""Claims on cells: one owner each, known to be dead on this machine at once, on others by their heartbeat."""

import json
import multiprocessing
import os
import signal
import time

import pytest

import jointens
from jointens import Cell, InputError, Results
from jointens.reports.stored_diagnosis import diagnose_stored
from jointens.sweeps import claims as claims_module
from jointens.sweeps import worker
from jointens.sweeps.claims import Claims

CELLS = [Cell(0.0, 0), Cell(1.0, 0)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def test_a_stack_has_one_owner_until_it_is_released(folder):
    first, second = Claims(folder), Claims(folder)
    with first.take(CELLS, total=5) as claim:
        assert second.take(CELLS) is None
        claim.validations = 3
        (content,) = second.in_work()
        assert content.cells == tuple(CELLS) and content.process == os.getpid() and content.total == 5
        other = second.take([Cell(0.5, 0)])
        assert other is not None
        other.release()
    assert second.in_work() == [] and not (folder / "unfinished").exists()
    second.take(CELLS).release()


def test_stacks_of_other_grids_that_share_a_cell_exclude_each_other(folder):
    with Claims(folder).take(CELLS):
        assert Claims(folder).take([Cell(0.5, 0), CELLS[1]]) is None
        assert len(list(folder.glob("unfinished/*.claim"))) == 1


def hold(folder, ready):
    Claims(folder).take(CELLS)
    ready.set()
    time.sleep(600)


@pytest.fixture
def killed(folder):
    """A claim whose owner, a process of this machine, was killed."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    owner = context.Process(target=hold, args=(folder, ready))
    owner.start()
    assert ready.wait(60)
    assert Claims(folder).take(CELLS) is None
    os.kill(owner.pid, signal.SIGKILL)
    owner.join()
    return owner.pid


def test_of_a_killed_owner_the_claim_is_free_at_once(folder, killed):
    claims = Claims(folder)
    ((content, state),) = claims.all()
    assert content.process == killed and state == "dead" and claims.in_work() == []
    with claims.take(CELLS) as claim:
        assert claims.in_work()[0].token == claim.token
    with Claims(folder).take(CELLS):
        pass


def foreign(folder, **changes):
    """A claim of another machine, whose lock is not seen here."""
    content = {
        "cells": CELLS, "token": "theirs", "host": "elsewhere", "process": 1, "machine": "elsewhere 1", "job": None,
        "since": "1999-01-01T00:00:00+00:00", "validations": 1, "total": 5, "beat": 1,
    }  # fmt: skip
    path = folder / "unfinished" / f"{CELLS[0]}.claim"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content | changes))
    os.utime(path, (0, 0))  # its clock is wrong by decades
    return path


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that the test moves."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(claims_module.time, "monotonic", clock.monotonic)
    return clock


def test_of_another_machine_the_heartbeat_counts_and_not_its_clock(folder, clock):
    """However old its file and its date are, it is alive as long as its number moves."""
    foreign(folder)
    claims = Claims(folder)
    assert claims.undecided() and len(claims.in_work()) == 1
    for beat in range(2, 30):
        clock.now += claims_module.STALE_SECONDS - 1
        foreign(folder, beat=beat)
        assert claims.take(CELLS) is None and not claims.undecided()
    clock.now += claims_module.STALE_SECONDS - 1
    assert claims.take(CELLS) is None
    clock.now += 2
    assert claims.in_work() == []
    with claims.take(CELLS) as claim:
        assert len(claims.in_work()) == 1 and claim.validations == 0


def test_a_claim_that_cannot_be_read_is_of_nobody_known_and_becomes_stale(folder, clock):
    foreign(folder).write_text('{"cells": [[0')
    claims = Claims(folder)
    assert claims.take(CELLS) is None and claims.in_work()[0].cells == (CELLS[0],)
    clock.now += claims_module.STALE_SECONDS
    claims.take(CELLS).release()


def test_whoever_stood_still_too_long_learns_that_the_stack_is_lost(folder, monkeypatch, tiny):
    """It stops training, and leaves the claim to the new owner."""
    monkeypatch.setattr(claims_module, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(claims_module, "BEAT_SECONDS", 0.0)
    claim = Claims(folder).take(CELLS)
    path = foreign(folder)  # taken over by another machine
    until = time.monotonic() + 30
    while not claim.lost:
        assert time.monotonic() < until
        time.sleep(0.01)
    with pytest.raises(worker.ClaimLost):
        worker._report(claim, lambda *_: None, CELLS, 1, {})
    claim.release()
    assert "theirs" in path.read_text()


def test_where_files_cannot_be_locked_the_heartbeat_counts_on_this_machine_too(folder, clock, monkeypatch):
    monkeypatch.setattr(claims_module, "try_lock", lambda file, **_: None)
    first, second = Claims(folder), Claims(folder)
    claim = first.take(CELLS)
    assert second.take(CELLS) is None and second.undecided()
    clock.now += claims_module.STALE_SECONDS
    taken = second.take(CELLS)
    assert taken is not None
    taken.release(), claim.release()


def test_a_folder_that_cannot_be_written_is_one_line(folder, monkeypatch):
    def refuse(*arguments):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(claims_module.os, "open", refuse)
    with pytest.raises(InputError, match=r"cannot write results to .*: Read-only file system$"):
        Claims(folder).take(CELLS)


def test_run_leaves_no_claim_and_waits_for_what_others_train(tiny, monkeypatch):
    """Here the other one dies: its cells are taken over."""
    experiment = tiny(max_patience=50)  # cell by cell
    results = Results(experiment)
    results.prepare()
    path = foreign(results.folder, cells=[[0, 0]])
    monkeypatch.setattr(claims_module, "STALE_SECONDS", 1.5)
    begun = time.monotonic()
    assert len(jointens.run(experiment, progress=False).records()) == 4
    assert time.monotonic() - begun >= 1.5 and not path.exists()


def test_show_says_what_is_done_in_work_and_missing(tiny):
    experiment = tiny(max_patience=50)
    results = jointens.run(tiny(max_patience=50, beta_vals=[1]), progress=False)
    worker_claims = Claims(results.folder)

    from jointens.sweeps.grids import note_grid

    note_grid(Results(experiment))
    with worker_claims.take([Cell(0.0, 1)], total=2):
        told = diagnose_stored(results.folder).splitlines()
        assert told[0] == "2 cells are done, 1 in work, 1 missing."
        assert told[1].startswith(f"in work: beta=0,seed=1, epoch 0 of 2, by process {os.getpid()} on ")
        assert told[1].endswith(" UTC") and told[2] == "missing: beta=0,seed=0"
    results.unfinished_path(Cell(0.0, 1), ".pt").write_bytes(b"")
    told = diagnose_stored(results.folder).splitlines()
    assert told[:2] == [
        "2 cells are done, 0 in work, 2 missing.",
        "missing: beta=0,seed=0; beta=0,seed=1 (has a checkpoint)",
    ]
    results.unfinished_path(Cell(0.0, 1), ".pt").unlink()
    jointens.run(experiment, progress=False)
    assert "missing" not in diagnose_stored(results.folder)
