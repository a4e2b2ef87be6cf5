"""ImageNet in folders: two layouts that mean the same, and one line for whatever is missing or does not fit."""

import json

import numpy as np
import pytest
import torch
from imagenet_folders import TRAIN, add_images, write_index

from jointens import InputError
from jointens.data.imagenet import IMAGES, INDEX, LABELS, read_folders

VAL = {"val_1.JPEG": "n02", "val_2.JPEG": "n03", "val_3.JPEG": "n01"}


def kaggle(root):
    add_images(root / IMAGES / "train", TRAIN)
    add_images(root / IMAGES / "val", VAL)
    (root / LABELS).write_text(json.dumps(VAL))
    write_index(root)
    return root


def plain(root):
    """torchvision's layout without an index."""
    add_images(root / "train", TRAIN)
    add_images(root / "val", [f"{wnid}/{name}" for name, wnid in VAL.items()])
    return root


def torchvisions(root):
    write_index(plain(root))
    return root


def told(files):
    """The class of each image by its own name."""
    paths = [files.path(row) for row in range(len(files))]
    assert all(path.is_file() for path in paths)
    return {path.name: number for path, number in zip(paths, files.targets.tolist(), strict=True)}


TRAIN_CLASSES = {"n01_1.JPEG": 1, "n01_2.JPEG": 1, "n02_1.jpg": 2, "n03_1.JPEG": 0}
VAL_CLASSES = {"val_1.JPEG": 2, "val_2.JPEG": 0, "val_3.JPEG": 1}


@pytest.mark.parametrize("layout", [kaggle, torchvisions])
@pytest.mark.parametrize("above", ["", "imagenet"])
def test_both_layouts_give_the_same_and_classes_come_from_the_index(layout, above, tmp_path):
    (tmp_path / above).mkdir(exist_ok=True)
    layout(tmp_path / above)
    train, val = read_folders(tmp_path, 3)
    assert told(train) == TRAIN_CLASSES and told(val) == VAL_CLASSES
    assert train.targets.dtype == val.targets.dtype == torch.int64
    assert train.names.tolist() == [name.encode() for name in TRAIN]


def test_without_an_index_classes_are_counted_in_the_order_of_the_training_folders(tmp_path):
    plain(tmp_path)
    (tmp_path / "val" / "n01" / "val_3.JPEG").unlink()
    (tmp_path / "val" / "n01").rmdir()  # a class without validation images moves no number
    train, val = read_folders(tmp_path, 3)
    assert told(train) == {"n01_1.JPEG": 0, "n01_2.JPEG": 0, "n02_1.jpg": 1, "n03_1.JPEG": 2}
    assert told(val) == {"val_1.JPEG": 1, "val_2.JPEG": 2}


def test_names_are_bytes_of_one_length_and_a_part_of_them_is_a_part_of_the_files(tmp_path):
    train, _ = read_folders(kaggle(tmp_path), 3)
    assert train.names.dtype.kind == "S"
    some = train[np.array([3, 0])]
    assert len(some) == 2 and told(some) == {"n03_1.JPEG": 0, "n01_1.JPEG": 1}
    assert some.path(0) == tmp_path / IMAGES / "train" / "n03" / "n03_1.JPEG"


@pytest.mark.parametrize("layout", [kaggle, torchvisions])
def test_hidden_files_and_what_is_no_image_are_left_out(layout, tmp_path):
    layout(tmp_path)
    for folder in [path for path in tmp_path.rglob("*") if path.is_dir()]:
        for name in ("._n01_9.JPEG", "README.txt", "n01.tar"):
            (folder / name).write_text("no image")
    for folder in tmp_path.rglob("train"):
        (folder / ".cache").mkdir()
        (folder / "labels.csv").write_text("no folder")
    train, val = read_folders(tmp_path, 3)
    assert told(train) == TRAIN_CLASSES and told(val) == VAL_CLASSES


def test_a_name_that_is_no_utf_8_leads_to_its_file(tmp_path):
    name = b"val_\xff.JPEG".decode("utf-8", "surrogateescape")
    try:
        add_images(torchvisions(tmp_path) / "val" / "n02", [name])
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    assert told(read_folders(tmp_path, 3)[1]) == {**VAL_CLASSES, name: 2}


def remove(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


BOTH = (
    r"two layouts, Kaggle's \(ILSVRC/.*train/WNID/.*index\.json.*labels\.json.*\) or torchvision's \(train/WNID/.*val/"
)
BROKEN = {
    "neither layout": (plain, lambda root: (root / "val").rename(root / "valid"), rf"it holds train, valid; .*{BOTH}"),
    "many other things": (
        lambda root: [(root / f"{number}").mkdir() for number in range(8)], lambda root: None,
        rf"no ImageNet in .*: it holds 0, 1, 2, 3, 4 and 3 more; data_root is .*{BOTH}",
    ),
    "an empty folder": (lambda root: None, lambda root: None, rf"no ImageNet in .*: it is empty; .*{BOTH}"),
    "no folder": (lambda root: None, lambda root: root.rmdir(), rf"no ImageNet in .*: it is no folder; .*{BOTH}"),
    "a file": (plain, lambda root: (remove(root), root.touch()), rf"no ImageNet in .*: it is no folder; .*{BOTH}"),
    "no index": (kaggle, lambda root: (root / INDEX).unlink(), rf"/{INDEX} is missing; expected is .*{BOTH}"),
    "no labels": (kaggle, lambda root: (root / LABELS).unlink(), rf"/{LABELS} is missing; expected is .*{BOTH}"),
    "an index that is no JSON": (
        torchvisions, lambda root: (root / INDEX).write_text('{"0":\n'), rf"/{INDEX} is not JSON: Expecting value"
    ),
    "labels that are no text": (
        kaggle, lambda root: (root / LABELS).write_bytes(b"\xff\xfe"), rf"/{LABELS} is not JSON: .*utf-8"
    ),
    "labels that are a list": (
        kaggle, lambda root: (root / LABELS).write_text("[1, 2]"), rf"/{LABELS} holds a list; allowed is an object"
    ),
    "an index from 1": (
        kaggle, lambda root: write_index(root, {1: "n01", 2: "n02", 3: "n03"}),
        rf"/{INDEX} lists 3 .*; allowed are 3, as",
    ),
    "an index of two": (
        kaggle, lambda root: write_index(root, {0: "n01", 1: "n02"}),
        rf"/{INDEX} lists 2 classes; allowed are 3, as .*n01",
    ),
    "a class twice": (
        kaggle, lambda root: write_index(root, {0: "n01", 1: "n02", 2: "n01"}),
        rf"/{INDEX} lists 3 classes; allowed are 3",
    ),
    "an index of numbers": (
        kaggle, lambda root: (root / INDEX).write_text('{"0": 5, "1": 6, "2": 7}'),
        rf"/{INDEX} lists 3 classes; allowed",
    ),
    "an index of words": (
        kaggle, lambda root: (root / INDEX).write_text('{"a": ["n01"]}'), rf"/{INDEX} lists 1 classes; allowed are 3"
    ),
    "a folder that the index lacks": (
        kaggle, lambda root: add_images(root / IMAGES / "train", ["n07/n07_1.JPEG"]),
        rf"/train has folders of n07, which .*/{INDEX} does not list",
    ),
    "a folder that torchvision's index lacks": (
        torchvisions, lambda root: write_index(root, {0: "n01", 1: "n02", 2: "n07"}),
        rf"/train has folders of n03, which .*/{INDEX} does not list",
    ),
    "labels of one image only": (
        kaggle, lambda root: (root / LABELS).write_text('{"val_2.JPEG": "n01"}'),
        rf"/{LABELS} has no label for 2 of 3 images in .*/val, the first is val_1\.JPEG; allowed is one for each",
    ),
    "labels that the index lacks": (
        kaggle, lambda root: (root / LABELS).write_text(json.dumps({**VAL, "val_2.JPEG": "n99"})),
        rf"/{LABELS} names n99, which .*/{INDEX} does not list",
    ),
    "labels that are numbers": (
        kaggle, lambda root: (root / LABELS).write_text(json.dumps(dict.fromkeys(VAL, 1))),
        rf"/{LABELS} names 1, which .*/{INDEX} does not list",
    ),
    "too few classes": (
        plain, lambda root: remove(root / "train" / "n02"),
        rf"/train holds 2 classes; allowed are 3, or {INDEX} in .* to number them",
    ),
    "a class for validation only": (
        plain, lambda root: add_images(root / "val", ["n09/val_4.JPEG"]),
        r"/val has folders of n09, which .*/train does not list",
    ),
    "no training images": (
        kaggle, lambda root: [path.unlink() for path in (root / IMAGES / "train").rglob("*.*")],
        rf"/train holds no images \(\.jpeg, \.jpg, \.png\); expected is .*{BOTH}",
    ),
    "no validation images": (
        kaggle, lambda root: [path.unlink() for path in (root / IMAGES / "val").iterdir()],
        rf"/val holds no images \(\.jpeg, \.jpg, \.png\); expected is .*{BOTH}",
    ),
    "no validation images in folders": (
        torchvisions, lambda root: [path.unlink() for path in (root / "val").rglob("*.*")],
        rf"/val holds no images \(\.jpeg, \.jpg, \.png\); expected is .*{BOTH}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_fit_is_one_line_that_says_what_is_there_and_what_is_wanted(case, tmp_path):
    layout, breaking, message = BROKEN[case]
    root = tmp_path / "root"
    root.mkdir()
    layout(root)
    breaking(root)
    with pytest.raises(InputError, match=message) as caught:
        read_folders(root, 3)
    assert "\n" not in str(caught.value) and str(root) in str(caught.value)


def test_what_was_wrong_can_be_mended_and_read_again(tmp_path):
    kaggle(tmp_path)
    (tmp_path / INDEX).unlink()
    with pytest.raises(InputError):
        read_folders(tmp_path, 3)
    write_index(tmp_path)
    assert told(read_folders(tmp_path, 3)[1]) == VAL_CLASSES
