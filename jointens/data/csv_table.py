"""Reads `csv:PATH`, a regression table of the user's own, into features and targets."""

from __future__ import annotations

import difflib
import functools
import io
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..common import InputError, fingerprint_of, table_path
from .table_columns import (
    MISSING,
    Column,
    Notes,
    describe_column,
    first_count,
    is_categorical,
    note_values,
    parse_numbers,
)

if TYPE_CHECKING:
    import pandas as pd

FEWEST_ROWS = 10
FEW_VALUES = 10  # so many different whole numbers may be classes
SEPARATORS = (",", ";", "\t")
NAMELESS = r"(Unnamed: \d+(\.\d+)?)?"  # as pandas writes its row numbers, and names them when it reads them again


class Table(NamedTuple):
    """Table as numbers, with N rows and D features."""

    inputs: np.ndarray  # (N, D), float64, NaN where a number is missing
    targets: np.ndarray  # (N,), float64
    content: str  # fingerprint of the file
    notes: tuple[str, ...]  # changes made to the table
    columns: tuple[Column, ...]  # whose features, side by side, are the inputs
    row_numbers: str | None  # why nothing is trained: a column tells how the rows were sorted, perhaps by the target


def read_table(name: str, target: str | None) -> Table:
    """Read the table `csv:PATH`. It is parsed once, until the file changes.

    Args:
        name: `csv:PATH`.
        target: column to predict; rows without it are left out.

    Raises:
        InputError: the file cannot be read, is no table, or has entries that are no numbers; the message names file,
            line, column and value.
    """
    path = table_path(name)
    try:
        status = path.stat()
        return _parsed(path, status.st_mtime_ns, status.st_size, target)
    except OSError as error:
        raise InputError(f"cannot read the table {path}: {error.strerror}") from error


@functools.lru_cache(maxsize=8)  # an experiment asks for its shape and sizes again and again
def _parsed(path: Path, _time: int, _size: int, target: str | None) -> Table:
    content, file = path.read_bytes(), path.name
    frame = _read(file, content)
    known = f"its columns are {_listed(frame.columns)}"
    if target is None:
        raise InputError(f"dataset is {file}, which needs the key target, the column to predict; {known}")
    if target not in frame:
        names = {name.lower(): name for name in frame.columns}
        nearest = names[difflib.get_close_matches(target.lower(), names, n=1, cutoff=0)[0]]
        raise InputError(f"target is {target!r}, no column of {file}; the nearest is {nearest!r}; {known}")
    if len(frame.columns) == 1:
        raise InputError(f"{file} has no column but {target!r}; allowed is at least one more, to predict it from")
    rows = frame[frame[target].notna()]
    if len(rows) < FEWEST_ROWS:
        raise InputError(f"{file} has {len(rows)} rows with a {target}; allowed are at least {FEWEST_ROWS}")
    notes: Notes = defaultdict(list)
    if len(rows) < len(frame):
        notes["rows without a target are left out"] = [f"{len(frame) - len(rows)}"]
    regression = (
        "csv: tables are for regression, and the target is a column of numbers; for classes write a function, "
        "import:MODULE:FUNCTION"
    )
    line = f"{file}, line"
    targets = parse_numbers(line, rows[target], regression if is_categorical(rows[target]) else None)
    if (targets == targets[0]).all():
        raise InputError(
            f"{file}: the target {target} is {targets[0]:g} in all {len(targets)} rows; allowed is one that varies"
        )
    if len(different := np.unique(targets)) <= FEW_VALUES and not (different % 1).any():
        notes["whole numbers of the target are values to predict, not classes"] = [f"{value:g}" for value in different]
    columns, features = [], []
    for name in frame.columns.drop(target):
        columns.append(describe_column(line, rows[name], notes))
        features.append(columns[-1].features(line, rows[name]))
        if columns[-1].kind != "text":
            note_values(name, features[-1][:, 0], notes)
    numbers = [column.name for column in columns if column.kind == "number"] if len(columns) > 1 else []
    row_numbers = _row_numbers(file, frame.dropna(how="all")[numbers], notes)
    described = tuple(f"{change}: {_listed(names)}" for change, names in notes.items())
    inputs = np.concatenate(features, axis=1)
    return Table(inputs, targets, fingerprint_of(content), described, tuple(columns), row_numbers)


def _row_numbers(file: str, frame: pd.DataFrame, notes: Notes) -> str | None:
    """Describe a column that counts the rows from 0 or 1, if there is one; note others that may count them."""
    found = None
    for name in frame:
        first = first_count(frame[name])
        if first in (0, 1):
            what = (
                f"column {name!r} counts the rows, from {first} to {first + len(frame) - 1}, in whatever order they are"
            )
            found = found or f"{file}: {what}; remove it, or write {first}.0 for {first} if it is a quantity"
        elif first is not None:
            notes["columns that count up by one, perhaps the rows"].append(name)
    return found


def _read(file: str, content: bytes) -> pd.DataFrame:
    """Read the cells as texts, NaN where one is missing; a row's label is the line of the file in which it begins."""
    import pandas as pd

    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline=None).getvalue()  # every line ends with \n
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{file}, line {line}: it is not UTF-8 text; save the table as UTF-8") from error
    if not text.strip():
        raise InputError(f"{file} is empty; allowed is a table with a line of column names")
    blank = re.match(r"(\s*\n)?", text)[0].count("\n")  # lines above the header
    try:
        # Only pandas' Python parser tells a short row (None) from empty cells, only its warnings always name the line,
        # and with header=0 a surplus entry in each row would turn the first column into an index.
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            cells = pd.read_csv(
                io.StringIO(text), sep=_separator(text), header=None, dtype=object, na_filter=False, skiprows=blank,
                skipinitialspace=True, skip_blank_lines=False, engine="python", on_bad_lines="warn",
            )  # fmt: skip
    except (pd.errors.ParserWarning, pd.errors.ParserError) as error:
        raise InputError(f"{file}, {str(error).strip().removeprefix('Skipping ')}") from error
    breaks = cells.apply(lambda column: column.str.count("\n")).sum(axis=1).astype(int)  # those within quotes
    cells.index = 1 + blank + np.arange(len(cells)) + breaks.cumsum().shift(fill_value=0)
    cells = cells.apply(lambda column: column.str.strip())
    cells = cells[cells.loc[:, 1:].notna().any(axis=1) | cells[0].fillna("").ne("")]  # empty lines are passed over
    header, rows = cells.iloc[0].tolist(), cells.iloc[1:]
    for number, name in enumerate(header, 1):
        if re.fullmatch(NAMELESS, name):  # row numbers would tell how the rows were sorted, perhaps by the target
            why = "give it one, or remove it (pandas writes its row numbers so)"
            raise InputError(f"{file}: column {number} has no name{name and f' but {name!r}'}; {why}")
        if name in header[: number - 1]:
            raise InputError(f"{file} has two columns {name!r}; allowed are different names")
    if rows.empty:
        raise InputError(f"{file} has no rows below its column names; allowed are at least {FEWEST_ROWS}")
    if (short := rows.iloc[:, -1].isna()).any():
        line = short.idxmax()
        raise InputError(f"{file}, line {line}: {rows.loc[line].count()} entries, for {len(header)} columns")
    rows.columns = header
    return rows.mask(rows.isin(MISSING))


def _separator(text: str) -> str:
    """Return the separator that is frequent in both the header and the row below it, or else in the header.

    csv.Sniffer, pandas' sep=None, guesses from letters as well, and takes a comma in every name for a separator.
    """
    first_two = [line for line in text.split("\n") if line.strip()][:2]
    lines = [re.sub(r'"[^"]*"', "", line) for line in first_two]
    return max(SEPARATORS, key=lambda mark: (min(line.count(mark) for line in lines), lines[0].count(mark)))


def _listed(names: Iterable[str], most: int = 20) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
