"""Numbers of the paper, as far as somebody has read them off it: `book/paper_values.yml`."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from ..common.errors import InputError
from ..common.paths import paper_values_file
from ..experiment.fields import read_yaml


def paper_values(table: str, file: str | os.PathLike | None = None) -> dict[str, dict[str, float | None]]:
    """The entries of one of the paper's tables, by row and column; None where nobody has filled one in.

    Args:
        table: a key of the file, such as "table_1".
        file: another file than that of the repository.

    Raises:
        InputError: the file cannot be read, or an entry is no number.
    """
    file = Path(file) if file else paper_values_file()
    try:
        told = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'it is not YAML'}") from error
    rows = told.get(table) if isinstance(told, dict) else None
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise InputError(f"{file} holds no {table}: allowed are lines `row: {{column: number}}` below it")
    for name, row in rows.items():
        for column, value in row.items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise InputError(f"{file}, {table}, {name}: {column} is {value!r}; allowed is a number, or null")
    return rows
