"""Describe each data set before it is read: sizes, loss, shapes, and how inputs are prepared.

`DATASETS` holds those with a name; `csv:PATH` is a table of the user's own, `import:MODULE:FUNCTION` a function that
returns data.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..common import CSV, IMPORT, InputError, load_function, table_path
from .augmentation import Augmentation, Pixels
from .csv_table import read_table
from .imagenet import read_folders
from .own_data import own_format, read_of_format
from .torchvision_sets import read_images
from .toy_imagenet import CLASSES, NUM_TRAIN, NUM_VAL, read_toy_imagenet
from .uci import TABULAR_SETS, read_tabular

OTHER_AUGMENTATIONS = {"crop_flip": Augmentation(padding=4, flip=True), "none": None}
AUGMENTATIONS = ("protocol", *OTHER_AUGMENTATIONS)
"""How training images can be augmented, the values of the key `augmentation`; protocol: as the data set has it."""


@dataclass(frozen=True)
class Dataset:
    """A data set before it is read.

    `read` takes (data root, download) and returns inputs `(N, ...)` and targets `(N,)` of all parts together. For
    images in files it is `read_folders`; for `given` parts it takes a seed and returns (inputs, targets) of each part.
    """

    read: Callable[..., tuple]
    sizes: tuple[int, int, int]  # train, val, test
    loss: str
    input_shape: tuple[int, ...]  # for images in files the default: the key `image_size` may choose another
    num_outputs: int  # classes, or 1 for regression
    standardise: bool = False  # by mean and standard deviation of each column of the training part, targets too
    quick: bool = False  # small, and at hand without a download; not the scale of the paper
    pixels: Pixels | None = None  # for images kept as bytes, whose split does not depend on the seed
    files: bool = False  # images stay in their files; the test part is the validation part
    given: bool = False  # `read` returns the three parts, as the user's function splits them
    augmentation: Augmentation | None = None  # for training images
    content: str | None = None  # fingerprint of the user's table, or of the source of the user's function
    notes: tuple[str, ...] = ()  # how the user's data were understood, in short sentences

    @property
    def augmentations(self) -> tuple[str, ...]:
        """The values of the key `augmentation` that it allows: images kept as bytes can be trained on otherwise."""
        return AUGMENTATIONS if self.pixels and not self.files else AUGMENTATIONS[:1]

    def augmented(self, name: str) -> Dataset:
        """Return the data set with one of its `augmentations`."""
        if name not in OTHER_AUGMENTATIONS:
            return self
        return dataclasses.replace(self, augmentation=OTHER_AUGMENTATIONS[name])

    def prepare(self, inputs: Tensor) -> Tensor:
        """Turn inputs `(..., *input_shape)`, bytes or float32, into what learners take: the same shape, float32."""
        return self.pixels(inputs) if self.pixels else inputs


# Grey values of all images, as fractions of 16.
DIGITS_MEAN, DIGITS_STD = 0.305, 0.376


def _digits(*_) -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    inputs, targets = load_digits(return_X_y=True)
    images = (torch.tensor(inputs, dtype=torch.float32) / 16 - DIGITS_MEAN) / DIGITS_STD  # grey values are 0..16
    return images.reshape(-1, 1, 8, 8), torch.tensor(targets, dtype=torch.int64)


def _diabetes(*_) -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_diabetes

    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)


def _images(
    name: str, sizes: tuple[int, int, int], classes: int, pixels: Pixels, augmentation: Augmentation
) -> Dataset:
    """Describe 32×32 colour images in the split of the authors' code: test part first, then validation and training."""

    def read(root: Path, download: bool) -> tuple[Tensor, Tensor]:
        return read_images(name, root, download)

    return Dataset(read, sizes, "cross_entropy", (3, 32, 32), classes, pixels=pixels, augmentation=augmentation)


def _fifths(rows: int) -> tuple[int, int, int]:
    """Return the sizes of train, val and test part: a fifth of the rows, rounded up, for test and for validation."""
    fifth = -(-rows // 5)
    return rows - 2 * fifth, fifth, fifth


def _tabular(name: str) -> Dataset:
    """Describe one of the paper's regression sets: its test fifth; one of the four it trains on is for validation."""
    table = TABULAR_SETS[name]

    def read(root: Path, download: bool) -> tuple[Tensor, Tensor]:
        return read_tabular(name, root, download)

    return Dataset(read, _fifths(table.rows), "squared_error", (table.features,), num_outputs=1, standardise=True)


# The authors' code: src/data/dataloaders.py of the repository joint-ensembles. CIFAR: the official training set's first
# 10,000 images are for validation; SVHN: the official test set's first half is the test part, the second validation.
CIFAR_PIXELS = Pixels(mean=(125.3 / 255, 123.0 / 255, 113.9 / 255), std=(63.0 / 255, 62.1 / 255, 66.7 / 255))
CIFAR_AUGMENTATION = Augmentation(padding=4, flip=True, degrees=15)
SVHN_PIXELS = Pixels(mean=(0.1307,), std=(0.3081,))
IMAGENET_PIXELS = Pixels(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

DATASETS = {
    # scikit-learn's digits: 1,797 real handwritten digits, 8×8 grey images, ten classes.
    "digits": Dataset(_digits, (1000, 300, 497), "cross_entropy", (1, 8, 8), num_outputs=10, quick=True),
    # scikit-learn's diabetes: 442 patients, 10 measurements, disease progression after a year. 60/20/20.
    "diabetes": Dataset(_diabetes, (264, 89, 89), "squared_error", (10,), num_outputs=1, standardise=True, quick=True),
    "CIFAR-10": _images("CIFAR-10", (40_000, 10_000, 10_000), 10, CIFAR_PIXELS, CIFAR_AUGMENTATION),
    "CIFAR-100": _images("CIFAR-100", (40_000, 10_000, 10_000), 100, CIFAR_PIXELS, CIFAR_AUGMENTATION),
    "SVHN": _images("SVHN", (73_257, 13_016, 13_016), 10, SVHN_PIXELS, Augmentation(flip=True)),
    "ImageNet": Dataset(
        read_folders, (1_281_167, 50_000, 50_000), "cross_entropy", (3, 224, 224), 1000,
        pixels=IMAGENET_PIXELS, files=True,
    ),
    "toy-imagenet": Dataset(
        read_toy_imagenet, (NUM_TRAIN, NUM_VAL, NUM_VAL), "cross_entropy", (3, 64, 64), len(CLASSES),
        pixels=IMAGENET_PIXELS, files=True, quick=True,
    ),
    **{name: _tabular(name) for name in TABULAR_SETS},
}  # fmt: skip
"""Each data set that has a name, by its name."""


def known_dataset(name: str, target: str | None = None) -> Dataset:
    """Look up a data set by name: one of `DATASETS`, `csv:PATH` or `import:MODULE:FUNCTION`.

    Args:
        name: as in the profiles' `dataset`.
        target: the column to predict, for a table; None for all others.

    Raises:
        InputError: an unknown name, a target where none is taken, a table that cannot be used, or a function that
            cannot be imported or returns something else than data.
    """
    if name.startswith(CSV):
        return _own_table(name, target)
    if not name.startswith(IMPORT) and name not in DATASETS:
        known = ", ".join(DATASETS)
        raise InputError(f"unknown dataset {name!r}; known are {known}, {CSV}PATH, {IMPORT}MODULE:FUNCTION")
    if target is not None:
        raise InputError(f"target is {target!r}; {name} has its own, only {CSV}PATH takes one")
    return _own_function(name) if name.startswith(IMPORT) else DATASETS[name]


_remembered: dict[tuple[str, str], Dataset] = {}  # by name and target: tables that were not there


def remember_table(name: str, target: str, *, num_rows: int, num_features: int, content: str) -> None:
    """Let `known_dataset` describe a table while its file is not there, for results that were trained on it.

    Its rows cannot be read. If the file is there again, it is read as any other.

    Args:
        name: `csv:PATH`.
        target: the column to predict.
        num_rows: with a target.
        num_features: of the inputs.
        content: the fingerprint of the file.
    """
    _remembered[name, target] = _table_set(lambda *_: read_table(name, target), num_rows, num_features, content)


def _table_set(read: Callable[..., tuple], num_rows: int, num_features: int, content: str) -> Dataset:
    return Dataset(
        read, _fifths(num_rows), "squared_error", (num_features,), num_outputs=1, standardise=True, content=content
    )


def _own_table(name: str, target: str | None) -> Dataset:
    if (name, target) in _remembered and not os.path.exists(table_path(name)):
        return _remembered[name, target]
    table = read_table(name, target)
    inputs, targets = torch.from_numpy(table.inputs), torch.from_numpy(table.targets)  # (N, D), (N,), float64

    def read(*_) -> tuple[Tensor, Tensor]:
        if table.row_numbers:  # not before: results that were trained on it are opened
            raise InputError(table.row_numbers)
        return inputs, targets

    dataset = _table_set(read, *inputs.shape, table.content)
    train, val, test = dataset.sizes
    summary = (
        f"{len(inputs)} rows, {inputs.shape[1]} features, target {target}; by each seed {train} rows for training, "
        f"{val} for validation, {test} for test; all standardised on the training part"
    )
    return dataclasses.replace(dataset, notes=(summary, *table.notes))


def _own_function(name: str) -> Dataset:
    source = load_function(name)
    data = own_format(source)
    train, val, test = data.sizes
    kind = f"classes 0 to {data.num_outputs - 1}" if data.loss == "cross_entropy" else "values"
    summary = (
        f"{train} training, {val} validation and {test} test examples from {source.file}; inputs of shape "
        f"{'×'.join(map(str, data.input_shape))} as they are, targets are {kind}: {data.loss}"
    )
    return Dataset(
        functools.partial(read_of_format, source), data.sizes, data.loss, data.input_shape, data.num_outputs,
        given=True, content=source.fingerprint, notes=(summary,),
    )  # fmt: skip
