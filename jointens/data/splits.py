"""Load a data set as one seed sees it: the split of its protocol, or one drawn by the seed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..common import InputError, default_data_root, expanded, generator, short_name
from .imagenet import ImageFiles
from .registry import Dataset, known_dataset
from .scaling import Scaling


@dataclass(frozen=True)
class Split:
    """One part of a data set, of N examples."""

    inputs: Tensor
    """`(N, ...)`, float32; or bytes, which `Dataset.prepare` makes float32. They may be shared: never write to them."""
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
    """The three parts of a data set as a seed sees it. ImageNet's are files, and its test part is validation again."""

    train: Split | ImageFiles
    val: Split | ImageFiles
    test: Split | ImageFiles
    scaling: Scaling | None = None
    """How inputs and targets were standardised; None if they were not."""


@dataclass(frozen=True)
class Request:
    """How much of each part of a data set is used, and with how much label noise.

    Raises:
        InputError: an unknown name, or what the data set cannot serve. Named sets are not read for that.
    """

    name: str
    """As in the profiles' `dataset`."""
    train_size: int | None = None
    """The number of training examples to keep; None keeps all."""
    val_size: int | None = None
    """The same for validation."""
    test_size: int | None = None
    """The same for the test part."""
    label_noise: float = 0.0
    """The fraction of training and validation labels that are drawn anew, uniformly over the classes (a tenth of the
    draws from ten classes leave the label as it was). Test labels stay clean, except ImageNet's, whose test part is the
    validation part."""
    target: str | None = None
    """The column to predict, for a table of the user's own."""

    def __post_init__(self) -> None:
        dataset, name = self.dataset, short_name(self.name)
        for part, available, size in zip(("train", "val", "test"), dataset.sizes, self.sizes, strict=True):
            if size is not None and not 1 <= size <= available:
                raise InputError(f"{part}_size is {size}; allowed for {name} is 1..{available}")
        if dataset.files and self.test_size not in (None, self.val_size):
            raise InputError(
                f"test_size is {self.test_size}; {name} has no test part of its own, only val_size can be given"
            )
        if self.label_noise and dataset.loss != "cross_entropy":
            raise InputError(f"label_noise is {self.label_noise}; {name} is a regression set and allows only 0")

    @property
    def dataset(self) -> Dataset:
        """The data set before it is read."""
        return known_dataset(self.name, self.target)

    @property
    def sizes(self) -> tuple[int | None, int | None, int | None]:
        return self.train_size, self.val_size, self.test_size


def load_data(
    name: str,
    *,
    target: str | None = None,
    seed: int,
    train_size: int | None = None,
    val_size: int | None = None,
    test_size: int | None = None,
    label_noise: float = 0.0,
    data_root: str | os.PathLike | None = None,
    download: bool = False,
) -> Data:
    """Load the data set `name` as `seed` sees it, with its split and its label noise, on the CPU.

    Digits and all tables are split at random by the seed, and a part that is cut keeps the first of its shuffled
    examples. Tables are standardised on the training part, targets too. The images have one split for every seed, that
    of the authors' code, and a part that is cut keeps the first images of every class, as many of each (or one more, if
    the size is no multiple). ImageNet's images stay in their files; it has no test labels, and its test part is the
    validation part. A function of the user's own splits for itself: its training examples are shuffled by the seed, and
    a part that is cut keeps examples drawn by the seed.

    Args:
        name: as in the profiles' `dataset`.
        target: the column to predict, for `csv:PATH`; None for all others.
        seed: draws the split, if it is random, and the label noise; a function of the user's own is called with it.
        train_size: number of training examples; None: all.
        val_size: number of validation examples; None: all.
        test_size: number of test examples; None: all.
        label_noise: fraction of training and validation labels that are drawn anew.
        data_root: folder of CIFAR and SVHN, as torchvision lays them out, of ImageNet, in one of the layouts of
            imagenet.py, or of tabular/ with the regression sets' files; toy-imagenet is drawn into it. None:
            $JOINTENS_DATA, else data/ of the repository.
        download: fetch CIFAR, SVHN or a regression set into that folder if they are not there.

    Raises:
        InputError: an unknown name, a request that the data set cannot serve, a missing or damaged file.
    """
    request = Request(name, train_size, val_size, test_size, label_noise, target)
    dataset = request.dataset
    root = (expanded(data_root) if data_root else default_data_root()).absolute()
    if dataset.files:
        return _file_parts(request, *dataset.read(root, dataset.num_outputs), seed)
    if dataset.given:
        return _given_parts(request, seed)
    inputs, targets = dataset.read(root, download)
    if dataset.pixels:
        train, val, test = _protocol_split(request, targets)
    else:
        train, val, test = _random_split(request, len(inputs), seed)
    targets = targets.clone()  # images are shared by all who read them, labels are not
    for name, rows in {"train": train.all, "val": val.all}.items():
        targets[rows] = _with_label_noise(targets[rows], request, seed, name)
    data = Data(*(Split(inputs[part.kept], targets[part.kept]) for part in (train, val, test)))
    return _standardised(data) if dataset.standardise else data


class Part(NamedTuple):
    """The rows of one part of a data set: a tensor of row numbers, or a slice, which copies no images."""

    all: Tensor | slice
    kept: Tensor | slice


def _random_split(request: Request, number: int, seed: int) -> tuple[Part, Part, Part]:
    num_train, num_val, num_test = request.dataset.sizes
    test, val, train = torch.randperm(number, generator=generator(seed, "split")).split([num_test, num_val, num_train])
    train, val, test = (Part(rows, rows[:size]) for rows, size in zip((train, val, test), request.sizes, strict=True))
    return train, val, test


def _protocol_split(request: Request, classes: Tensor) -> tuple[Part, Part, Part]:
    num_train, num_val, num_test = request.dataset.sizes
    starts = {"train": num_test + num_val, "val": num_test, "test": 0}
    parts = []
    for (name, start), available, size in zip(
        starts.items(), (num_train, num_val, num_test), request.sizes, strict=True
    ):
        rows = slice(start, start + available)
        if size in (None, available):
            parts.append(Part(rows, rows))
        else:
            parts.append(Part(rows, start + _balanced_rows(classes[rows], size, f"{name}_size", request)))
    train, val, test = parts
    return train, val, test


def _given_parts(request: Request, seed: int) -> Data:
    """Cut the parts that a function of the user's own returns, and add label noise.

    Training examples are shuffled, since its first ones are measured in evaluation mode; stored outputs of validation
    and test keep the function's order.
    """
    parts = {}
    returned = zip(("train", "val", "test"), request.dataset.read(seed), request.sizes, strict=True)
    for name, (inputs, targets), size in returned:
        rows = torch.randperm(len(targets), generator=generator(seed, f"rows/{name}"))[:size]
        noisy = targets if name == "test" else _with_label_noise(targets, request, seed, name)
        rows = rows if name == "train" else rows.sort().values
        parts[name] = Split(inputs[rows], noisy[rows])
    return Data(**parts)


def _file_parts(request: Request, train: ImageFiles, val: ImageFiles, seed: int) -> Data:
    """Cut the parts of images in files, and add label noise.

    Raises:
        InputError: a part has fewer images than requested, or than the data set has: a sample of ImageNet does not pass
            for all of it.
    """
    dataset, parts = request.dataset, {}
    sizes = zip((train, val), ("train", "val"), request.sizes[:2], dataset.sizes[:2], strict=True)
    for files, name, size, available in sizes:
        size = size or available
        if size > len(files):
            raise InputError(
                f"{files.folder} holds {len(files)} images, of {request.name}'s {available}; "
                f"to go on with those give {name}_size={len(files)}"
            )
        noisy = ImageFiles(files.folder, files.names, _with_label_noise(files.targets, request, seed, name))
        if size < len(files):
            rows = _balanced_rows(files.targets, size, f"{name}_size", request)
            noisy = noisy[rows.sort().values.numpy()]  # in the order of the files, which is that of the classes
        parts[name] = noisy
    return Data(**parts, test=parts["val"])


def _balanced_rows(classes: Tensor, size: int, key: str, request: Request) -> Tensor:
    """Return `size` rows: the first of every class, as many of each."""
    num_classes = request.dataset.num_outputs
    most = num_classes * int(classes.bincount(minlength=num_classes).min())
    if size > most:
        raise InputError(
            f"{key} is {size}; as many of every class are at most {most} in {request.name}, or all {len(classes)}"
        )
    return _interleaved(classes)[:size]


def _interleaved(classes: Tensor) -> Tensor:
    """Order rows so that classes take turns: any first part of the order holds as many of each class, or one more."""
    by_class = classes.argsort(stable=True)
    counts = classes.bincount()
    firsts = (counts.cumsum(0) - counts)[classes[by_class]]
    turn = torch.arange(len(classes)) - firsts  # how many of its class came before
    return by_class[turn.argsort(stable=True)]


def _standardised(data: Data) -> Data:
    scaling = Scaling.of(data.train.inputs, data.train.targets)
    parts = (
        Split(scaling.inputs(part.inputs), scaling.targets(part.targets)) for part in (data.train, data.val, data.test)
    )
    return Data(*parts, scaling=scaling)


def _with_label_noise(targets: Tensor, request: Request, seed: int, part: str) -> Tensor:
    """Redraw labels of a part before it is cut, so that a smaller part holds the same labels."""
    if not request.label_noise:
        return targets
    rng = generator(seed, f"noise/{part}")
    redrawn = torch.randint(request.dataset.num_outputs, targets.shape, generator=rng)
    return torch.where(torch.rand(targets.shape, generator=rng) < request.label_noise, redrawn, targets)
