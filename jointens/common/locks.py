"""Lock files: a lock belongs to a process and ends with it, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def lock_file(path: Path) -> int:
    """Create and lock a file; the lock ends when the file that is returned is closed."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try_lock(file, wait=True)
    return file


def is_locked(path: Path) -> bool:
    """Return True if somebody has a lock on a file, and where files cannot be locked; False if there is no file."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return try_lock(file, shared=True) is not True
    finally:
        os.close(file)


def try_lock(file: int, *, shared: bool = False, wait: bool = False) -> bool | None:
    """Lock an open file.

    Args:
        file: its descriptor.
        shared: beside other shared locks.
        wait: until nobody else has it locked.

    Returns:
        False if somebody else has it locked, None where files cannot be locked.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_file_of(path: Path, file: int) -> bool:
    """Return True if a path still leads to an open file, and not to another one or none."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False
