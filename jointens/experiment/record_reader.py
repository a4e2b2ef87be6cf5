"""Read the files of cells, each once: every table and every figure asks for all of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from ..common import InputError
from .record import CellRecord


class RecordReader:
    """Reads the JSON files of one experiment's cells, and a file again if it has changed.

    Args:
        mark: what each file has to name as its experiment.
        converted: the authors' code computed the results, and what it logged is taken as it is. Otherwise a cell that
            diverged has no tests, also if it was written before that had a meaning.
    """

    def __init__(self, mark: str, *, converted: bool):
        self.mark, self.converted = mark, converted
        self._known: dict[Path, tuple[tuple[int, ...], CellRecord]] = {}

    def read(self, path: Path) -> CellRecord:
        """Read a record; raises InputError if the file is damaged, or of another experiment."""
        try:
            stat = path.stat()
            status = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if path in self._known and self._known[path][0] == status:
                return self._known[path][1]
            content = json.loads(path.read_text(encoding="utf-8"))
            record = CellRecord.from_dict(content) if content["experiment"] == self.mark else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            record = None
        if record is None:
            raise InputError(
                f"{path} is damaged or of another experiment; remove it, and the same command trains it again"
            )
        if record.diverged and not self.converted:
            record = dataclasses.replace(record, best_epoch=0, test=dict.fromkeys(record.test))
        self._known[path] = status, record
        return record
