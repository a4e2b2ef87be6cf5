"""Make the identity of an experiment: what its numbers depend on, its hash, and the name of its results folder.

Everything here takes plain values; `Experiment.identity` says which they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common import InputError, folder_name, read_yaml, read_yaml_texts, short_name

# Raised when a change of the code changes the numbers of a cell: old results are then another experiment's.
NUMBERS = 2
# The keys that can name a table or a function of the user's own, and where the identity has its file's fingerprint.
SOURCES = {"dataset": "content", "base_learner": "learner_source"}
TEXTS = ("target", *SOURCES.values())  # free texts: what was written as YAML 1.1 leaves 12e4 without quotes


def read_identity(folder: Path) -> dict[str, Any]:
    """Read the identity in a results folder's experiment.yml.

    Raises:
        InputError: there is none, or it is damaged.
    """
    file = folder / "experiment.yml"
    try:
        text = file.read_text(encoding="utf-8")
        identity = read_yaml(text)
        if isinstance(identity, dict) and any(isinstance(identity.get(name), (int, float)) for name in TEXTS):
            written = read_yaml_texts(text)
            identity |= {name: written[name] for name in TEXTS if identity.get(name) is not None}
    except (OSError, UnicodeDecodeError, InputError):
        identity = None
    if not isinstance(identity, dict):
        raise InputError(f"{file} cannot be read; choose another tag, or remove the folder")
    identity.pop("hash", None)
    return identity


def without_place(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Make the identity that is compared: a table or function goes by its short name and fingerprint, not its place."""
    return {**identity, **{key: short_name(str(identity[key])) for key in SOURCES if key in identity}}


def hash_of(identity: Mapping[str, Any], defaults: Mapping[str, Any], *, always: tuple[str, ...]) -> str:
    """Make the eight digits that name an identity without the keys at their defaults.

    A key that is added later, with the default that it had before, therefore renames no results.

    Args:
        identity: as `Experiment.identity` gives it.
        defaults: the identity of the experiment with all keys at their defaults but those in `always`.
        always: the keys that are part of the hash whatever their values.
    """
    parts = {key: value for key, value in identity.items() if key in always or value != defaults[key]}
    return hashlib.sha256(json.dumps(without_place(parts), sort_keys=True).encode()).hexdigest()[:8]


def default_tag(dataset: str, base_learner: str, hash_: str) -> str:
    """Make the default name of a results folder, `<dataset>-<base_learner>-<hash>`."""
    return f"{folder_name(dataset)}-{folder_name(base_learner)}-{hash_}"
