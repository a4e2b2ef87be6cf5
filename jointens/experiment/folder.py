"""Write and read results folders: finished cells, written atomically, read back as tidy frames.

<out>/<tag>/experiment.yml               whose results these are
<out>/<tag>/cells/beta=0.2,seed=3.json   one finished cell: history, test metrics, provenance
<out>/<tag>/cells/beta=0.2,seed=3.npz    its learners' outputs            (store_outputs)
<out>/<tag>/cells/….safetensors          its weights at the best epoch    (save_weights)
<out>/<tag>/preparation/seed=3.json      of a table of the user's own: see preparations.py
<out>/<tag>/unfinished/….json, ….pt      of a cell in training: its history so far, and what it goes on from
<out>/<tag>/unfinished/….claim, ….grid   who trains what, and which grids were asked for: see jointens.sweeps
<out>/<tag>/results.csv                  the cells as a table with the authors' fifteen columns
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ..common import (
    InputError,
    check_unchanged,
    default_out,
    dump_yaml,
    expanded,
    read_npz,
    remove_leftovers,
    write_atomically,
    writing,
)
from ..data import TablePreparation
from . import frames
from .config import Experiment
from .identity import NUMBERS, SOURCES, read_identity, without_place
from .preparations import keep_preparations, read_preparation, remember
from .record import Cell, CellRecord
from .record_reader import RecordReader

if TYPE_CHECKING:
    import pandas as pd

# Stands for the version of the numbers where the authors' code computed them: nothing is trained into such a folder.
RELEASED = "released"


class Results:
    """The results folder of one experiment. Opening it writes nothing.

    Args:
        experiment: whose results; with its `out` and `tag` it names the folder.
        folder: the folder, in place of the one that the experiment names.
        numbers: the version of the numbers in it, or RELEASED.

    Raises:
        InputError: the folder there belongs to another experiment; the message says what differs.
    """

    experiment: Experiment
    """Whose results these are."""
    folder: Path
    """Where they are."""

    def __init__(
        self, experiment: Experiment, folder: str | os.PathLike | None = None, *, numbers: int | str = NUMBERS
    ):
        self.experiment = experiment
        self._identity = experiment.identity() | {"numbers": numbers}
        self._mark = RELEASED if numbers == RELEASED else experiment.hash  # of each cell
        self._reader = RecordReader(self._mark, converted=self.converted)
        out = expanded(experiment.out) if experiment.out else default_out()
        self.folder = Path(folder) if folder is not None else out / experiment.name
        try:
            if (self.folder / "experiment.yml").exists():
                ours = without_place(self._identity)
                # A key that was added since was at its default.
                theirs = without_place(Experiment().identity() | read_identity(self.folder))
                differing = [key for key in theirs if ours.get(key) != theirs[key]]
                if differing:
                    listed = ", ".join(f"{key} {theirs[key]} there, {ours.get(key)} here" for key in differing)
                    raise InputError(f"{self.folder} holds another experiment: {listed}; choose another tag")
            elif any(self.folder.glob("cells/*.json")):
                raise InputError(f"{self.folder} holds cells of an unknown experiment: experiment.yml is missing")
        except OSError as error:
            raise InputError(f"cannot read results in {self.folder}: {error.strerror}") from error

    @classmethod
    def at(cls, folder: str | os.PathLike) -> Results:
        """Open a results folder, with the experiment of its experiment.yml.

        The grid is made of all cells found there, those in training as well. The folder may have been moved, or made by
        `jointens.authors.convert`; into one of those nothing is trained.

        Raises:
            InputError: it is no results folder, or one of another version of the numbers, or of a table or function
                of the user's own that is not where it was, or not as it was.
        """
        folder = Path(folder)
        if not (folder / "experiment.yml").exists():
            raise InputError(f"{folder} is no results folder: it holds no experiment.yml")
        keys = read_identity(folder)
        for key, source in SOURCES.items():
            fingerprint = keys.pop(source, None)
            if fingerprint and not remember(folder, f"{keys.get(key)}", fingerprint):
                check_unchanged(f"{keys.get(key)}", fingerprint, where=str(folder))
        numbers = RELEASED if keys.pop("numbers", None) == RELEASED else NUMBERS
        files = [path for part in ("cells", "unfinished") for path in folder.glob(f"{part}/*.json")]
        if cells := [cell for path in files if (cell := Cell.named(path.stem))]:
            keys["beta_vals"] = sorted({cell.beta for cell in cells})
            keys["seeds"] = sorted({cell.seed for cell in cells})
        experiment = Experiment.from_dict(keys, where=str(folder / "experiment.yml"))
        return cls(experiment, folder, numbers=numbers)

    @property
    def converted(self) -> bool:
        """True if the authors' code computed these results (`jointens.authors.convert`)."""
        return self._identity["numbers"] == RELEASED

    def prepare(self) -> None:
        """Make the folder, before hours are spent on what goes into it; raises InputError if that cannot be."""
        with writing("results", self.folder):
            (self.folder / "cells").mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.folder)
            file = self.folder / "experiment.yml"
            if not file.exists():
                content = {**self._identity, "hash": self.experiment.hash}
                write_atomically(file, dump_yaml(content).encode())
            if not self.converted:  # there are weights to predict with
                keep_preparations(self.folder, self.experiment)

    # ---- cells

    def path(self, cell: Cell, suffix: str = ".json") -> Path:
        return self.folder / "cells" / f"{cell}{suffix}"

    def is_done(self, cell: Cell) -> bool:
        return self.path(cell).exists()

    def read(self, cell: Cell) -> CellRecord:
        """Read the record of a finished cell.

        Raises:
            InputError: its file is damaged, or of another experiment.
        """
        return self._reader.read(self.path(cell))

    def write(
        self,
        record: CellRecord,
        outputs: Mapping[str, Tensor] | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Write a finished cell; its JSON file comes last, since a cell is done when that is there.

        What was written of it before it was finished is removed. A cell that diverged has no outputs and no weights.

        Args:
            record: what the JSON file is to hold.
            outputs: kept beside it if the experiment stores outputs.
            weights: kept beside it if the experiment saves weights.

        Raises:
            InputError: a file cannot be written, for example because the disk is full.
        """
        cell = record.cell
        with writing("results", self.folder):
            if self.experiment.store_outputs and not record.diverged:
                arrays = {name: value.numpy() for name, value in (outputs or {}).items()}
                write_atomically(self.path(cell, ".npz"), lambda file: np.savez(file, **arrays))
            if self.experiment.save_weights and not record.diverged:
                from safetensors.torch import save

                contiguous = {name: value.contiguous() for name, value in (weights or {}).items()}
                write_atomically(self.path(cell, ".safetensors"), save(contiguous))
            write_atomically(self.path(cell), self.to_json(record))
        self.forget_unfinished(cell)

    def to_json(self, record: CellRecord) -> bytes:
        """Return the content of a cell's JSON file."""
        return json.dumps(record.to_dict(self._mark), allow_nan=False, separators=(",", ":")).encode()

    def forget_unfinished(self, cell: Cell) -> None:
        """Remove what was written of a cell before it was finished."""
        for suffix in (".pt", ".json"):
            self.unfinished_path(cell, suffix).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are in there, or it never was
            (self.folder / "unfinished").rmdir()

    # ---- cells in training

    def unfinished_path(self, cell: Cell, suffix: str = ".json") -> Path:
        return self.folder / "unfinished" / f"{cell}{suffix}"

    def write_unfinished(self, record: CellRecord) -> None:
        """Write what is known of a cell so far, in the same form."""
        path = self.unfinished_path(record.cell)
        with writing("results", self.folder):
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, self.to_json(record))

    def unfinished_records(self) -> list[CellRecord]:
        """The records of the experiment's cells in training, whose tests are null, in the order of its grid."""
        paths = [self.unfinished_path(cell) for cell in self.experiment.cells if not self.is_done(cell)]
        return [self._reader.read(path) for path in paths if path.exists()]

    def records(self) -> list[CellRecord]:
        """The records of the experiment's finished cells, in the order of its grid."""
        return [self.read(cell) for cell in self.experiment.cells if self.is_done(cell)]

    def all_records(self) -> list[CellRecord]:
        """Every finished cell in the folder, of this grid or of another, sorted by β and seed."""
        records = [self._reader.read(path) for path in (self.folder / "cells").glob("*.json")]
        return sorted(records, key=lambda record: record.cell)

    def diverged(self) -> dict[Cell, int]:
        """The finished cells of the grid that diverged, which tables and figures leave out.

        Returns:
            For each the validation, from 1, at which its ensemble loss on validation data was not finite, and training
            ended. Results that were converted have none: what the authors logged is shown as it is.
        """
        records = [] if self.converted else self.records()
        return {record.cell: since for record in records if (since := record.diverged)}

    def outputs(self, cell: Cell) -> dict[str, np.ndarray]:
        """A cell's stored arrays: `{test,val}_outputs_{best,last}` (M, N, K) and `{test,val}_targets` (N,).

        Args:
            cell: one of `experiment.cells`, or `Cell(beta, seed)`.

        Raises:
            InputError: they were not stored, or the file is damaged.
        """
        return read_npz(self.path(cell, ".npz"))

    def preparation(self, seed: int) -> TablePreparation:
        """How rows of the user's own table become inputs, and outputs values in its units, as a seed has it.

        Raises:
            InputError: the data set is no `csv:PATH`, or the folder does not keep it and the table is not there.
        """
        return read_preparation(self.folder, self.experiment, seed)

    # ---- tables

    def write_csv(self) -> None:
        """Rebuild results.csv from every cell in the folder that did not diverge.

        It has the authors' columns and no index; lists are written as Python lists.
        """
        records = [record for record in self.all_records() if self.converted or not record.diverged]
        table = frames.authors_table(records).to_csv(index=False).encode()
        path = self.folder / "results.csv"
        with writing("results", self.folder):
            if not path.exists() or path.read_bytes() != table:
                remove_leftovers(self.folder)
                write_atomically(path, table)

    def tests(self) -> pd.DataFrame:
        """Test metrics, one row for each cell and checkpoint ("best", "last"), without the cells that diverged.

        Columns: beta, seed, checkpoint, epoch; individual, ensemble, diversity; train_individual, train_ensemble,
        train_diversity: the same on training data at that epoch, as in `history`; val_ensemble: the ensemble loss on
        validation data, by which the best checkpoint was chosen; for classification also accuracy and
        individual_accuracy (the mean over learners), as fractions, and for more than ten classes top5_accuracy; with
        `validate_every` epoch is the number of the validation. What the authors' code does not log is missing from
        their converted results: the last epoch, and training metrics.
        """
        return frames.tests(self.records())

    def history(self, *, unfinished: bool = False) -> pd.DataFrame:
        """The course of training, one row for each cell, epoch (from 1) and split ("train", "val").

        Metrics as in `tests`. Train is measured in evaluation mode on as many examples as validation has, or on
        `measured_size`; with `measure_test` there is a split "test". With `validate_every` epoch is the number of the
        validation, and step the steps before it.

        unfinished: cells in training are among them, as far as they have come.
        """
        return frames.history(self._courses(unfinished))

    def learner_history(self, *, unfinished: bool = False) -> pd.DataFrame:
        """Each base learner's accuracy over training: beta, seed, split, epoch, learner, accuracy; step as above."""
        return frames.learner_history(self._courses(unfinished))

    def _courses(self, unfinished: bool) -> list[CellRecord]:
        return self.records() + (self.unfinished_records() if unfinished else [])
