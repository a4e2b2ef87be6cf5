"""Data sets by name, split and prepared from the seed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import InputError
from .randomness import generator


@dataclass(frozen=True)
class Split:
    """One part of a data set, of N examples."""

    inputs: Tensor
    """`(N, ...)`, float32."""
    targets: Tensor
    """`(N,)`, classes as int64 or values as float32."""

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index) -> Split:
        return Split(self.inputs[index], self.targets[index])

    def to(self, device: str | torch.device) -> Split:
        return Split(self.inputs.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Data:
    """A data set as one seed sees it."""

    train: Split
    val: Split
    test: Split


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set before it is read."""

    read: Callable[[], tuple[Tensor, Tensor]]  # inputs (N, ...), targets (N,)
    sizes: tuple[int, int, int]  # train, val, test
    loss: str
    input_shape: tuple[int, ...]
    num_outputs: int  # classes, or 1 for regression
    standardise: bool  # by mean and standard deviation of each column of the training part, targets too
    quick: bool  # small, and at hand without a download; what it shows is not the paper's scale


# Grey values of the whole set, as shares of 16.
DIGITS_MEAN, DIGITS_STD = 0.305, 0.376


def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    inputs, targets = load_digits(return_X_y=True)
    images = (torch.tensor(inputs, dtype=torch.float32) / 16 - DIGITS_MEAN) / DIGITS_STD  # grey values are 0..16
    return images.reshape(-1, 1, 8, 8), torch.tensor(targets, dtype=torch.int64)


def _diabetes() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_diabetes

    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)


DATASETS = {
    # scikit-learn's digits: 1,797 real handwritten digits, 8×8 grey images, ten classes.
    "digits": Dataset(
        _digits, (1000, 300, 497), "cross_entropy", (1, 8, 8), num_outputs=10, standardise=False, quick=True
    ),
    # scikit-learn's diabetes: 442 patients, 10 measurements, disease progression after a year. 60/20/20.
    "diabetes": Dataset(_diabetes, (264, 89, 89), "squared_error", (10,), num_outputs=1, standardise=True, quick=True),
}


def check_request(name: str, *, train_size: int | None = None, label_noise: float = 0.0) -> None:
    """Whether `load_data` can serve this, without reading anything; raises InputError (a ValueError) if not."""
    if name not in DATASETS:
        raise InputError(f"unknown dataset {name!r}; known are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    if train_size is not None and not 1 <= train_size <= dataset.sizes[0]:
        raise InputError(f"train_size is {train_size}; allowed for {name} is 1..{dataset.sizes[0]}")
    if label_noise and dataset.loss != "cross_entropy":
        raise InputError(f"label_noise is {label_noise}; {name} is a regression set and allows only 0")


def load_data(name: str, *, seed: int, train_size: int | None = None, label_noise: float = 0.0) -> Data:
    """The data set `name` as `seed` sees it: its split, its label noise. Stays on the CPU.

    Args:
        name: as in the profiles' `dataset`.
        seed: of the split and of the label noise.
        train_size: keep only so many training examples, the first of the shuffled part; None keeps all.
        label_noise: this share of the training and validation labels is drawn anew, uniformly over the classes (so a
            tenth of ten-class draws leaves the label as it was). Test labels stay clean: they measure, they do not
            teach.

    Raises:
        InputError: an unknown name, or a request that the data set cannot serve.
    """
    check_request(name, train_size=train_size, label_noise=label_noise)
    dataset = DATASETS[name]
    num_train, num_val, num_test = dataset.sizes
    inputs, targets = dataset.read()
    order = torch.randperm(len(inputs), generator=generator(seed, "split"))
    test, val, train = order.split([num_test, num_val, num_train])
    if label_noise:
        for part, index in (("train", train), ("val", val)):
            chance = generator(seed, f"noise/{part}")
            targets[index] = _with_label_noise(targets[index], label_noise, dataset.num_outputs, chance)
    # Cut last: a smaller training part holds the same examples with the same labels, and the others do not change.
    train = train[:train_size]
    if dataset.standardise:
        inputs, targets = _standardised(inputs, train), _standardised(targets, train)
    return Data(*(Split(inputs[index], targets[index]) for index in (train, val, test)))


def _standardised(values: Tensor, train: Tensor) -> Tensor:
    """Zero mean and unit standard deviation on the training part; a constant column stays at zero."""
    mean, std = values[train].mean(0), values[train].std(0, correction=0)
    return (values - mean) / torch.where(std > 0, std, 1)


def _with_label_noise(targets: Tensor, share: float, num_classes: int, chance: torch.Generator) -> Tensor:
    redrawn = torch.randint(num_classes, targets.shape, generator=chance)
    return torch.where(torch.rand(targets.shape, generator=chance) < share, redrawn, targets)
