"""Find default folders: results of runs, data sets, published results and profiles."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError


def default_out() -> Path:
    """Return the default of `out`: $JOINTENS_RUNS, else runs/ of the repository, or of the working directory."""
    return _place("JOINTENS_RUNS", "runs")


def default_data_root() -> Path:
    """Return the default of `data_root`: $JOINTENS_DATA, else data/ of the repository, or of the working directory."""
    return _place("JOINTENS_DATA", "data")


def published_root() -> Path:
    """Return the folder of the published results of a clone: results/ of the repository."""
    return repository() / "results"


def profiles_root() -> Path:
    """Return the folder of the shipped profiles of a clone."""
    return repository() / "notebooks" / "profiles"


def paper_values_file() -> Path:
    """Return the file with numbers of the paper that somebody has filled in."""
    return repository() / "book" / "paper_values.yml"


def expanded(path: str | os.PathLike) -> Path:
    """Expand ~ in a path that a user has written; raises InputError if there is no such home directory."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path} names the home directory of a user who has none here") from error


def _place(variable: str, name: str) -> Path:
    return expanded(os.environ[variable]) if os.environ.get(variable) else repository() / name


def repository() -> Path:
    """Return the folder of the clone, or the working directory where the library is installed without one."""
    above = Path(__file__).resolve().parents[2]
    return above if (above / "pyproject.toml").exists() else Path.cwd()
