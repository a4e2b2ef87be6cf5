"""What is known of each data set before it is read: sizes, loss, shapes, and how it is prepared.

`DATASETS` holds those with a name; `csv:PATH` is a table of the user's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..common import InputError
from .augmentation import Augmentation, Pixels
from .csv_table import CSV, read_table
from .imagenet import read_folders
from .torchvision_sets import read_images
from .toy_imagenet import CLASSES, NUM_TRAIN, NUM_VAL, read_toy_imagenet
from .uci import TABULAR_SETS, read_tabular


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set before it is read."""

    read: Callable[..., tuple]  # (data root, download) → inputs `(N, ...)`, targets `(N,)`; of files see read_folders
    sizes: tuple[int, int, int]  # train, val, test
    loss: str
    input_shape: tuple[int, ...]  # of images in files as a rule: the key `image_size` may say otherwise
    num_outputs: int  # classes, or 1 for regression
    standardise: bool = False  # by mean and standard deviation of each column of the training part, targets too
    quick: bool = False  # small, and at hand without a download; what it shows is not the paper's scale
    pixels: Pixels | None = None  # of images kept as bytes, whose split does not depend on the seed
    files: bool = False  # these stay in their files; the test part is the validation part
    augmentation: Augmentation | None = None  # of training images
    content: str | None = None  # of a table of the user's own: the fingerprint of its file
    notes: tuple[str, ...] = ()  # what was done to such a table, in short sentences

    def prepare(self, inputs: Tensor) -> Tensor:
        """What learners are given: inputs `(..., *input_shape)`, bytes or float32 → the same shape, float32."""
        return self.pixels(inputs) if self.pixels else inputs


# Grey values of the whole set, as shares of 16.
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


def _images(name: str, sizes: tuple[int, int, int], classes: int, pixels: Pixels, augmented: Augmentation) -> Dataset:
    """32×32 colour images in the split of the authors' code: the test part first, validation, and training last."""

    def read(root: Path, download: bool) -> tuple[Tensor, Tensor]:
        return read_images(name, root, download)

    return Dataset(read, sizes, "cross_entropy", (3, 32, 32), classes, pixels=pixels, augmentation=augmented)


def _fifths(rows: int) -> tuple[int, int, int]:
    """Training, validation and test of so many rows: a fifth for test, rounded up, and as many for validation."""
    fifth = -(-rows // 5)
    return rows - 2 * fifth, fifth, fifth


def _tabular(name: str) -> Dataset:
    """One of the paper's regression sets: its test fifth; of the other four, which it trains on, one for validation."""
    about = TABULAR_SETS[name]

    def read(root: Path, download: bool) -> tuple[Tensor, Tensor]:
        return read_tabular(name, root, download)

    return Dataset(read, _fifths(about.rows), "squared_error", (about.features,), num_outputs=1, standardise=True)


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
"""What is known of each data set that has a name, by its name."""


def known_dataset(name: str, target: str | None = None) -> Dataset:
    """What is known of the data set of that name, one of `DATASETS` or `csv:PATH`.

    Args:
        name: as in the profiles' `dataset`.
        target: the column to predict, of a table; None for all others.

    Raises:
        InputError: an unknown name, a target where none is taken, or a table that cannot be used.
    """
    if name.startswith(CSV):
        return _own_table(name, target)
    if name not in DATASETS:
        raise InputError(f"unknown dataset {name!r}; known are {', '.join(DATASETS)}, {CSV}PATH")
    if target is not None:
        raise InputError(f"target is {target!r}; {name} has its own, only {CSV}PATH takes one")
    return DATASETS[name]


def _own_table(name: str, target: str | None) -> Dataset:
    table = read_table(name, target)
    inputs, targets = torch.from_numpy(table.inputs), torch.from_numpy(table.targets)  # (N, D), (N,), float64
    train, val, test = sizes = _fifths(len(inputs))
    summary = (
        f"{len(inputs)} rows, {inputs.shape[1]} features, target {target}; by each seed {train} rows for training, "
        f"{val} for validation, {test} for test; all standardised on the training part"
    )
    return Dataset(
        lambda *_: (inputs, targets), sizes, "squared_error", (inputs.shape[1],), num_outputs=1, standardise=True,
        content=table.content, notes=(summary, *table.notes),
    )  # fmt: skip
