"""Keys and values as a user writes them: read as YAML, brought into their type, and checked."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..common.errors import InputError

LARGEST = 1e30  # of any number: beyond it float32, in which everything is trained, is soon infinite


def key(default: Any, meaning: str, *, numbers: bool = True, **check: Any) -> Any:
    """A dataclass field that is a key of an experiment.

    Args:
        default: its value if none is given.
        meaning: in words, with its unit.
        numbers: a cell's numbers depend on it, so it is part of the identity.
        check: `among` known values (or any text that begins with `prefix`; `of` is what stands behind that, NAME or
            PATH), `least` (≥), `above` (>), `most` (≤); for lists they hold for each entry.
    """
    return dataclasses.field(default=default, metadata={"meaning": meaning, "numbers": numbers, "check": check})


class KeyDescription(NamedTuple):
    """A key of an experiment in words."""

    name: str
    default: str  # as in a profile
    meaning: str
    known: tuple[str, ...]  # the values that are allowed, if they are a list of names
    identity: bool  # whether a cell's numbers depend on it


def described(kind: type) -> list[KeyDescription]:
    """Every key of a dataclass of keys, as a reader is told of it."""
    told = []
    for field in dataclasses.fields(kind):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        text = yaml.safe_dump(default, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
        meaning, known = field.metadata["meaning"], _known(field.metadata["check"])
        told.append(KeyDescription(field.name, text.replace("null", "none"), meaning, known, field.metadata["numbers"]))
    return told


def _known(check: Mapping[str, Any]) -> tuple[str, ...]:
    return (*check.get("among", ()), *([f"{check['prefix']}{check.get('of', 'NAME')}"] if "prefix" in check else []))


def check_names(names: Iterable[str], known: Sequence[str], *, where: str = "") -> None:
    """Whether all names are known; raises InputError for one that is not, and says which known one is nearest.

    where: the names come from, for the message.
    """
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0)[0]
            raise InputError(f"{f'{where}: ' if where else ''}unknown key {name!r}; the nearest known one is {near!r}")


def read_yaml(text: str) -> Any:
    """YAML, with only yaml.YAMLError for what is none: its library lets errors of its constructors through."""
    try:
        return yaml.safe_load(text)
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise yaml.YAMLError(f"a value cannot be read ({error})") from error


def coerced(name: str, value: Any, hint: Any) -> Any:
    """`value` in the type of its key; texts are read as YAML, since papermill and the command line hand over texts."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kind = kinds[0]
    if type(None) in kinds and (value is None or str(value).lower() in ("none", "null", "~", "")):
        return None
    if isinstance(value, str) and kind is not str:
        with contextlib.suppress(yaml.YAMLError):  # what is no YAML stays a text, which the lines below refuse
            value = read_yaml(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if typing.get_origin(kind) is tuple:
        many = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
        if not many and int in kinds:  # a single number is not a list of one
            return _scalar(name, value, int)
        values = list(value) if many else [value]
        return tuple(_scalar(name, entry, typing.get_args(kind)[0]) for entry in values)
    return _scalar(name, value, kind)


def _scalar(name: str, value: Any, kind: type) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()  # numpy's numbers
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value)  # YAML leaves 5e-4 a text
            if abs(number) <= LARGEST:  # never true for NaN
                return number
    elif isinstance(value, kind) and not (kind is int and (isinstance(value, bool) or abs(value) > LARGEST)):
        return value
    names = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text"}
    raise InputError(f"{name} is {value!r}; allowed is {names[kind]}")


def check(name: str, value: Any, check: Mapping[str, Any]) -> None:
    for entry in value if isinstance(value, tuple) else (value,):
        if entry is None:
            continue
        named = "prefix" in check and entry.startswith(check["prefix"])
        if "among" in check and entry not in check["among"] and not named:
            raise InputError(f"{name} is {entry!r}; known are {', '.join(_known(check))}")
        if "least" in check and entry < check["least"]:
            raise InputError(f"{name} is {entry}; allowed is at least {check['least']}")
        if "above" in check and entry <= check["above"]:
            raise InputError(f"{name} is {entry}; allowed is more than {check['above']}")
        if "most" in check and entry > check["most"]:
            raise InputError(f"{name} is {entry}; allowed is at most {check['most']}")


def read_object(file: Path) -> dict[str, Any]:
    """What a JSON file of keys and values holds; raises InputError if it is none."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise InputError(f"{file} holds a {type(told).__name__}; allowed is an object of keys and values")
    return told
