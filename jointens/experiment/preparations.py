"""Keep in a results folder how a table of the user's own was prepared: for new rows, and where the table is not there.

<out>/<tag>/preparation/seed=3.json   columns, categories, means and standard deviations, as seed 3 has them
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..common import CSV, InputError, read_json_object, table_path, write_atomically
from ..data import TablePreparation, prepare_table, remember_table
from .config import Experiment


def keep_preparations(folder: Path, experiment: Experiment) -> None:
    """Write the preparation for each seed that has none; only tables of the user's own have one.

    Raises:
        InputError: the table cannot be read, or has changed.
        OSError: the folder cannot be written.
    """
    if not experiment.dataset.startswith(CSV):
        return
    for path, seed in ((_path(folder, seed), seed) for seed in experiment.seeds):
        if not path.exists():
            content = json.dumps(_prepare(experiment, seed).to_dict(), allow_nan=False, separators=(",", ":"))
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, content.encode())


def read_preparation(folder: Path, experiment: Experiment, seed: int) -> TablePreparation:
    """Read the preparation of a seed; of a folder that was made before they were kept, make it from the table.

    Raises:
        InputError: the data set is no table of the user's own, the file is damaged, or there is neither file nor table.
    """
    if not experiment.dataset.startswith(CSV):
        raise InputError(f"{folder} was trained on {experiment.data_name}; rows of csv:PATH alone can be prepared")
    path = _path(folder, seed)
    if path.exists():
        return _read(path)
    try:
        return _prepare(experiment, seed)
    except InputError as error:
        raise InputError(f"{folder} lacks preparation/{path.name}, and {error}") from error


def remember(folder: Path, name: str, content: str) -> bool:
    """Let a table that is not where it was be known by what the folder keeps of it.

    Args:
        folder: of the results.
        name: of the data set, or of the learner.
        content: the fingerprint of its file.

    Returns:
        False if it is no table, or one that is there.

    Raises:
        InputError: the table is not there, and the folder was made before it kept a preparation.
    """
    if not name.startswith(CSV) or os.path.exists(table_path(name)):
        return False
    kept = (_read(path) for path in sorted(folder.glob("preparation/*.json")))
    preparation = next((preparation for preparation in kept if preparation.content == content), None)
    if preparation is None:
        what = f"{folder} was trained on {table_path(name)}, which is not there"
        raise InputError(f"{what}; the folder lacks preparation/, which would stand for it, so put the table back")
    features = sum(column.num_features for column in preparation.columns)
    size = {"num_rows": preparation.num_rows, "num_features": features}
    remember_table(name, preparation.target, **size, content=content)
    return True


def _path(folder: Path, seed: int) -> Path:
    return folder / "preparation" / f"seed={seed}.json"


def _prepare(experiment: Experiment, seed: int) -> TablePreparation:
    experiment.about_data.read()  # a table that has changed is refused
    return prepare_table(experiment.dataset, experiment.target, seed=seed, train_size=experiment.train_size)


def _read(path: Path) -> TablePreparation:
    try:
        return TablePreparation.from_dict(read_json_object(path))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged; remove it") from error
