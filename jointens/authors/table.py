"""Reading a `results.csv` that the authors' code wrote."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from ..common import LARGEST, InputError
from ..experiment import AUTHORS_COLUMNS


def read_authors_table(file: Path, *, epochs: int, learners: int) -> list[dict[str, Any]]:
    """Read the rows of a `results.csv` that the authors' code wrote: plain numbers, and lists of them.

    Args:
        file: the table.
        epochs: of each run, the length of its lists.
        learners: of each ensemble.

    Raises:
        InputError: it is no such table, or one of its cells is not what its column holds.
    """
    shapes = {name: (epochs,) if name.startswith(("train", "val")) else () for name in AUTHORS_COLUMNS}
    shapes |= {"val_acc_ind": (epochs, learners), "test_acc_ind": (learners,)}
    words = {(): "a number, nan or inf", (epochs,): f"a list of {epochs} numbers, one for each epoch"}
    words |= {(epochs, learners): f"a list of {epochs} lists, one for each epoch, of {learners} numbers"}
    rows = []
    for number, texts in enumerate(_read_table(file), 1):
        row = {}
        for name, text in texts.items():
            allowed = words[shapes[name]] if name != "test_acc_ind" else f"a list of {learners} numbers"
            try:
                row[name] = _value(text, shapes[name])
                if name in ("beta", "run"):
                    allowed = {"beta": "a finite number", "run": "a seed, a whole number from 0"}[name]
                    if not abs(row[name]) <= LARGEST or (name == "run" and (row[name] % 1 or row[name] < 0)):
                        raise ValueError
            except (ValueError, RecursionError):
                shown = text if len(text) < 60 else f"{text[:40]} … {text[-12:]}"
                raise InputError(f"{file}, row {number}, column {name} is {shown!r}; allowed is {allowed}") from None
        rows.append(row | {"run": int(row["run"])})
    if not rows:
        raise InputError(f"{file} holds no row, so no run has finished")
    return rows


def _value(text: str, shape: tuple[int, ...]) -> Any:
    """Parse a number, or nested lists of numbers of that shape, as Python writes them; else raise ValueError.

    Under NumPy 2 its numbers are written `np.float64(0.5)`.
    """
    plain = re.sub(r"np\.float64\(([-+\w.]*)\)", r"\1", text)
    plain = re.sub(r"\binf\b", "Infinity", re.sub(r"\bnan\b", "NaN", plain))
    value = json.loads(plain, parse_int=float)
    if not has_shape(value, shape):
        raise ValueError
    return value


def has_shape(value: Any, shape: tuple[int, ...]) -> bool:
    """Return whether nested lists hold numbers, and so many of them."""
    if not shape:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, list) and len(value) == shape[0] and all(has_shape(part, shape[1:]) for part in value)


def _read_table(file: Path) -> list[dict[str, str]]:
    limit = csv.field_size_limit(2**31 - 1)  # a list over many epochs is longer than the default allows
    try:
        with open(file, newline="", encoding="utf-8") as lines:
            table = [row for row in csv.reader(lines, strict=True) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{file} is no table of comma-separated values: {error}") from error
    finally:
        csv.field_size_limit(limit)
    header, rows = (table[0], table[1:]) if table else ([], [])
    if sorted(header) != sorted(AUTHORS_COLUMNS):
        raise InputError(
            f"{file} has the columns {', '.join(header) or 'none'}; allowed are {', '.join(AUTHORS_COLUMNS)}"
        )
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(f"{file}, row {number} has {len(row)} columns; allowed are {len(header)}")
    return [dict(zip(header, row, strict=True)) for row in rows]
