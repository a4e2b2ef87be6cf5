"""What an experiment's numbers depend on, the hash that names it, and the name of its results folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..common.errors import InputError
from ..data.csv_table import CSV, data_name
from .fields import read_yaml

if TYPE_CHECKING:
    from .config import Experiment

# Raised when a change of the code changes the numbers of a cell: old results are then another experiment's.
NUMBERS = 2


def identity_of(experiment: Experiment) -> dict[str, Any]:
    """The version of the numbers, and every key they follow from; of a table also the fingerprint of its content."""
    names = [field.name for field in dataclasses.fields(experiment) if field.metadata["numbers"]]
    values = {name: getattr(experiment, name) for name in names}
    values |= {"lr_switch": experiment.switches, "factor": experiment.fall}
    if experiment.about_data.files:
        values |= {"image_size": experiment.input_shape[-1], "test_size": experiment.val_size}
    if experiment.about_data.content:
        values |= {"content": experiment.about_data.content}
    return {"numbers": NUMBERS} | {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}


def read_identity(folder: Path) -> dict[str, Any]:
    """The identity in a results folder's experiment.yml; raises InputError if there is none."""
    file = folder / "experiment.yml"
    try:
        identity = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        identity = None
    if not isinstance(identity, dict):
        raise InputError(f"{file} cannot be read; choose another tag, or remove the folder")
    identity.pop("hash", None)
    return identity


def without_place(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The identity as it is compared: a table's file is told by its name and its content, wherever it lies."""
    return {**identity, "dataset": data_name(str(identity.get("dataset")))}


def hash_of(experiment: Experiment) -> str:
    """Eight digits that name the identity without the keys at their defaults; a key added later renames no run."""
    # What other defaults follow from is always in.
    follow = {"dataset": experiment.dataset, "num_epochs": experiment.num_epochs}
    if experiment.target is not None:
        follow |= {"target": experiment.target}
    plain = type(experiment)(**follow).identity()
    always = ("numbers", "content", *follow)
    told = {key: value for key, value in experiment.identity().items() if key in always or value != plain[key]}
    return hashlib.sha256(json.dumps(without_place(told), sort_keys=True).encode()).hexdigest()[:8]


def name_of(experiment: Experiment) -> str:
    """The tag, or the default name of the results folder, `<dataset>-<base_learner>-<hash>`."""
    dataset = experiment.dataset
    if dataset.startswith(CSV):
        dataset = re.sub(r"[^\w.-]+", "-", Path(data_name(dataset)).stem)[:60].strip("-.") or "table"
    return experiment.tag or f"{dataset}-{experiment.base_learner}-{experiment.hash}"
