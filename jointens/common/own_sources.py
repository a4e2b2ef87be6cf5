"""Name what the user brings: `csv:PATH`, a table, and `import:MODULE:FUNCTION`, a function.

An experiment's identity holds either by its short name and the fingerprint of its file, wherever that lies.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import InputError
from .own_functions import IMPORT, find_source, fingerprint_of, load_function, split_import
from .paths import expanded

CSV = "csv:"


def is_own(name: str) -> bool:
    """Return True if the name is one of a table or a function of the user's own."""
    return name.startswith((CSV, IMPORT))


def short_name(name: str) -> str:
    """Return the name to show: `houses.csv` of a table, `module.function` of a function; others stay as they are."""
    if name.startswith(CSV):
        return Path(name.removeprefix(CSV)).name
    if name.startswith(IMPORT):
        module, _, function = name.removeprefix(IMPORT).partition(":")
        return f"{module.rpartition('.')[2]}.{function}"
    return name


def folder_name(name: str) -> str:
    """Return what stands in the name of a folder: `houses` of `houses.csv`, `function` of a function."""
    if not is_own(name):
        return name
    own = Path(short_name(name)).stem if name.startswith(CSV) else name.rpartition(":")[2]
    return re.sub(r"[^\w.-]+", "-", own)[:60].strip("-.") or ("table" if name.startswith(CSV) else "function")


def absolute_name(name: str) -> str:
    """Return `csv:PATH` with the absolute path, which stays valid in another folder; others stay as they are.

    Raises:
        InputError: there is no path, or no module and function.
    """
    if name.startswith(CSV):
        return f"{CSV}{table_path(name)}"
    if name.startswith(IMPORT):
        split_import(name)
    return name


def table_path(name: str) -> Path:
    """Return the absolute path of `csv:PATH`."""
    path = name.removeprefix(CSV)
    if not path:
        raise InputError(f"dataset is {name!r}; allowed is {CSV}PATH, the path of a table")
    if not path.isprintable():
        raise InputError(f"dataset is {name!r}; allowed are printable characters")
    return Path(os.path.abspath(expanded(path)))


def check_unchanged(name: str, fingerprint: str, *, where: str) -> None:
    """Check that a table or function is still what results were trained on.

    Args:
        name: `csv:PATH` or `import:MODULE:FUNCTION`.
        fingerprint: of the file that was used.
        where: the results, for the message.

    Raises:
        InputError: it is gone, cannot be imported, or its file has changed.
    """
    if name.startswith(CSV):
        file, verb = table_path(name), "trained on"
    else:
        verb = "trained with"
        try:
            file = find_source(name)
        except InputError as error:
            raise InputError(f"{where} was trained with {error}") from error
    try:
        current = fingerprint_of(file.read_bytes())
    except OSError as error:
        raise InputError(f"{where} was {verb} {file}, which cannot be read: {error.strerror}") from error
    if current != fingerprint:
        raise InputError(f"{where} was {verb} {file}, which has changed since: {fingerprint} then, {current} now")
    if name.startswith(IMPORT):
        try:
            load_function(name)
        except InputError as error:
            raise InputError(f"{where} was trained with {error}") from error
