"""Read CIFAR-10, CIFAR-100 and SVHN through torchvision, in its layout of files and with its checksums."""

from __future__ import annotations

import functools
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common import InputError

# The folder of each set's files in the data root, as torchvision lays them out.
FOLDERS = {"CIFAR-10": "cifar-10-batches-py", "CIFAR-100": "cifar-100-python", "SVHN": "."}


def read_images(name: str, root: Path, download: bool = False) -> tuple[Tensor, Tensor]:
    """Read all images of a set and their classes: the official test set first, then the official training set.

    Args:
        name: the data set, one of `FOLDERS`.
        root: the folder in which torchvision finds it.
        download: fetch what is missing.

    Returns:
        images `(N, 3, 32, 32)`, uint8 and channels_last, and classes `(N,)`, int64.

    Raises:
        InputError: a file is missing or damaged; the message says which, and how to get it.
    """
    if download and any(_fault(path, checksum) for path, checksum in files(name, root)):
        _download(name, root)
    return _read(name, root)


@functools.lru_cache(maxsize=2)  # every seed and every cell reads the same images
def _read(name: str, root: Path) -> tuple[Tensor, Tensor]:
    for path, checksum in files(name, root):
        if fault := _fault(path, checksum):
            holder = root / FOLDERS[name]
            raise InputError(
                f"{name} cannot be read: {path} {fault}; give data_root, the folder that holds "
                f"{path.relative_to(root) if holder == root else holder.name}, or download=true to fetch it"
            )
    test, train = (_open(name, root, part) for part in ("test", "train"))
    images = [_channels_last(dataset.data) for dataset in (test, train)]  # (N, 32, 32, 3) each
    images = np.concatenate(images, out=np.empty((sum(map(len, images)), *images[0].shape[1:]), np.uint8))
    classes = np.concatenate([getattr(dataset, "targets", None) or dataset.labels for dataset in (test, train)])
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(classes.astype(np.int64))


def files(name: str, root: Path) -> list[tuple[Path, str]]:
    """List the files of a data set with their MD5 checksums, as torchvision has them."""
    dataset = _torchvision(name)
    if name == "SVHN":
        return [(root / file, md5) for _, file, md5 in (dataset.split_list[part] for part in ("train", "test"))]
    described = [*dataset.train_list, *dataset.test_list, [dataset.meta["filename"], dataset.meta["md5"]]]
    return [(root / dataset.base_folder / file, md5) for file, md5 in described]


def _fault(path: Path, checksum: str) -> str | None:
    from torchvision.datasets.utils import check_integrity

    try:
        if not path.is_file():
            return "is missing"
        return None if check_integrity(str(path), checksum) else f"is damaged (its MD5 is not {checksum})"
    except OSError as error:
        return f"is not readable ({error.strerror})"


def _download(name: str, root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        for part in ("train", "test"):
            _open(name, root, part, download=True)
    except (OSError, HTTPException, RuntimeError) as error:  # the network, the disk, a checksum
        raise InputError(f"{name} cannot be downloaded to {root}: {error}") from error


def _open(name: str, root: Path, part: str, *, download: bool = False) -> Any:
    split = {"split": part} if name == "SVHN" else {"train": part == "train"}
    return _torchvision(name)(root, download=download, **split)


def _torchvision(name: str) -> type:
    from torchvision import datasets  # takes a while to import

    return getattr(datasets, name.replace("-", ""))


def _channels_last(images: np.ndarray) -> np.ndarray:
    """View images as `(N, 32, 32, 3)`; SVHN's are `(N, 3, 32, 32)`."""
    return images if images.shape[-1] == 3 else images.transpose(0, 2, 3, 1)
