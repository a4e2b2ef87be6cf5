"""Write files and folders completely or not at all, even if the process is killed; read files of arrays."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .errors import InputError

TEMPORARY = ".tmp."  # stands in the name of a file that is being written, before its host and process


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write bytes, or what a function writes into a file, to a temporary file, which then replaces `path`."""
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


@contextlib.contextmanager
def writing(what: str, folder: Path) -> Iterator[None]:
    """Turn an error of writing, such as a full disk, into an InputError of one line: `cannot write WHAT to FOLDER`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {what} to {folder}: {error.strerror or error}") from error


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill, which then becomes `out`; after an exception nothing of it stays.

    Args:
        out: a folder that is not there yet, or is empty.
    """
    place = out.resolve()
    folder = place.with_name(f".{place.name}{TEMPORARY}{platform.node()}.{os.getpid()}")
    try:
        folder.mkdir(parents=True)
        yield folder
        if place.exists():  # it stays the same folder: somebody may be in it
            for path in folder.iterdir():
                path.rename(place / path.name)
        else:
            folder.rename(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed processes of this host; those of running processes stay."""
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


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file by name; raises InputError for an unreadable file or other than plain arrays."""
    try:
        with np.load(file) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, TypeError, AttributeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{file} is damaged, or no .npz file of plain arrays") from error
