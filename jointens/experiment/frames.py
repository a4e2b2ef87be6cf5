"""Records of finished cells as tables: tidy frames, and the authors' own columns.

A record is what a cell's JSON file holds (results.py). `Results` has these frames as methods, whose docstrings say what
the columns mean. A record of the authors' code, converted, has no training metrics and no test metrics at the last
epoch: frames then lack those rows and columns.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.errors import InputError
from ..losses.decomposition import Decomposition
from .fields import LARGEST

if TYPE_CHECKING:
    import pandas as pd

Record = Mapping[str, Any]
AUTHORS_COLUMNS = (
    "beta", "run", "train_loss", "val_loss", "val_div", "val_ind_loss", "val_ens_loss", "val_acc_ens", "val_acc_ind",
    "test_loss", "test_div", "test_ind_loss", "test_ens_loss", "test_acc_ens", "test_acc_ind",
)  # fmt: skip


def tests(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each cell and checkpoint, as `Results.tests` says."""
    import pandas as pd

    rows = []
    for cell in records:
        epochs = {"best": cell["best_epoch"], "last": len(cell["history"]["learning_rate"])}
        course = metrics_of(cell["history"]["train"]) if "train" in cell["history"] else {}
        for checkpoint, epoch in epochs.items():
            if cell["test"].get(checkpoint) is None:
                continue
            logged = [loss for loss in Decomposition._fields if loss in course]
            seen = {f"train_{loss}": course[loss][epoch - 1] if epoch else math.nan for loss in logged}
            row = {"beta": cell["beta"], "seed": cell["seed"], "checkpoint": checkpoint, "epoch": epoch}
            rows.append(row | metrics_of(cell["test"][checkpoint]) | seen)
    return pd.DataFrame(rows)


def history(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each cell, epoch and split, as `Results.history` says."""
    import pandas as pd

    parts = []
    for cell in records:
        for split in _splits(cell):
            of = metrics_of(cell["history"][split])
            epochs = range(1, len(of["ensemble"]) + 1)
            steps = {"step": cell["history"]["step"]} if "step" in cell["history"] else {}
            named = {"beta": cell["beta"], "seed": cell["seed"], "split": split, "epoch": epochs}
            parts.append(pd.DataFrame(named | steps | of))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def learner_history(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each cell, epoch, split and learner, as `Results.learner_history` says."""
    import pandas as pd

    rows = [
        {"beta": cell["beta"], "seed": cell["seed"], "split": split, "epoch": epoch}
        | ({"step": cell["history"]["step"][epoch - 1]} if "step" in cell["history"] else {})
        | {"learner": i, "accuracy": value}
        for cell in records
        for split in _splits(cell)
        for epoch, learners in enumerate(cell["history"][split].get("learner_accuracy", []), 1)
        for i, value in enumerate(learners)
    ]
    return pd.DataFrame(rows)


def authors_table(records: Sequence[Record]) -> pd.DataFrame:
    """The authors' `results.csv`: a row for each cell, test metrics at the best epoch.

    Columns of validation and `train_loss` hold lists, an entry for each epoch; `acc_ind` lists the learners.
    """
    import pandas as pd

    return pd.DataFrame([_authors_row(cell) for cell in records], columns=AUTHORS_COLUMNS)


def _authors_row(cell: Record) -> dict[str, Any]:
    def columns(stored: Record, prefix: str) -> dict[str, Any]:
        of, names = metrics_of(stored), {"div": "diversity", "ind_loss": "individual", "ens_loss": "ensemble"}
        row = {f"{prefix}_{short}": of[name] for short, name in names.items()}
        row[f"{prefix}_loss"] = of["individual"] - cell["beta"] * of["diversity"]
        if "accuracy" in stored:
            row |= {f"{prefix}_acc_ens": of["accuracy"], f"{prefix}_acc_ind": stored["learner_accuracy"]}
        return {name: np.asarray(value, dtype=float).tolist() for name, value in row.items()}

    best = cell["test"]["best"]
    return {
        "beta": cell["beta"],
        "run": cell["seed"],
        "train_loss": finite(cell["history"].get("objective", [])),  # the authors' ImageNet code logs it by epoch
        **columns(cell["history"]["val"], "val"),
        **(columns(best, "test") if best else {}),
    }


def read_authors_table(file: Path, *, epochs: int, learners: int) -> list[dict[str, Any]]:
    """The rows of a `results.csv` that the authors' code wrote: plain numbers, and lists of them.

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
                told = text if len(text) < 60 else f"{text[:40]} … {text[-12:]}"
                raise InputError(f"{file}, row {number}, column {name} is {told!r}; allowed is {allowed}") from None
        rows.append(row | {"run": int(row["run"])})
    if not rows:
        raise InputError(f"{file} holds no row, so no run has finished")
    return rows


def _value(text: str, shape: tuple[int, ...]) -> Any:
    """A number, or nested lists of numbers of that shape, as Python writes them; raises ValueError for anything else.

    Under NumPy 2 its numbers are written `np.float64(0.5)`.
    """
    plain = re.sub(r"np\.float64\(([-+\w.]*)\)", r"\1", text)
    plain = re.sub(r"\binf\b", "Infinity", re.sub(r"\bnan\b", "NaN", plain))
    value = json.loads(plain, parse_int=float)
    if not has_shape(value, shape):
        raise ValueError
    return value


def has_shape(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether nested lists hold numbers, and so many of them."""
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
        told = ", ".join(header) or "none"
        raise InputError(f"{file} has the columns {told}; allowed are {', '.join(AUTHORS_COLUMNS)}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(f"{file}, row {number} has {len(row)} columns; allowed are {len(header)}")
    return [dict(zip(header, row, strict=True)) for row in rows]


def finite(values: Sequence) -> list:
    """Nested lists of a record as numbers: null, what was not finite, becomes NaN."""
    return np.asarray(values, dtype=float).tolist()


def _splits(cell: Record) -> list[str]:
    return [split for split in ("train", "val", "test") if split in cell["history"]]


def metrics_of(stored: Record) -> dict[str, Any]:
    """A cell's stored metrics as the columns of a frame; null, a loss that was not finite, becomes NaN.

    Of a test they are numbers, of a history arrays.
    """
    metrics = {name: np.array(stored[name], dtype=float) for name in Decomposition._fields}
    if "accuracy" in stored:
        metrics["accuracy"] = np.array(stored["accuracy"], dtype=float)
        metrics["individual_accuracy"] = np.array(stored["learner_accuracy"], dtype=float).mean(-1)
    if "top5_accuracy" in stored:
        metrics["top5_accuracy"] = np.array(stored["top5_accuracy"], dtype=float)
    return {name: value if value.ndim else float(value) for name, value in metrics.items()}
