"""A data set as one seed sees it: split as its protocol says, or by the seed alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..common import InputError, default_data_root, expanded, generator
from .csv_table import data_name
from .imagenet import ImageFiles
from .registry import Dataset, known_dataset


@dataclass(frozen=True)
class Split:
    """One part of a data set, of N examples."""

    inputs: Tensor
    """`(N, ...)`, float32; or bytes, which `Dataset.prepare` makes float32: these are shared, never write to them."""
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
    """A data set as one seed sees it. ImageNet's parts are files, and its test part is validation once more."""

    train: Split | ImageFiles
    val: Split | ImageFiles
    test: Split | ImageFiles


@dataclass(frozen=True)
class Request:
    """What is wanted of a data set: how much of each part, and how much label noise.

    Raises:
        InputError: an unknown name, or what the data set cannot serve; nothing is read for that.
    """

    name: str
    """As in the profiles' `dataset`."""
    train_size: int | None = None
    """Keep only so many training examples; None keeps all."""
    val_size: int | None = None
    """The same for validation."""
    test_size: int | None = None
    """The same for the test part."""
    label_noise: float = 0.0
    """This share of the training and validation labels is drawn anew, uniformly over the classes (so a tenth of
    ten-class draws leaves the label as it was). Test labels stay clean: they measure, they do not teach.
    (But for ImageNet, whose test part is the validation part.)"""
    target: str | None = None
    """The column to predict, of a table of the user's own."""

    def __post_init__(self) -> None:
        dataset, name = self.dataset, data_name(self.name)
        for part, size, wanted in zip(("train", "val", "test"), dataset.sizes, self.sizes, strict=True):
            if wanted is not None and not 1 <= wanted <= size:
                raise InputError(f"{part}_size is {wanted}; allowed for {name} is 1..{size}")
        if dataset.files and self.test_size not in (None, self.val_size):
            raise InputError(
                f"test_size is {self.test_size}; {name} has no test part of its own, only val_size can be given"
            )
        if self.label_noise and dataset.loss != "cross_entropy":
            raise InputError(f"label_noise is {self.label_noise}; {name} is a regression set and allows only 0")

    @property
    def dataset(self) -> Dataset:
        """What is known of it."""
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
    """The data set `name` as `seed` sees it: its split, its label noise. Stays on the CPU.

    Digits and all tables are split at random by the seed, and a part that is cut keeps the first of its shuffled
    examples. Tables are standardised on the training part, targets too. The images have one split for every seed, that
    of the authors' code, and a part that is cut keeps the first images of every class, as many of each (or one more, if
    the size is no multiple). ImageNet's images stay in their files; it has no test labels, and what is called its test
    part is the validation part.

    Args:
        name: as in the profiles' `dataset`.
        target: the column to predict, of `csv:PATH`; None for all others.
        seed: of the split, if it is random, and of the label noise.
        train_size: see `Request`, as for the following three.
        val_size: see there.
        test_size: see there.
        label_noise: see there.
        data_root: folder of CIFAR and SVHN, as torchvision lays them out, of ImageNet, as image_folders.py says, or of
            tabular/ with the regression sets' files; toy-imagenet is drawn into it. None: $JOINTENS_DATA, else data/ of
            the repository.
        download: fetch CIFAR, SVHN or a regression set into that folder if they are not there.

    Raises:
        InputError: an unknown name, a request that the data set cannot serve, a missing or damaged file.
    """
    request = Request(name, train_size, val_size, test_size, label_noise, target)
    dataset = request.dataset
    root = (expanded(data_root) if data_root else default_data_root()).absolute()
    if dataset.files:
        return _files(request, *dataset.read(root, dataset.num_outputs), seed)
    inputs, targets = dataset.read(root, download)
    if dataset.pixels:
        train, val, test = _protocol_split(request, targets)
    else:
        train, val, test = _random_split(request, len(inputs), seed)
    targets = targets.clone()  # images are shared by all who read them, labels are not
    for part, whole in {"train": train.whole, "val": val.whole}.items():
        targets[whole] = _with_label_noise(targets[whole], request, seed, part)
    data = Data(*(Split(inputs[part.kept], targets[part.kept]) for part in (train, val, test)))
    return _standardised(data) if dataset.standardise else data


class Part(NamedTuple):
    """The rows of one part of a data set: a tensor of row numbers, or a slice, which copies no images."""

    whole: Tensor | slice
    kept: Tensor | slice


def _random_split(request: Request, number: int, seed: int) -> tuple[Part, Part, Part]:
    num_train, num_val, num_test = request.dataset.sizes
    test, val, train = torch.randperm(number, generator=generator(seed, "split")).split([num_test, num_val, num_train])
    train, val, test = (Part(of, of[:size]) for of, size in zip((train, val, test), request.sizes, strict=True))
    return train, val, test


def _protocol_split(request: Request, classes: Tensor) -> tuple[Part, Part, Part]:
    num_train, num_val, num_test = request.dataset.sizes
    starts = {"train": num_test + num_val, "val": num_test, "test": 0}
    parts = []
    for (name, start), size, wanted in zip(starts.items(), (num_train, num_val, num_test), request.sizes, strict=True):
        whole = slice(start, start + size)
        if wanted in (None, size):
            parts.append(Part(whole, whole))
            continue
        parts.append(Part(whole, start + _of_every_class(classes[whole], wanted, f"{name}_size", request)))
    train, val, test = parts
    return train, val, test


def _files(request: Request, train: ImageFiles, val: ImageFiles, seed: int) -> Data:
    """The parts as the request and the seed have them. What is there has to be what the request says, whatever that is:
    a sample of ImageNet is not to pass for all of it."""
    dataset, parts = request.dataset, {}
    sizes = zip((train, val), ("train", "val"), request.sizes[:2], dataset.sizes[:2], strict=True)
    for files, part, wanted, whole in sizes:
        wanted = wanted or whole
        if wanted > len(files):
            raise InputError(
                f"{files.folder} holds {len(files)} images, of {request.name}'s {whole}; "
                f"to go on with those give {part}_size={len(files)}"
            )
        noisy = ImageFiles(files.folder, files.names, _with_label_noise(files.targets, request, seed, part))
        if wanted < len(files):
            rows = _of_every_class(files.targets, wanted, f"{part}_size", request)
            noisy = noisy[rows.sort().values.numpy()]  # in the order of the files, which is that of the classes
        parts[part] = noisy
    return Data(**parts, test=parts["val"])


def _of_every_class(classes: Tensor, wanted: int, key: str, request: Request) -> Tensor:
    """The rows of the first images of every class, as many of each, `wanted` together."""
    num_classes = request.dataset.num_outputs
    most = num_classes * int(classes.bincount(minlength=num_classes).min())
    if wanted > most:
        raise InputError(
            f"{key} is {wanted}; as many of every class are at most {most} in {request.name}, or all {len(classes)}"
        )
    return _dealt(classes)[:wanted]


def _dealt(classes: Tensor) -> Tensor:
    """An order in which the classes take turns, so that any first part of it holds as many of each, or one more."""
    by_class = classes.argsort(stable=True)
    counts = classes.bincount()
    firsts = (counts.cumsum(0) - counts)[classes[by_class]]
    turn = torch.arange(len(classes)) - firsts  # how many of its class came before
    return by_class[turn.argsort(stable=True)]


def _standardised(data: Data) -> Data:
    """Zero mean and unit standard deviation on the training part, of targets too; gives float32.

    A missing number becomes the training part's mean, 0. A column that is constant in the training part is 0 in every
    part: nothing can be learnt of it.
    """
    known = ~data.train.inputs.isnan()
    mean = data.train.inputs.nan_to_num().sum(0) / known.sum(0).clamp(min=1)  # (D,)
    parts = [torch.where(part.inputs.isnan(), mean, part.inputs) for part in (data.train, data.val, data.test)]
    std = parts[0].std(0, correction=0)
    varies = parts[0].amax(0) > parts[0].amin(0)  # exactly, which the deviation of equal numbers is not
    inputs = [torch.where(varies, (part - mean) / torch.where(varies, std, 1), 0).float() for part in parts]

    centre, spread = data.train.targets.mean(), data.train.targets.std(correction=0)
    spread = torch.where(spread > 0, spread, 1)
    targets = [((part.targets - centre) / spread).float() for part in (data.train, data.val, data.test)]
    return Data(*(Split(*part) for part in zip(inputs, targets, strict=True)))


def _with_label_noise(targets: Tensor, request: Request, seed: int, part: str) -> Tensor:
    """Of a whole part, so that a smaller one holds the same labels, and no other part changes."""
    if not request.label_noise:
        return targets
    chance = generator(seed, f"noise/{part}")
    redrawn = torch.randint(request.dataset.num_outputs, targets.shape, generator=chance)
    return torch.where(torch.rand(targets.shape, generator=chance) < request.label_noise, redrawn, targets)
