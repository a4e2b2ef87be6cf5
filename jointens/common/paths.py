"""Where things are without being told: what runs write, and the data sets that are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError


def default_out() -> Path:
    """Where results go without `out`: $JOINTENS_RUNS, else runs/ of the repository, or of the working directory."""
    return _place("JOINTENS_RUNS", "runs")


def default_data_root() -> Path:
    """Where data sets are without `data_root`: $JOINTENS_DATA, else data/ beside the default of `out`."""
    return _place("JOINTENS_DATA", "data")


def published_root() -> Path:
    """Where the published results of a clone are: results/ of the repository, or of the working directory."""
    return repository() / "results"


def profiles_root() -> Path:
    """Where the shipped profiles of a clone are."""
    return repository() / "notebooks" / "profiles"


def paper_values_file() -> Path:
    """Where the paper's numbers stand that somebody has filled in."""
    return repository() / "book" / "paper_values.yml"


def expanded(path: str | os.PathLike) -> Path:
    """A path as a user writes it, with ~ for a home directory; raises InputError if there is no such home."""
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
