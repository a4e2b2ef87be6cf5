"""Data sets by name, split as their protocol says, or by the seed alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .augment import Augmentation, Pixels
from .errors import InputError
from .image_folders import ImageFiles, read_folders
from .image_sets import read_images
from .places import default_data_root, expanded
from .randomness import generator
from .toy_imagenet import CLASSES, NUM_TRAIN, NUM_VAL, read_toy_imagenet


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
class Dataset:
    """What is known of a data set before it is read."""

    read: Callable[..., tuple]  # see `load_data` for what it takes and gives
    sizes: tuple[int, int, int]  # train, val, test
    loss: str
    input_shape: tuple[int, ...]  # of images in files as a rule: the key `image_size` may say otherwise
    num_outputs: int  # classes, or 1 for regression
    standardise: bool = False  # by mean and standard deviation of each column of the training part, targets too
    quick: bool = False  # small, and at hand without a download; what it shows is not the paper's scale
    pixels: Pixels | None = None  # of images kept as bytes, whose split does not depend on the seed
    files: bool = False  # these stay in their files; the test part is the validation part
    augmentation: Augmentation | None = None  # of training images

    def prepare(self, inputs: Tensor) -> Tensor:
        """What learners are given: inputs `(..., *input_shape)`, bytes or float32 → the same shape, float32."""
        return self.pixels(inputs) if self.pixels else inputs


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


def _images(name: str, sizes: tuple[int, int, int], classes: int, pixels: Pixels, augmented: Augmentation) -> Dataset:
    """32×32 colour images in the split of the authors' code: the test part first, validation, and training last."""

    def read(root: Path, download: bool) -> tuple[Tensor, Tensor]:
        return read_images(name, root, download)

    return Dataset(read, sizes, "cross_entropy", (3, 32, 32), classes, pixels=pixels, augmentation=augmented)


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
}  # fmt: skip


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

    def __post_init__(self) -> None:
        if self.name not in DATASETS:
            raise InputError(f"unknown dataset {self.name!r}; known are {', '.join(DATASETS)}")
        dataset = DATASETS[self.name]
        for part, size, wanted in zip(("train", "val", "test"), dataset.sizes, self.sizes, strict=True):
            if wanted is not None and not 1 <= wanted <= size:
                raise InputError(f"{part}_size is {wanted}; allowed for {self.name} is 1..{size}")
        if dataset.files and self.test_size not in (None, self.val_size):
            raise InputError(
                f"test_size is {self.test_size}; {self.name} has no test part of its own, only val_size can be given"
            )
        if self.label_noise and dataset.loss != "cross_entropy":
            raise InputError(f"label_noise is {self.label_noise}; {self.name} is a regression set and allows only 0")

    @property
    def sizes(self) -> tuple[int | None, int | None, int | None]:
        return self.train_size, self.val_size, self.test_size


def load_data(
    name: str,
    *,
    seed: int,
    train_size: int | None = None,
    val_size: int | None = None,
    test_size: int | None = None,
    label_noise: float = 0.0,
    data_root: str | os.PathLike | None = None,
    download: bool = False,
) -> Data:
    """The data set `name` as `seed` sees it: its split, its label noise. Stays on the CPU.

    Digits and diabetes are split at random by the seed, and a part that is cut keeps the first of its shuffled
    examples. The images have one split for every seed, that of the authors' code, and a part that is cut keeps the
    first images of every class, as many of each (or one more, if the size is no multiple). ImageNet's images stay in
    their files; it has no test labels, and what is called its test part is the validation part.

    Args:
        name: as in the profiles' `dataset`.
        seed: of the split, if it is random, and of the label noise.
        train_size: see `Request`, as for the following three.
        val_size: see there.
        test_size: see there.
        label_noise: see there.
        data_root: folder of CIFAR and SVHN, as torchvision lays them out, or of ImageNet, as image_folders.py says;
            toy-imagenet is drawn into it. None: $JOINTENS_DATA, else data/ of the repository.
        download: fetch CIFAR or SVHN into that folder if they are not there.

    Raises:
        InputError: an unknown name, a request that the data set cannot serve, a missing or damaged file.
    """
    request = Request(name, train_size, val_size, test_size, label_noise)
    dataset = DATASETS[name]
    root = (expanded(data_root) if data_root else default_data_root()).absolute()
    if dataset.files:
        return _files(request, *dataset.read(root, dataset.num_outputs), seed)
    if dataset.pixels:
        inputs, targets = dataset.read(root, download)
        train, val, test = _protocol_split(request, targets)
    else:
        inputs, targets = dataset.read()
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
    num_train, num_val, num_test = DATASETS[request.name].sizes
    test, val, train = torch.randperm(number, generator=generator(seed, "split")).split([num_test, num_val, num_train])
    train, val, test = (Part(of, of[:size]) for of, size in zip((train, val, test), request.sizes, strict=True))
    return train, val, test


def _protocol_split(request: Request, classes: Tensor) -> tuple[Part, Part, Part]:
    num_train, num_val, num_test = DATASETS[request.name].sizes
    starts = {"train": num_test + num_val, "val": num_test, "test": 0}
    parts = []
    for (name, start), size, wanted in zip(starts.items(), (num_train, num_val, num_test), request.sizes, strict=True):
        whole = slice(start, start + size)
        if wanted in (None, size):
            parts.append(Part(whole, whole))
            continue
        parts.append(Part(whole, start + _of_every_class(classes[whole], wanted, f"{name}_size", request.name)))
    train, val, test = parts
    return train, val, test


def _files(request: Request, train: ImageFiles, val: ImageFiles, seed: int) -> Data:
    """The parts as the request and the seed have them. What is there has to be what the request says, whatever that is:
    a sample of ImageNet is not to pass for all of it."""
    dataset, parts = DATASETS[request.name], {}
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
            rows = _of_every_class(files.targets, wanted, f"{part}_size", request.name)
            noisy = noisy[rows.sort().values.numpy()]  # in the order of the files, which is that of the classes
        parts[part] = noisy
    return Data(**parts, test=parts["val"])


def _of_every_class(classes: Tensor, wanted: int, key: str, name: str) -> Tensor:
    """The rows of the first images of every class, as many of each, `wanted` together."""
    most = DATASETS[name].num_outputs * int(classes.bincount(minlength=DATASETS[name].num_outputs).min())
    if wanted > most:
        raise InputError(
            f"{key} is {wanted}; as many of every class are at most {most} in {name}, or all {len(classes)}"
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
    """Zero mean and unit standard deviation on the training part, of targets too; a constant column stays at zero."""

    def by_training(values: Callable[[Split], Tensor]) -> list[Tensor]:
        mean, std = values(data.train).mean(0), values(data.train).std(0, correction=0)
        std = torch.where(std > 0, std, 1)
        return [(values(part) - mean) / std for part in (data.train, data.val, data.test)]

    inputs, targets = by_training(lambda part: part.inputs), by_training(lambda part: part.targets)
    return Data(*(Split(*part) for part in zip(inputs, targets, strict=True)))


def _with_label_noise(targets: Tensor, request: Request, seed: int, part: str) -> Tensor:
    """Of a whole part, so that a smaller one holds the same labels, and no other part changes."""
    if not request.label_noise:
        return targets
    chance = generator(seed, f"noise/{part}")
    redrawn = torch.randint(DATASETS[request.name].num_outputs, targets.shape, generator=chance)
    return torch.where(torch.rand(targets.shape, generator=chance) < request.label_noise, redrawn, targets)
