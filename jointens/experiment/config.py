"""One experiment: every knob with its default, its unit and its check, and the hash that names it.

A profile (`notebooks/profiles/*.yml`), a notebook's parameters and `key=value` on the command line all end here.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from ..common.device import PRECISIONS, WAYS
from ..common.errors import InputError
from ..data.csv_table import CSV, data_name, whole_name
from ..data.registry import DATASETS, Dataset, known_dataset
from ..data.splits import Data, load_data
from ..losses.decomposition import AVERAGES, LOSSES
from ..models.imagenet import TIMM
from ..models.learners import LEARNERS, known_learner, make_learner
from ..reports.scales import scale_of
from ..training.schedule import switches
from .consistency import check_together
from .fields import KeyDescription, check, check_names, coerced, described, key, read_yaml
from .identity import hash_of, identity_of, name_of
from .record import Cell, canonical_beta

OPTIMISERS = ("SGD", "Adam", "RMSprop")
SCHEDULERS = ("ExponentialLR", "Linear", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A grid of β × seed over one setting. Keys and their values keep the spelling of the authors' configurations.

    The defaults train on all digits with clean labels; the quick settings of the chapters are profiles. Texts are read
    as YAML reads them, and `5e-4` is a number.

    Raises:
        InputError: a key or value that is not allowed; the message says what is.
    """

    # ---- the data
    dataset: str = key("digits", "data set, or a table of your own", among=tuple(DATASETS), prefix=CSV, of="PATH")
    target: str | None = key(None, "column to predict, of csv:PATH")
    train_size: int | None = key(None, "training examples; none: all of the training part", least=1)
    val_size: int | None = key(None, "validation examples; none: all", least=1)
    test_size: int | None = key(None, "test examples; none: all", least=1)
    label_noise: float = key(0.0, "share of training and validation labels drawn anew", least=0, most=1)
    image_size: int | None = key(
        None, "height and width of images that stay in files, in pixels; none: 64 of toy-imagenet, of ImageNet 224, or "
        "256 for MobileViT_IN", least=1, most=4096,
    )  # fmt: skip
    measured_size: int | None = key(
        None, "training examples whose losses are measured as those of validation; none: as many as it has", least=0
    )

    measure_test: bool = key(
        False, "measure test data at each validation, too, and not only at the best and the last: for the course of "
        "training, which it has no part in"
    )  # fmt: skip

    # ---- the ensemble
    base_learner: str = key("MLP", "architecture of every learner", among=tuple(LEARNERS), prefix=TIMM)
    hidden: tuple[int, ...] = key((64, 64), "widths of an MLP's hidden layers", least=1, most=100_000)
    width: int = key(1, "factor of all widths, of hidden layers and convolutions", least=1, most=100)
    num_learners: int = key(5, "base learners in the ensemble, M", least=1, most=10_000)
    average: str = key("scores", "what the ensemble averages", among=AVERAGES)
    loss: str | None = key(None, "loss of learners and ensemble; none: the data set's", among=LOSSES)

    # ---- the grid
    beta_vals: tuple[float, ...] = key((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), "β: 0 independent, 1 joint", numbers=False)
    seeds: tuple[int, ...] = key(tuple(range(10)), "one paired run of every β for each seed", numbers=False, least=0)

    # ---- training
    optimiser: str = key("SGD", "optimiser", among=OPTIMISERS)
    learning_rate: float = key(0.1, "learning rate at the start", above=0)
    momentum: float = key(0.9, "momentum of SGD and RMSprop", least=0, most=1)
    weight_decay: float = key(0.0, "L2 penalty added to the gradient", least=0)
    rate_per_learner: bool = key(
        False, "train M × the loss: each learner then has the rate and decay of a solo run, whatever M"
    )
    scheduler: str = key(
        "ExponentialLR",
        "how the learning rate falls at each switch: ExponentialLR, the authors' name, multiplies it by gamma; "
        "Linear takes off the share factor of the first rate",
        among=SCHEDULERS,
    )
    gamma: float = key(0.2, "factor of ExponentialLR at each switch", above=0, most=1)
    factor: float | None = key(
        None, "share of Linear at each switch; none: 1 / (switches + 1), so that one switch more would end at zero",
        above=0, most=1,
    )  # fmt: skip
    lr_switch: tuple[int, ...] | int | None = key(
        None, "validations after which the rate falls; a single number, not a list: whenever a counter that is 1 at a "
        "new best is a multiple of it; none: 40, 65, 90 % of all, for Linear every one", least=1,
    )  # fmt: skip
    max_patience: int | None = key(
        None, "validations in a row without a new best after which training stops; none: it never stops early", least=1
    )
    validate_every: int | None = key(
        None, "steps from validation to validation, counted anew in each epoch; none: after each epoch", least=1
    )
    batch_size: int = key(64, "examples per step; a smaller last batch is kept", least=1, most=10**9)
    num_epochs: int = key(60, "passes over the training part", least=1, most=10**9)
    precision: str = key(
        "float32", "of products and convolutions; losses, weights and optimiser are always float32", among=PRECISIONS
    )

    # ---- where and how it runs: no part of the identity
    data_root: str | None = key(
        None, "folder of CIFAR, SVHN, ImageNet or the regression sets' tabular/; none: $JOINTENS_DATA or data/ of the "
        "repository", numbers=False,
    )  # fmt: skip
    download: bool = key(False, "fetch what is missing of CIFAR, SVHN or a regression set", numbers=False)
    device: str = key("auto", "auto (cuda if there is one), cpu, cuda or cuda:N", numbers=False)
    stack: bool | None = key(None, "many runs as one tensor program; none: if that is faster", numbers=False)
    execution: str | None = key(
        None, "how a training step is run; none: graph on a GPU, eager on a CPU", numbers=False, among=tuple(WAYS)
    )
    workers: int | None = key(
        None, "processes that read images from files; none: one for each core, at most 16, with a GPU, else 0: none",
        numbers=False, least=0, most=1000,
    )  # fmt: skip
    decode: str = key(
        "cpu", "where JPEG files are decoded and cropped: cpu (by workers) or gpu", numbers=False, among=("cpu", "gpu")
    )
    skip_damaged: bool = key(
        False, "go on without images that cannot be read; otherwise the first one ends the run", numbers=False
    )
    checkpoint_seconds: float | None = key(
        None, "training goes on from checkpoints, written at validations so many seconds or more after the last one; "
        "none: 0 for images in files, else 60", numbers=False, least=0,
    )  # fmt: skip
    out: str | None = key(None, "folder of all results; none: runs/ of the repository", numbers=False)
    tag: str | None = key(None, "name of the results folder; none: made from the identity", numbers=False)
    store_outputs: bool = key(True, "keep the learners' test and validation outputs", numbers=False)
    save_weights: bool = key(True, "keep the weights of the best checkpoint", numbers=False)

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = coerced(field.name, getattr(self, field.name), hints[field.name])
            check(field.name, value, field.metadata["check"])
            object.__setattr__(self, field.name, value)
        object.__setattr__(self, "beta_vals", tuple(map(canonical_beta, self.beta_vals)))
        object.__setattr__(self, "dataset", whole_name(self.dataset))
        check_together(self)
        object.__setattr__(self, "loss", self.about_data.loss)

    # ---- where experiments come from

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def described(cls) -> list[KeyDescription]:
        """Every key, as a reader is told of it."""
        return described(cls)

    @classmethod
    def from_dict(cls, keys: Mapping[str, Any], *, where: str = "") -> Experiment:
        """An experiment from keys and values; `where` they come from stands in the message about an unknown one."""
        check_names(keys, cls.names(), where=where)
        return cls(**keys)

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
        check_names(profile, cls.names(), where=str(path))
        return cls.from_dict({**profile, **overrides})

    # ---- what follows from it

    @property
    def about_data(self) -> Dataset:
        """What is known of the data set; raises InputError if it is a table that has changed since."""
        about = known_dataset(self.dataset, self.target)
        if about.content != self.__dict__.setdefault("_content", about.content):
            raise InputError(f"{self.data_name} has changed since this experiment was made; make it anew")
        return about

    @property
    def data_name(self) -> str:
        """The data set's name as it is shown, of a table the name of its file."""
        return data_name(self.dataset)

    @property
    def scale(self) -> str:
        """One of `SCALES`, which says how near it is to the paper's."""
        return scale_of(self)

    def load_data(self, seed: int) -> Data:
        """The data as one seed sees them, on the CPU; raises InputError if they are missing or damaged."""
        names = ("target", "train_size", "val_size", "test_size", "label_noise", "data_root", "download")
        return load_data(self.dataset, seed=seed, **{name: getattr(self, name) for name in names})

    @property
    def num_parameters(self) -> int:
        """The weights of all learners together."""
        with torch.device("meta"):
            return self.num_learners * sum(value.numel() for value in self.make_learner().parameters())

    def make_learner(self) -> nn.Module:
        """A base learner with fresh weights from torch's global generator."""
        options = {name: getattr(self, name) for name in known_learner(self.base_learner).options}
        return make_learner(self.base_learner, self.input_shape, self.about_data.num_outputs, **options)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch."""
        dataset = self.about_data
        if not dataset.files:
            return dataset.input_shape
        channels, usual, _ = dataset.input_shape
        own = None if dataset.quick else known_learner(self.base_learner).image_size
        return channels, *2 * (self.image_size or own or usual,)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The examples for training, validation and test."""
        whole, wanted = self.about_data.sizes, (self.train_size, self.val_size, self.test_size)
        if self.about_data.files:
            wanted = (self.train_size, self.val_size, self.val_size)
        train, val, test = (size or of for size, of in zip(wanted, whole, strict=True))
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
        return switches(self.lr_switch, self.scheduler, self.num_validations)

    @property
    def fall(self) -> float | None:
        """What Linear takes off at each switch, as a share of the first rate; None for other schedules."""
        return (self.factor or 1 / (len(self.switches) + 1)) if self.scheduler == "Linear" else None

    def identity(self) -> dict[str, Any]:
        """What a cell's numbers depend on: the version of the numbers, and every key they follow from."""
        return identity_of(self)

    @functools.cached_property  # every cell that is read asks for it
    def hash(self) -> str:
        """Eight digits that name the identity without the keys at their defaults; a key added later renames no run."""
        return hash_of(self)

    @property
    def name(self) -> str:
        """The name of the results folder, the tag or `<dataset>-<base_learner>-<hash>`; of a table its file's name."""
        return name_of(self)
