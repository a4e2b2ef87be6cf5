"""The grids that were asked for in a results folder and are not finished: what else is missing in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from ..common import write_atomically, writing
from ..experiment import Cell, Results


def note_grid(results: Results) -> None:
    """Note the experiment's grid as asked for, in a file `unfinished/….grid`.

    Raises:
        InputError: the folder cannot be written.
    """
    experiment = results.experiment
    content = json.dumps([list(experiment.beta_vals), list(experiment.seeds)]).encode()
    path = results.folder / "unfinished" / f"{hashlib.sha256(content).hexdigest()[:8]}.grid"
    with writing("results", results.folder):
        while not path.exists():
            path.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # somebody has just removed the empty folder
                write_atomically(path, content)


def asked_cells(results: Results) -> list[Cell]:
    """Return the cells of every grid that is noted, sorted by β and seed."""
    return sorted({cell for cells in _grids(results).values() for cell in cells})


def forget_finished_grids(results: Results) -> None:
    """Remove the notes of grids that are finished."""
    for path, cells in _grids(results).items():
        if all(map(results.is_done, cells)):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody is at work
        (results.folder / "unfinished").rmdir()


def _grids(results: Results) -> dict[Path, list[Cell]]:
    grids = {}
    for path in results.folder.glob("unfinished/*.grid"):
        with contextlib.suppress(OSError, ValueError, TypeError):  # it is gone, or somebody has written into it
            betas, seeds = json.loads(path.read_bytes())
            grids[path] = [Cell(beta, seed) for seed in seeds for beta in betas]
    return grids
