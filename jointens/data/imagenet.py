"""List the images of ImageNet and their classes, from folders in the layout of Kaggle or of torchvision.

ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_18.JPEG      Kaggle: the folders of training images are named by class,
ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG       validation images lie in one
imagenet_class_index.json                                  {"0": ["n01440764", "tench"], …}: class, wnid, word
ILSVRC2012_val_labels.json                                 {"ILSVRC2012_val_00000001.JPEG": "n01751748", …}

train/n01440764/n01440764_18.JPEG                          torchvision's ImageNet and ImageFolder; classes are counted
val/n01751748/ILSVRC2012_val_00000001.JPEG                 in the order of the folders of train, or by the index above

In both layouts Kaggle's own files serve as well, and the validation images may lie in one folder:

LOC_synset_mapping.txt                                     "n01440764 tench, Tinca tinca", a line for each class
LOC_val_solution.csv                                       ImageId,PredictionString, then
                                                           "ILSVRC2012_val_00000001,n01751748 111 108 431 357"
"""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common import InputError, read_json_object

IMAGES, INDEX, LABELS = Path("ILSVRC/Data/CLS-LOC"), "imagenet_class_index.json", "ILSVRC2012_val_labels.json"
MAPPING, SOLUTION = "LOC_synset_mapping.txt", "LOC_val_solution.csv"
LAYOUTS = (
    f"Kaggle's ({IMAGES}/train/WNID/*.JPEG, {IMAGES}/val/*.JPEG, {INDEX} or {MAPPING}, {LABELS} or {SOLUTION}) "
    "or torchvision's (train/WNID/*.JPEG, val/WNID/*.JPEG)"
)
SUFFIXES = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class ImageFiles:
    """One part of a data set, of N images that stay in their files until they are needed."""

    folder: Path
    """The folder that `names` are relative to."""
    names: np.ndarray
    """`(N,)`, file names as bytes of one length: a list of a million texts would be copied, page by page, to every
    process that reads images."""
    targets: Tensor
    """`(N,)`, classes as int64."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Any) -> ImageFiles:
        return ImageFiles(self.folder, self.names[rows], self.targets[rows])

    def path(self, row: int) -> Path:
        return self.folder / os.fsdecode(bytes(self.names[row]))


@functools.lru_cache(maxsize=2)  # every cell asks for the same million files
def read_folders(root: Path, num_classes: int) -> tuple[ImageFiles, ImageFiles]:
    """List the training and the validation images in a folder, in the order of their names.

    Args:
        root: the folder of a layout, or the folder with `imagenet` in it.
        num_classes: the number of classes.

    Raises:
        InputError: neither layout is there, or a class or a label is missing; the message says what was found.
    """
    try:
        for folder in (root, root / "imagenet"):
            for images in (folder / IMAGES, folder):
                if (images / "train").is_dir() and (images / "val").is_dir():
                    return _read(folder, images, num_classes)
        raise InputError(
            f"no ImageNet in {root}: it {_contents(root)}; data_root is to be a folder in one of two layouts, {LAYOUTS}"
        )
    except OSError as error:
        raise InputError(f"cannot read {error.filename or root}: {error.strerror}") from error


def _read(root: Path, images: Path, num_classes: int) -> tuple[ImageFiles, ImageFiles]:
    """List the images in `train` and `val` of a folder, with the classes and labels that the files in `root` give."""
    train, val = images / "train", images / "val"
    index, origin = _read_classes(root, num_classes)
    if index is None and images != root:
        raise _is_missing(root / INDEX)
    if index is None:
        index, origin = {name: number for number, name in enumerate(_folders_in(train))}, train
        if len(index) != num_classes:
            raise InputError(
                f"{train} holds {len(index)} classes; allowed are {num_classes}, or {INDEX} in {root} to number them"
            )
    if _folders_in(val):
        return _by_class(train, index, origin), _by_class(val, index, origin)
    names = _images_in(val)
    if not names:
        raise _holds_no_images(val)
    labels, file = _read_labels(root)
    if without := [name for name in names if Path(name).stem not in labels]:
        raise InputError(
            f"{file} has no label for {len(without)} of {len(names)} images in {val}, the first is "
            f"{without[0]}; allowed is one for each"
        )
    wnids = [labels[Path(name).stem] for name in names]
    if unknown := sorted(set(wnids) - index.keys()):
        raise InputError(f"{file} names {_few(unknown)}, which {origin} does not list")
    return _by_class(train, index, origin), _files(
        val, [(name, index[w]) for name, w in zip(names, wnids, strict=True)]
    )


def _read_classes(root: Path, num_classes: int) -> tuple[dict[str, int] | None, Path]:
    """Read the number of each wnid, and tell from which file; None if there is none."""
    file = root / INDEX
    if file.is_file():
        entries = read_json_object(file)
        try:
            index = {str(wnid): int(number) for number, (wnid, *_) in entries.items()}
        except (ValueError, TypeError):
            index = {}
        found, form = len(entries), '{"0": ["n01440764", "tench"], …}'
    elif (file := root / MAPPING).is_file():
        lines = [line.split() for line in _read_text(file).splitlines() if line.strip()]
        index = {wnid: number for number, (wnid, *_) in enumerate(lines)}
        found, form = len(lines), "lines such as n01440764 tench, Tinca tinca"
    else:
        return None, file
    if sorted(index.values()) != list(range(num_classes)):
        raise InputError(f"{file} lists {found} classes; allowed are {num_classes}, as {form}")
    return index, file


def _read_labels(root: Path) -> tuple[dict[str, str], Path]:
    """Read the wnid of each validation image, by its name without the ending, and tell from which file."""
    if (file := root / SOLUTION).is_file() and not (root / LABELS).is_file():
        rows = csv.DictReader(_read_text(file).splitlines())
        columns = rows.fieldnames or ["none"]
        if not {"ImageId", "PredictionString"} <= set(columns):
            raise InputError(f"{file} has the columns {', '.join(columns)}; allowed are ImageId and PredictionString")
        boxes = {row["ImageId"]: (row["PredictionString"] or "").split() for row in rows}
        return {name: words[0] for name, words in boxes.items() if words}, file
    if not (file := root / LABELS).is_file():
        raise _is_missing(file)
    return {Path(name).stem: str(wnid) for name, wnid in read_json_object(file).items()}, file


def _by_class(folder: Path, index: Mapping[str, int], origin: Path) -> ImageFiles:
    """List the images in a folder with a subfolder for each class.

    Args:
        folder: what is read.
        index: the number of each class by the name of its subfolder.
        origin: where the index comes from, for the message.
    """
    wnids = _folders_in(folder)
    if unknown := [wnid for wnid in wnids if wnid not in index]:
        raise InputError(f"{folder} has folders of {_few(unknown)}, which {origin} does not list")
    return _files(folder, [(f"{wnid}/{name}", index[wnid]) for wnid in wnids for name in _images_in(folder / wnid)])


def _files(folder: Path, images: Iterable[tuple[str, int]]) -> ImageFiles:
    images = list(images)
    if not images:
        raise _holds_no_images(folder)
    names, classes = zip(*images, strict=True)
    return ImageFiles(folder, np.array([os.fsencode(name) for name in names]), torch.tensor(classes))


def _holds_no_images(folder: Path) -> InputError:
    return InputError(f"{folder} holds no images ({', '.join(SUFFIXES)}); expected is one of two layouts, {LAYOUTS}")


def _is_missing(file: Path) -> InputError:
    return InputError(f"{file} is missing; expected is one of two layouts, {LAYOUTS}")


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no UTF-8 text") from error


def _folders_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _images_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    return sorted(name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith("."))


def _contents(folder: Path) -> str:
    if not folder.is_dir():
        return "is no folder"
    names = sorted(entry.name for entry in os.scandir(folder))
    return f"holds {_few(names)}" if names else "is empty"


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
