"""`csv:PATH`: a table of the user's own, made into numbers. What is done to it is told; what is unclear is an error.

A column is one of numbers, of true and false (1 and 0), or of texts (one-hot, a column for each text).
"""

from __future__ import annotations

import csv
import difflib
import functools
import hashlib
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..common.errors import InputError
from ..common.paths import expanded
from ..experiment.fields import LARGEST

if TYPE_CHECKING:
    import pandas as pd

CSV = "csv:"
FEWEST_ROWS = 10
MOST_TEXTS = 50  # of a column of texts: more are names, dates or free text, of which a column each says nothing
SEPARATORS = (",", ";", "\t")
# The words for a missing entry that pandas knows; an empty one is missing as well.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
COMMA = r"[+-]?\d+(,\d+)+"  # 12,5 or 1,000: meant as a number, though it is not clear which
# The same of 5 %, $3.50, 1 000, a number with a true minus, and dates of digits: no texts to make columns of.
NUMBERLIKE = (
    r"[+\-−$€£¥\s]*\d+([.,'\s]\d{3})*([.,]\d+)?\s*[%$€£¥]?"
    r"|(\d{4}([-/.])\d{1,2}\4\d{1,2}|\d{1,2}([-/.])\d{1,2}\5\d{2,4})([T\s][\d:.]+Z?)?"
)


class Table(NamedTuple):
    """A table as numbers, with N rows and D features."""

    inputs: np.ndarray  # (N, D), float64, NaN where a number is missing
    targets: np.ndarray  # (N,), float64
    content: str  # the fingerprint of its file
    notes: tuple[str, ...]  # what was done to it


class Row(NamedTuple):
    line: int  # of the file, the header's is 1
    cells: list[str]


def data_name(name: str) -> str:
    """A data set's name as it is shown: of `csv:PATH` the file's name, without its folder."""
    return Path(name.removeprefix(CSV)).name if name.startswith(CSV) else name


def whole_name(name: str) -> str:
    """`csv:PATH` with the absolute path, of which a run does not lose sight when it is started elsewhere."""
    return f"{CSV}{_path(name)}" if name.startswith(CSV) else name


def read_table(name: str, target: str | None) -> Table:
    """The table `csv:PATH` with the column to predict.

    Rows without a target are left out. Parsed once, until the file changes.

    Raises:
        InputError: the file cannot be read, is no table, or has entries that are no numbers; file, line, column and
            value stand in the message.
    """
    path = _path(name)
    try:
        about = path.stat()
        return _parsed(path, about.st_mtime_ns, about.st_size, target)
    except OSError as error:
        raise InputError(f"cannot read the table {path}: {error.strerror}") from error


def check_unchanged(name: str, content: str, *, where: str) -> None:
    """Raises InputError if the file of `csv:PATH` is gone, or not the one on which the results `where` were trained."""
    path = _path(name)
    try:
        now = _fingerprint(path.read_bytes())
    except OSError as error:
        raise InputError(f"{where} was trained on {path}, which cannot be read: {error.strerror}") from error
    if now != content:
        raise InputError(f"{where} was trained on {path}, which has changed since: {content} then, {now} now")


def _fingerprint(content: bytes) -> str:
    """Sixteen digits that name the content of a file."""
    return hashlib.sha256(content).hexdigest()[:16]


def _path(name: str) -> Path:
    told = name.removeprefix(CSV)
    if not told:
        raise InputError(f"dataset is {name!r}; allowed is {CSV}PATH, the path of a table")
    if not told.isprintable():
        raise InputError(f"dataset is {name!r}; allowed are printable characters")
    return Path(os.path.abspath(expanded(told)))


@functools.lru_cache(maxsize=8)  # an experiment asks for its shape and sizes again and again
def _parsed(path: Path, _time: int, _size: int, target: str | None) -> Table:
    content = path.read_bytes()
    header, rows = _rows(path.name, content)
    known = f"its columns are {_listed(header)}"
    if target is None:
        raise InputError(f"dataset is {path.name}, which needs the key target, the column to predict; {known}")
    if target not in header:
        alike = {name.lower(): name for name in header}
        near = alike[difflib.get_close_matches(target.lower(), alike, n=1, cutoff=0)[0]]
        raise InputError(f"target is {target!r}, no column of {path.name}; the nearest is {near!r}; {known}")
    if len(header) == 1:
        raise InputError(f"{path.name} has no column but {target!r}; allowed is at least one more, to predict it from")
    at = header.index(target)
    whole = [row for row in rows if row.cells[at] not in MISSING]
    if len(whole) < FEWEST_ROWS:
        raise InputError(f"{path.name} has {len(whole)} rows with a {target}; allowed are at least {FEWEST_ROWS}")
    targets = _targets(path.name, target, whole, at)

    notes = Notes()
    notes.add("rows without a target are left out", *[f"{len(rows) - len(whole)}"] * (len(rows) > len(whole)))
    lines = [row.line for row in whole]
    features = []
    for place, name in enumerate(header):
        if place != at:
            column = Column(path.name, name, lines, [row.cells[place] for row in whole])
            features += column.features(notes)
    return Table(np.stack(features, axis=1), targets, _fingerprint(content), notes.told())


# ---- from bytes to cells


def _rows(file: str, content: bytes) -> tuple[list[str], list[Row]]:
    """The header and the rows, as many cells in each, without the space around them; empty lines are passed over."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{file}, line {line}: it is not UTF-8 text; save the table as UTF-8") from error
    first = next((line for line in re.split(r"[\r\n]+", text) if line.strip()), None)
    if first is None:
        raise InputError(f"{file} is empty; allowed is a table with a line of column names")
    bare = re.sub(r'"[^"]*"', "", first)  # what stands in quotes separates nothing
    separator = max(SEPARATORS, key=bare.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            if cells:
                rows.append(Row(line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1  # where the next row begins
    except csv.Error as error:
        raise InputError(f"{file}, line {line}: it is no row of a table ({error})") from error
    rows = [row for row in rows if any(row.cells) or len(row.cells) > 1]  # a line of spaces is empty, too
    (_, header), *rows = rows
    for number, name in enumerate(header, 1):
        if not name:
            why = " (pandas writes its row numbers so)" if number == 1 else ""
            raise InputError(f"{file}: column {number} has no name; give it one, or remove it{why}")
        if name in header[: number - 1]:
            raise InputError(f"{file} has two columns {name!r}; allowed are different names")
    if not rows:
        raise InputError(f"{file} has no rows below its column names; allowed are at least {FEWEST_ROWS}")
    for row in rows:
        if len(row.cells) != len(header):
            raise InputError(f"{file}, line {row.line}: {len(row.cells)} entries, for {len(header)} columns")
    return header, rows


# ---- from cells to numbers


class Column:
    """One column of a table, with its entries and the lines of the file in which they stand."""

    def __init__(self, file: str, name: str, lines: Sequence[int], cells: Sequence[str]):
        import pandas as pd

        self.file, self.name, self.lines = file, name, lines
        self.cells: pd.Series = pd.Series(cells, dtype=object)
        self.missing = self.cells.isin(MISSING).to_numpy()
        self.numbers = pd.to_numeric(self.cells.mask(self.missing), errors="coerce").to_numpy(dtype=float, copy=True)
        self.texts = np.isnan(self.numbers) & ~self.missing

    def wrong(self, where: np.ndarray, told: str) -> InputError:
        """About the first of the entries that are not allowed."""
        first = int(where.argmax())
        value = self.cells[first] if len(self.cells[first]) <= 40 else f"{self.cells[first][:40]}…"
        return InputError(f"{self.file}, line {self.lines[first]}, column {self.name!r}: {value!r} {told}")

    def all_numbers(self) -> np.ndarray:
        """The entries as numbers, NaN where one is missing; raises InputError for one that is none, or is too large."""
        if self.texts.any():
            comma = re.fullmatch(COMMA, self.cells[int(self.texts.argmax())])
            told = (
                "write a decimal point, and nothing between thousands"
                if comma
                else ("correct it, or leave it empty; remove the column if it holds dates")
            )
            raise self.wrong(self.texts, f"is no number; {told}")
        if (large := np.abs(self.numbers) > LARGEST).any():
            raise self.wrong(large, f"is not finite; allowed are numbers up to {LARGEST:g}")
        return self.numbers

    def features(self, notes: Notes) -> list[np.ndarray]:
        """The columns `(N,)` that stand for this one among the inputs."""
        there = self.cells[~self.missing]
        if len(there) and there.str.lower().isin(["true", "false"]).all():
            notes.add("true and false are 1 and 0", self.name)
            values = self.cells.str.lower().map({"true": 1.0, "false": 0.0}).to_numpy(dtype=float, copy=True)
            return [self._told(values, notes)]
        if len(there):
            meant = len(there) - self.texts.sum() + (self.texts[~self.missing] & there.str.fullmatch(NUMBERLIKE)).sum()
            if 2 * meant <= len(there):
                return self._one_hot(notes)
        return [self._told(self.all_numbers(), notes)]

    def _told(self, values: np.ndarray, notes: Notes) -> np.ndarray:
        """The same numbers, with a note if some are missing or all are equal."""
        there = values[~np.isnan(values)]
        if len(there) == 0 or (there == there[0]).all():
            notes.add("columns of one value stay at 0", self.name)
        elif len(there) < len(values):
            notes.add("missing numbers become the training part's mean", f"{self.name} ({len(values) - len(there)})")
        return values

    def _one_hot(self, notes: Notes) -> list[np.ndarray]:
        texts = self.cells.mask(self.missing, "")  # a missing one is a text of its own
        kinds = sorted(texts.unique(), key=lambda text: (text == "", text))
        if len(kinds) > MOST_TEXTS or len(kinds) == len(texts):
            told = f"is one of {len(kinds)} different texts in {len(texts)} rows"
            allowed = f"allowed are at most {MOST_TEXTS}, and some more than once"
            raise self.wrong(~self.missing, f"{told}; {allowed}: remove the column if it holds names, dates or remarks")
        if len(kinds) == 1:
            notes.add("columns of one value stay at 0", self.name)
        without = ", one for none" if "" in kinds else ""
        notes.add("texts become a column each", f"{self.name} ({len(kinds)}{without})")
        return [(texts == kind).to_numpy(dtype=float) for kind in kinds]


def _targets(file: str, target: str, rows: Sequence[Row], at: int) -> np.ndarray:
    column = Column(file, target, [row.line for row in rows], [row.cells[at] for row in rows])
    values = column.all_numbers()
    if (values == values[0]).all():
        raise InputError(
            f"{file}: the target {target} is {values[0]:g} in all {len(values)} rows; allowed is one that varies"
        )
    return values


# ---- in words


class Notes:
    """What was done to a table, to which columns."""

    def __init__(self):
        self.done: dict[str, list[str]] = {}

    def add(self, what: str, *to: str) -> None:
        self.done.setdefault(what, []).extend(to)

    def told(self) -> tuple[str, ...]:
        return tuple(f"{what}: {_listed(to)}" for what, to in self.done.items() if to)


def _listed(names: Iterable[str], most: int = 20) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
