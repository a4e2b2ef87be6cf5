"""Make an experiment from its keys: check them together, derive what follows from them, and name it by a hash.

A profile (`notebooks/profiles/*.yml`), a notebook's parameters and `key=value` on the command line all end here. The
keys themselves are declared in keys.py.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from ..common import InputError, check_names, read_yaml_file, short_name
from ..data import Dataset, Request, known_dataset
from ..models import Learner, check_learner, known_learner
from ..training import switches_of
from .identity import NUMBERS, SOURCES, default_tag, hash_of
from .keys import KEYS, Keys
from .parameters import check_parameters
from .record import Cell, Metrics
from .values import errors_in_one_line

METRICS = tuple(field.name for field in dataclasses.fields(Metrics))  # "diversity" is nearly "diversity_cap"


@errors_in_one_line
@dataclass(frozen=True, kw_only=True, config=KEYS)
class Experiment(Keys):
    """A grid of β × seed over one setting. Keys and their values keep the spelling of the authors' configurations.

    The defaults train on all digits with clean labels; the quick settings of the chapters are profiles. Texts are read
    as YAML 1.2: `5e-4` is a number, `010` is ten.

    Raises:
        InputError: a key or value that is not allowed; the message says what is.
    """

    @model_validator(mode="after")
    def _check_together(self) -> Experiment:
        """Check that the keys fit each other and the data set, after each was checked on its own."""
        sizes = (self.train_size, self.val_size, self.test_size)
        Request(self.dataset, *sizes, self.label_noise, self.target)
        dataset, name = self.about_data, self.data_name
        if self.image_size and not dataset.files:
            what = "images" if len(dataset.input_shape) == 3 else "inputs"
            raise InputError(f"image_size is {self.image_size}; {name} has {what} of one size and allows none")
        if self.augmentation not in dataset.augmentations:
            allowed = " and ".join(dataset.augmentations)
            raise InputError(f"augmentation is {self.augmentation}; {name} allows {allowed}")
        if self.measure_test and dataset.files:
            raise InputError(f"measure_test is true; the test part of {name} is the validation part: use false")
        shape, outputs = self.input_shape, dataset.num_outputs
        scale = {"width": self.width, "stem_stride": self.stem_stride}
        check_learner(self.base_learner, shape, outputs, **scale, data_name=name)
        if self.stack is False and self.about_learner.shared:
            raise InputError(f"stack is false; learners of {self.base_learner} share weights and are always stacked")
        if self.loss not in (None, dataset.loss):
            raise InputError(f"loss is {self.loss}; {name} allows {dataset.loss}")
        if self.validate_every and self.validate_every > self.steps_per_epoch:
            raise InputError(f"validate_every is {self.validate_every}; an epoch has only {self.steps_per_epoch} steps")
        if self.kept_learners and self.kept_learners > self.num_learners:
            raise InputError(f"kept_learners is {self.kept_learners}; allowed is 1..{self.num_learners}, num_learners")
        if self.warm_start >= self.num_epochs:
            raise InputError(f"warm_start is {self.warm_start}; allowed is less than num_epochs, {self.num_epochs}")
        for key in self.names():
            if key.startswith("slurm_") and getattr(self, key) is not None and self.launcher != "slurm":
                raise InputError(f"{key} is {getattr(self, key)}; it needs launcher=slurm")
        object.__setattr__(self, "loss", dataset.loss)
        return self

    # ---- where experiments come from

    @classmethod
    def from_dict(cls, keys: Mapping[str, Any], *, where: str = "") -> Experiment:
        """Make an experiment from keys and values.

        Args:
            keys: values by key.
            where: what they come from; stands in the message about an unknown key.
        """
        check_names(keys, cls.names(), where=where)
        return cls(**keys)

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any]) -> Experiment:
        """Make an experiment from a notebook's variables that are keys: `Experiment.from_namespace(globals())`.

        A plain variable whose name is nearly a key's is refused, others are left alone, and so are those that are named
        as a metric is. Of what papermill hands over,
        everything is refused that is neither a key nor a parameter of the notebook.
        """
        check_parameters(namespace, cls.names())
        plain = (int, float, str, list, tuple, dict, type(None))
        for name, value in namespace.items():
            if name in (*cls.names(), *METRICS) or name.startswith("_") or not isinstance(value, plain):
                continue
            if near := difflib.get_close_matches(name, cls.names(), n=1, cutoff=0.75):
                raise InputError(f"unknown key {name!r}; the nearest known one is {near[0]!r}")
        return cls(**{name: namespace[name] for name in cls.names() if name in namespace})

    @classmethod
    def from_profile(cls, path: str | Path, /, **overrides: Any) -> Experiment:
        """Make an experiment from a profile, a YAML file of keys and values.

        Args:
            path: the profile.
            overrides: keys and values that win over the file's.
        """
        profile = read_yaml_file(Path(path), what="the profile")
        profile = {} if profile is None else profile
        if not isinstance(profile, dict):
            raise InputError(f"{path} holds a {type(profile).__name__}; allowed are lines `key: value`")
        check_names(profile, cls.names(), where=str(path))
        return cls.from_dict({**profile, **overrides})

    # ---- what follows from it

    @property
    def about_data(self) -> Dataset:
        """The data set before it is read; raises InputError if it is the user's own and has changed since."""
        about = known_dataset(self.dataset, self.target)
        self._check_source("dataset", about.content)
        return about

    @property
    def about_learner(self) -> Learner:
        """The base learner before it is built; raises InputError if it is the user's own and has changed since."""
        about = known_learner(self.base_learner)
        self._check_source("base_learner", about.source)
        return about

    def _check_source(self, key: str, fingerprint: str | None) -> None:
        if fingerprint != self.__dict__.setdefault(f"_{SOURCES[key]}", fingerprint):
            name = short_name(getattr(self, key))
            raise InputError(f"{name} has changed since this experiment was made; make it anew")

    @property
    def data_name(self) -> str:
        """The data set's name as it is shown; for a table its file's name, for a function `module.function`."""
        return short_name(self.dataset)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch."""
        dataset = self.about_data
        if not dataset.files:
            return dataset.input_shape
        channels, usual, _ = dataset.input_shape
        own = None if dataset.quick else self.about_learner.image_size
        return channels, *2 * (self.image_size or own or usual,)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The examples for training, validation and test."""
        parts = self.about_data.sizes
        requested = (self.train_size, self.val_size, self.val_size if self.about_data.files else self.test_size)
        train, val, test = (size or part for size, part in zip(requested, parts, strict=True))
        return train, val, test

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.sizes[0] / self.batch_size)

    @property
    def num_validations(self) -> int:
        """How many there are if training does not stop early."""
        return self.num_epochs * (self.steps_per_epoch // (self.validate_every or self.steps_per_epoch))

    @property
    def cells(self) -> list[Cell]:
        """The grid, seed by seed, so that runs that share their data stand together."""
        return [Cell(beta, seed) for seed in self.seeds for beta in self.beta_vals]

    @property
    def switches(self) -> tuple[int, ...] | int:
        """The validations after which the rate falls, or what the counter of those without a new best is divided by."""
        return switches_of(self.lr_switch, self.scheduler, self.num_validations)

    @property
    def fall(self) -> float | None:
        """What Linear takes off at each switch, as a share of the first rate; None for other schedules."""
        return (self.factor or 1 / (len(self.switches) + 1)) if self.scheduler == "Linear" else None

    def identity(self) -> dict[str, Any]:
        """Collect what a cell's numbers depend on: the version of the numbers, and every key they follow from.

        The fingerprint of a table, or of the source of a function, of the user's own is part of it.
        """
        values = {name: getattr(self, name) for name in self.identity_keys()}
        values |= {"lr_switch": self.switches, "factor": self.fall}
        if self.about_data.files:
            values |= {"image_size": self.input_shape[-1], "test_size": self.val_size}
        sources = {"dataset": self.about_data.content, "base_learner": self.about_learner.source}
        values |= {SOURCES[key]: fingerprint for key, fingerprint in sources.items() if fingerprint}
        return {"numbers": NUMBERS} | {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}

    @functools.cached_property  # every cell that is read asks for it
    def hash(self) -> str:
        """Eight digits that name the identity without the keys at their defaults; a key added later renames no run."""
        # Other defaults follow from these, which are always part of the hash.
        always = {"dataset": self.dataset, "num_epochs": self.num_epochs}
        if self.target is not None:
            always |= {"target": self.target}
        defaults = Experiment(**always).identity()
        return hash_of(self.identity(), defaults, always=("numbers", *SOURCES.values(), *always))

    @property
    def name(self) -> str:
        """The name of the results folder, which is the tag or `<dataset>-<base_learner>-<hash>`."""
        return self.tag or default_tag(self.dataset, self.base_learner, self.hash)
