"""One experiment: every knob with its default, its unit and its check, and the hash that names it.

A profile (`notebooks/profiles/*.yml`), a notebook's parameters and `key=value` on the command line all end here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import json
import os
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .data import DATASETS, check_request
from .decomposition import AVERAGES, LOSSES
from .errors import InputError
from .learners import LEARNERS

# Raised when a change of the code changes the numbers of a cell: old results are then another experiment's.
NUMBERS = 2
LARGEST = 1e30  # of any number: beyond it float32, in which everything is trained, is soon infinite
OPTIMISERS = ("SGD", "Adam")
SCHEDULERS = ("ExponentialLR", "none")


class Cell(NamedTuple):
    """One training run of the grid."""

    beta: float
    seed: int

    def __str__(self) -> str:
        return f"beta={self.beta:.12g},seed={self.seed}"


class KeyDescription(NamedTuple):
    """A key of an experiment in words."""

    name: str
    default: str  # as in a profile
    meaning: str
    known: tuple[str, ...]  # the values that are allowed, if they are a list of names
    identity: bool  # whether a cell's numbers depend on it


def canonical_beta(beta: float) -> float:
    """β as its cell's file names it: twelve digits are all of it, and −0 is 0."""
    return float(f"{beta:.12g}") + 0.0


def _key(default: Any, meaning: str, *, numbers: bool = True, **check: Any) -> Any:
    """A key of the experiment. `numbers`: a cell's numbers depend on it, so it is part of the identity.

    check: `among` known values, `least` (≥), `above` (>), `most` (≤); for lists they hold for each entry.
    """
    return dataclasses.field(default=default, metadata={"meaning": meaning, "numbers": numbers, "check": check})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A grid of β × seed over one setting. Keys and their values keep the spelling of the authors' configurations.

    The defaults train on all digits with clean labels; the quick settings of the chapters are profiles. Texts are read
    as YAML reads them, and `5e-4` is a number.

    Raises:
        InputError: a key or value that is not allowed; the message says what is.
    """

    # ---- the data
    dataset: str = _key("digits", "data set", among=tuple(DATASETS))
    train_size: int | None = _key(None, "training examples; none: all of the training part", least=1)
    label_noise: float = _key(0.0, "share of training and validation labels drawn anew", least=0, most=1)

    # ---- the ensemble
    base_learner: str = _key("MLP", "architecture of every learner", among=tuple(LEARNERS))
    hidden: tuple[int, ...] = _key((64, 64), "widths of an MLP's hidden layers", least=1, most=100_000)
    num_learners: int = _key(5, "base learners in the ensemble, M", least=1, most=10_000)
    average: str = _key("scores", "what the ensemble averages", among=AVERAGES)
    loss: str | None = _key(None, "loss of learners and ensemble; none: the data set's", among=LOSSES)

    # ---- the grid
    beta_vals: tuple[float, ...] = _key((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), "β: 0 independent, 1 joint", numbers=False)
    seeds: tuple[int, ...] = _key(tuple(range(10)), "one paired run of every β for each seed", numbers=False, least=0)

    # ---- training
    optimiser: str = _key("SGD", "optimiser", among=OPTIMISERS)
    learning_rate: float = _key(0.1, "learning rate at the start", above=0)
    momentum: float = _key(0.9, "momentum of SGD", least=0, most=1)
    weight_decay: float = _key(0.0, "L2 penalty added to the gradient", least=0)
    rate_per_learner: bool = _key(
        False, "train M × the loss: each learner then has the rate and decay of a solo run, whatever M"
    )
    scheduler: str = _key(
        "ExponentialLR",
        "schedule of the learning rate; ExponentialLR is the authors' name for steps at lr_switch",
        among=SCHEDULERS,
    )
    gamma: float = _key(0.2, "factor of ExponentialLR at each switch", above=0, most=1)
    lr_switch: tuple[int, ...] | None = _key(
        None, "epochs after which the rate is multiplied by gamma; none: 40, 65, 90 % of num_epochs", least=1
    )
    batch_size: int = _key(64, "examples per step; a smaller last batch is kept", least=1, most=10**9)
    num_epochs: int = _key(60, "passes over the training part", least=1, most=10**9)

    # ---- where and how it runs: no part of the identity
    device: str = _key("auto", "auto (cuda if there is one), cpu, cuda or cuda:N", numbers=False)
    stack: bool | None = _key(None, "many runs as one tensor program; none: if that is faster", numbers=False)
    out: str | None = _key(None, "folder of all results; none: runs/ of the repository", numbers=False)
    tag: str | None = _key(None, "name of the results folder; none: made from the identity", numbers=False)
    store_outputs: bool = _key(True, "keep the learners' test and validation outputs", numbers=False)
    save_weights: bool = _key(True, "keep the weights of the best checkpoint", numbers=False)

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = _coerced(field.name, getattr(self, field.name), hints[field.name])
            _check(field.name, value, field.metadata["check"])
            object.__setattr__(self, field.name, value)
        object.__setattr__(self, "beta_vals", tuple(map(canonical_beta, self.beta_vals)))
        for name in ("beta_vals", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise InputError(f"{name} is {list(values)}; allowed are one or more values, no two the same")
        if self.tag is not None and (set(self.tag) & set("/\\") or self.tag in (".", "..") or len(self.tag) > 100):
            raise InputError(f"tag is {self.tag!r}; allowed is a folder's name without a path separator")
        if not f"{self.tag}{self.out}".isprintable():
            raise InputError(f"tag is {self.tag!r}, out is {self.out!r}; allowed are printable characters")
        check_request(self.dataset, train_size=self.train_size, label_noise=self.label_noise)
        natural = DATASETS[self.dataset].loss
        if self.loss not in (None, natural):
            raise InputError(f"loss is {self.loss}; {self.dataset} allows {natural}")
        object.__setattr__(self, "loss", natural)

    # ---- where experiments come from

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def described(cls) -> list[KeyDescription]:
        """Every key, as a reader is told of it."""
        told = []
        for field in dataclasses.fields(cls):
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            text = yaml.safe_dump(default, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
            meaning, known = field.metadata["meaning"], field.metadata["check"].get("among", ())
            told.append(
                KeyDescription(field.name, text.replace("null", "none"), meaning, known, field.metadata["numbers"])
            )
        return told

    @classmethod
    def from_dict(cls, keys: Mapping[str, Any], *, where: str = "") -> Experiment:
        """An experiment from keys and values; `where` they come from stands in the message about an unknown one."""
        cls._check_names(keys, where)
        return cls(**keys)

    @classmethod
    def _check_names(cls, keys: Mapping[str, Any], where: str) -> None:
        for name in keys:
            if name not in cls.names():
                near = difflib.get_close_matches(str(name), cls.names(), n=1, cutoff=0)[0]
                place = f"{where}: " if where else ""
                raise InputError(f"{place}unknown key {name!r}; the nearest known one is {near!r}")

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any]) -> Experiment:
        """An experiment from those of a notebook's variables that are keys: `Experiment.from_namespace(globals())`.

        papermill hands misspelt parameters over as it finds them; so a plain variable whose name is nearly a key's is
        refused, others are left alone.
        """
        plain = (int, float, str, list, tuple, dict, type(None))
        for name, value in namespace.items():
            if name in cls.names() or name.startswith("_") or not isinstance(value, plain):
                continue
            if near := difflib.get_close_matches(name, cls.names(), n=1, cutoff=0.75):
                raise InputError(f"unknown key {name!r}; the nearest known one is {near[0]!r}")
        return cls(**{name: namespace[name] for name in cls.names() if name in namespace})

    @classmethod
    def from_profile(cls, path: str | Path, /, **overrides: Any) -> Experiment:
        """An experiment from a profile, a YAML file of keys and values; `overrides` win over the file."""
        try:
            profile = read_yaml(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise InputError(f"cannot read the profile {path}: {reason}") from error
        except yaml.YAMLError as error:
            raise InputError(f"{path} is not YAML: {error}") from error
        profile = {} if profile is None else profile
        if not isinstance(profile, dict):
            raise InputError(f"{path} holds a {type(profile).__name__}; allowed are lines `key: value`")
        cls._check_names(profile, str(path))
        return cls.from_dict({**profile, **overrides})

    # ---- who an experiment is

    @property
    def cells(self) -> list[Cell]:
        """The grid, seed by seed, so that runs that share their data stand together."""
        return [Cell(beta, seed) for seed in self.seeds for beta in self.beta_vals]

    @property
    def switches(self) -> tuple[int, ...]:
        """The epochs after which the rate falls, `lr_switch` or its default for this number of epochs."""
        if self.lr_switch is not None:
            return self.lr_switch
        return tuple(max(1, round(share * self.num_epochs)) for share in (0.4, 0.65, 0.9))

    def identity(self) -> dict[str, Any]:
        """What a cell's numbers depend on: the version of the numbers, and every key they follow from."""
        names = [field.name for field in dataclasses.fields(self) if field.metadata["numbers"]]
        values = {name: getattr(self, name) for name in names} | {"lr_switch": self.switches}
        return {"numbers": NUMBERS} | {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}

    @functools.cached_property  # every cell that is read asks for it
    def hash(self) -> str:
        """Eight digits that name the identity without the keys at their defaults; a key added later renames no run."""
        follow = ("numbers", "dataset", "num_epochs")  # what other defaults follow from is always in
        plain = Experiment(dataset=self.dataset, num_epochs=self.num_epochs).identity()
        told = {key: value for key, value in self.identity().items() if key in follow or value != plain[key]}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """The name of the results folder, the tag or `<dataset>-<base_learner>-<hash>`."""
        return self.tag or f"{self.dataset}-{self.base_learner}-{self.hash}"


def read_yaml(text: str) -> Any:
    """YAML, with only yaml.YAMLError for what is none: its library lets errors of its constructors through."""
    try:
        return yaml.safe_load(text)
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise yaml.YAMLError(f"a value cannot be read ({error})") from error


def _coerced(name: str, value: Any, hint: Any) -> Any:
    """`value` in the type of its key; texts are read as YAML, since papermill and the command line hand over texts."""
    optional = type(None) in typing.get_args(hint)
    kind = typing.get_args(hint)[0] if optional else hint
    if optional and (value is None or (isinstance(value, str) and value.lower() in ("none", "null", "~", ""))):
        return None
    if isinstance(value, str) and kind is not str:
        with contextlib.suppress(yaml.YAMLError):  # what is no YAML stays a text, which the lines below refuse
            value = read_yaml(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if typing.get_origin(kind) is tuple:
        many = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
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


def _check(name: str, value: Any, check: Mapping[str, Any]) -> None:
    for entry in value if isinstance(value, tuple) else (value,):
        if entry is None:
            continue
        if "among" in check and entry not in check["among"]:
            raise InputError(f"{name} is {entry!r}; known are {', '.join(check['among'])}")
        if "least" in check and entry < check["least"]:
            raise InputError(f"{name} is {entry}; allowed is at least {check['least']}")
        if "above" in check and entry <= check["above"]:
            raise InputError(f"{name} is {entry}; allowed is more than {check['above']}")
        if "most" in check and entry > check["most"]:
            raise InputError(f"{name} is {entry}; allowed is at most {check['most']}")
