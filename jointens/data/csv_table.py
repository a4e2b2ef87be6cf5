"""Reads `csv:PATH`, a regression table of the user's own, into features and targets.

A column holds numbers, true and false (1 and 0), or texts (one-hot, one feature for each text). A note records each
change made to the table; anything ambiguous is an error.
"""

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

from ..common import LARGEST, InputError, fingerprint_of, table_path

if TYPE_CHECKING:
    import pandas as pd

FEWEST_ROWS = 10
MOST_TEXTS = 50  # per column: more are names, dates or free text, for which one-hot features are useless
SEPARATORS = (",", ";", "\t")
# pandas' words for a missing entry. Not given to read_csv, which compares them before spaces are stripped.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
NAMELESS = r"(Unnamed: \d+(\.\d+)?)?"  # as pandas writes its row numbers, and names them when it reads them again
# No library tells numbers in disguise from categories, so these patterns do.
COMMA = r"[+-]?\d+(,\d+)+"  # 12,5 or 1,000: ambiguous
NUMBERLIKE = (  # also 5 %, $3.50, 1 000, a true minus, and dates of digits: not categories
    r"[+\-−$€£¥\s]*\d+([.,'\s]\d{3})*([.,]\d+)?\s*[%$€£¥]?"
    r"|(\d{4}([-/.])\d{1,2}\4\d{1,2}|\d{1,2}([-/.])\d{1,2}\5\d{2,4})([T\s][\d:.]+Z?)?"
)
MARK = r"[\W_]+|[<>≤≥~≈]=?\s*\d+([.,]\d+)?"  # ? or <1.2, which among numbers stands for one that is not known


class Table(NamedTuple):
    """Table as numbers, with N rows and D features."""

    inputs: np.ndarray  # (N, D), float64, NaN where a number is missing
    targets: np.ndarray  # (N,), float64
    content: str  # fingerprint of the file
    notes: tuple[str, ...]  # changes made to the table


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
    notes: dict[str, list[str]] = defaultdict(list)
    if len(rows) < len(frame):
        notes["rows without a target are left out"] = [f"{len(frame) - len(rows)}"]
    regression = "csv: tables are for regression, and the target is a column of numbers, not of classes"
    targets = _numbers(file, rows[target], regression if _is_categorical(rows[target]) else None)
    if (targets == targets[0]).all():
        raise InputError(
            f"{file}: the target {target} is {targets[0]:g} in all {len(targets)} rows; allowed is one that varies"
        )
    features = [feature for name in frame if name != target for feature in _features(file, rows[name], notes)]
    described = tuple(f"{change}: {_listed(names)}" for change, names in notes.items())
    return Table(np.stack(features, axis=1), targets, fingerprint_of(content), described)


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


def _error(file: str, entries: pd.Series, where: np.ndarray, problem: str) -> InputError:
    """Make the error about the first of the entries that are not allowed."""
    line, value = entries.index[where][0], entries[where].iloc[0]
    value = value if len(value) <= 40 else f"{value[:40]}…"
    return InputError(f"{file}, line {line}, column {entries.name!r}: {value!r} {problem}")


def _parse(entries: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries as numbers `(N,)`, NaN for a text or a missing one, and a mask `(N,)` of the texts."""
    import pandas as pd

    numbers = pd.to_numeric(entries, errors="coerce").to_numpy(dtype=float, copy=True)
    return numbers, np.isnan(numbers) & entries.notna().to_numpy()


def _numbers(file: str, entries: pd.Series, advice: str | None = None) -> np.ndarray:
    """Return the entries as numbers `(N,)`, NaN where one is missing.

    Raises:
        InputError: an entry is a text, which gets the `advice`, or is too large.
    """
    numbers, texts = _parse(entries)
    if texts.any():
        if re.fullmatch(COMMA, entries[texts].iloc[0]):
            advice = "write a decimal point, and nothing between thousands"
        advice = advice or "correct it, or leave it empty; remove the column if it holds dates"
        raise _error(file, entries, texts, f"is no number; {advice}")
    if (large := np.abs(numbers) > LARGEST).any():
        raise _error(file, entries, large, f"is not finite; allowed are numbers up to {LARGEST:g}")
    return numbers


def _is_categorical(entries: pd.Series) -> bool:
    """Return True if at least half of the entries are texts that are not meant as numbers."""
    numbers, is_text = _parse(entries)
    texts, varied = entries[is_text], len(np.unique(numbers[~np.isnan(numbers)])) > 1
    numberlike = entries.count() - len(texts) + texts.str.fullmatch(NUMBERLIKE).sum()
    marks = texts.str.fullmatch(MARK).sum() if varied else 0
    return entries.count() > 0 and 2 * numberlike <= entries.count() - marks


def _features(file: str, entries: pd.Series, notes: dict[str, list[str]]) -> list[np.ndarray]:
    """Return the features, each `(N,)`, that stand for a column."""
    truths = entries.str.lower().map({"true": 1.0, "false": 0.0})
    if truths.count() == entries.count() > 0:
        notes["true and false are 1 and 0"].append(entries.name)
        values = truths.to_numpy(dtype=float, copy=True)
    elif _is_categorical(entries):
        return _one_hot(file, entries, notes)
    else:
        values = _numbers(file, entries)
    present = values[~np.isnan(values)]
    if len(np.unique(present)) <= 1:
        notes["columns of one value stay at 0"].append(entries.name)
    elif absent := len(values) - len(present):
        notes["missing numbers become the training part's mean"].append(f"{entries.name} ({absent})")
    return [values]


def _one_hot(file: str, entries: pd.Series, notes: dict[str, list[str]]) -> list[np.ndarray]:
    import pandas as pd

    missing = entries.isna()
    dummies = pd.get_dummies(entries, dummy_na=bool(missing.any()), dtype=float)  # sorted; the missing text comes last
    kinds = dummies.shape[1]
    if kinds > MOST_TEXTS or kinds == len(entries):
        problem = f"is one of {kinds} different texts in {len(entries)} rows; allowed are at most {MOST_TEXTS}"
        advice = "and some more than once: remove the column if it holds names, dates or remarks"
        raise _error(file, entries, ~missing, f"{problem}, {advice}")
    if kinds == 1:
        notes["columns of one value stay at 0"].append(entries.name)
    described = f"{entries.name} ({kinds}{', one for none' if missing.any() else ''})"
    notes["texts become a column each"].append(described)
    return list(dummies.to_numpy().T)


def _listed(names: Iterable[str], most: int = 20) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
