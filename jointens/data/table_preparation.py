"""Prepares rows of the user's own table for learners, and turns their outputs back into the table's units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..common import InputError, check_names
from .csv_table import read_table
from .scaling import Scaling
from .splits import load_data
from .table_columns import MISSING, Column

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TablePreparation:
    """What becomes of a table's rows: its columns as features, and the scaling by one seed's training part."""

    target: str
    """The column to predict."""
    columns: tuple[Column, ...]
    """The others, whose features, side by side, are the inputs."""
    scaling: Scaling
    num_rows: int
    """Of the table, with a target."""
    content: str
    """The fingerprint of the table's file."""

    def inputs(self, rows: pd.DataFrame) -> Tensor:
        """Turn N rows in the table's own units into inputs `(N, D)`, float32.

        Args:
            rows: the table's columns, in any order, with or without the target; what is missing is None or NaN.

        Raises:
            InputError: a column is missing or unknown, or an entry is no number or no text of its column.
        """
        import pandas as pd

        if not isinstance(rows, pd.DataFrame):
            raise InputError(f"rows are of type {type(rows).__name__}; allowed is a pandas DataFrame")
        names = [column.name for column in self.columns]
        check_names(rows.columns, [*names, self.target], where="rows")
        if missing := [name for name in names if name not in rows]:
            raise InputError(f"rows have no column {missing[0]!r}; needed are {', '.join(names)}")
        if repeated := rows.columns[rows.columns.duplicated()].tolist():
            raise InputError(f"rows have two columns {repeated[0]!r}; allowed are different names")
        features = [column.features("rows, row", _as_texts(rows[column.name])) for column in self.columns]
        return self.scaling.inputs(torch.from_numpy(np.concatenate(features, axis=1)))

    def values(self, outputs: Tensor) -> Tensor:
        """Turn outputs `(..., N, 1)` into values `(..., N)` in the units of the target, float64."""
        return self.scaling.values(outputs.squeeze(-1))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, from which `from_dict` makes it again."""
        scaling = {name: value.tolist() for name, value in vars(self.scaling).items()}
        columns = [column._asdict() for column in self.columns]
        about = {"target": self.target, "num_rows": self.num_rows, "content": self.content}
        return {**about, "columns": columns, "scaling": scaling}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TablePreparation:
        """Make it from plain values; raises KeyError, TypeError or ValueError if they are something else."""
        columns = (Column(column["name"], column["kind"], tuple(column["texts"])) for column in values["columns"])
        scaling = {name: torch.tensor(value, dtype=torch.float64) for name, value in values["scaling"].items()}
        return cls(values["target"], tuple(columns), Scaling(**scaling), int(values["num_rows"]), values["content"])


def prepare_table(name: str, target: str | None, *, seed: int, train_size: int | None = None) -> TablePreparation:
    """Prepare the table `csv:PATH` as `load_data` does with the same arguments.

    Raises:
        InputError: the table cannot be read, or nothing is trained on it.
    """
    table = read_table(name, target)
    scaling = load_data(name, target=target, seed=seed, train_size=train_size).scaling
    return TablePreparation(target, table.columns, scaling, len(table.targets), table.content)


def _as_texts(entries: pd.Series) -> pd.Series:
    """Write entries as they would stand in the file, NaN where one is missing."""
    import pandas as pd

    texts = [entry.strip() if isinstance(entry, str) else "" if pd.isna(entry) else str(entry) for entry in entries]
    texts = pd.Series(texts, index=entries.index, name=entries.name, dtype=object)
    return texts.mask(texts.isin(MISSING))
