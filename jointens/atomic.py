"""Files that are there whole or not at all, whenever the writing process is killed."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".tmp."  # stands in the name of a file that is being written, before its host and process


def write(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write bytes, or what a function writes into the file it is given, and only then take the place of `path`."""
    temporary = path.with_name(f".{path.name}{TEMPORARY}{platform.node()}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name without its content
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes of this host left half written; files of living ones stay."""
    for path in folder.rglob(f".*{TEMPORARY}{platform.node()}.*"):
        if not _is_alive(int(path.name.rpartition(".")[2])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is somebody else's
    return True
