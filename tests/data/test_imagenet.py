"""ImageNet in folders: two layouts that mean the same, and one line for whatever is missing or does not fit."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from jointens import InputError
from jointens.data.imagenet import IMAGES, INDEX, LABELS, read_folders
from jointens.data.splits import load_data

INDEXED = {0: "n03", 1: "n01", 2: "n02"}  # not in the order of the folders
TRAIN = ["n01/n01_1.JPEG", "n01/n01_2.JPEG", "n02/n02_1.jpg", "n03/n03_1.JPEG"]
VAL = {"val_1.JPEG": "n02", "val_2.JPEG": "n03", "val_3.JPEG": "n01"}


def write_index(root, indexed=INDEXED):
    (root / INDEX).write_text(json.dumps({str(number): [wnid, f"word {number}"] for number, wnid in indexed.items()}))


def add_images(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(folder / name, format="JPEG")


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


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """All of ImageNet's classes, two training images of each but three of one, one for validation; the files are
    empty, since nobody opens them."""
    root = tmp_path_factory.mktemp("thousand")
    wnids = [f"n{number:08}" for number in range(1000)]
    labels = {f"val_{number:04}.JPEG": wnid for number, wnid in enumerate(wnids)}
    for wnid in wnids:
        folder = root / IMAGES / "train" / wnid
        folder.mkdir(parents=True)
        for number in range(3 if wnid == wnids[7] else 2):
            (folder / f"{wnid}_{number}.JPEG").touch()
    (root / IMAGES / "val").mkdir()
    for name in labels:
        (root / IMAGES / "val" / name).touch()
    (root / LABELS).write_text(json.dumps(labels))
    write_index(root, dict(enumerate(wnids)))
    return root


def imagenet(root, **keys):
    return load_data("ImageNet", **{"seed": 0, "train_size": 2001, "val_size": 1000, "data_root": root, **keys})


def test_sizes_that_are_all_there_is_give_all_of_it_in_the_order_of_the_names(thousand):
    data = imagenet(thousand)
    assert (len(data.train), len(data.val)) == (2001, 1000)
    assert data.train.names.tolist() == sorted(data.train.names.tolist())
    assert data.train.targets.bincount().tolist() == [3 if number == 7 else 2 for number in range(1000)]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"train_size": None}, "train holds 2001 images, of ImageNet's 1281167; .* give train_size=2001"),
        ({"train_size": 2002}, "train holds 2001 images, of ImageNet's 1281167; .* give train_size=2001"),
        ({"val_size": None}, "val holds 1000 images, of ImageNet's 50000; .* give val_size=1000"),
        ({"val_size": 1001}, "val holds 1000 images, of ImageNet's 50000; .* give val_size=1000"),
    ],
)
def test_a_sample_does_not_pass_for_all_of_imagenet(keys, message, thousand):
    with pytest.raises(InputError, match=message) as caught:
        imagenet(thousand, **keys)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("size", "counts"), [(1000, {1}), (1500, {1, 2}), (2000, {2}), (10, {0, 1})])
def test_a_smaller_part_has_as_many_of_every_class_and_the_first_of_them(size, counts, thousand):
    small, larger = (imagenet(thousand, train_size=of).train for of in (size, min(size + 300, 2000)))
    assert len(small) == size and set(small.targets.bincount(minlength=1000).tolist()) == counts
    assert set(small.names.tolist()) <= set(larger.names.tolist())
    if size == 1000:
        assert all(name.endswith(b"_0.JPEG") for name in small.names.tolist())
    assert all(int(name[1:9]) == number for name, number in zip(small.names, small.targets.tolist(), strict=True))


def test_a_size_that_would_take_more_of_some_classes_is_refused(tmp_path):
    add_images(tmp_path / "train", TRAIN)
    add_images(tmp_path / "val", ["n01/val_1.JPEG", "n01/val_2.JPEG"])
    write_index(tmp_path, {0: "n01", 1: "n02", 2: "n03", **{number: f"m{number}" for number in range(3, 1000)}})
    assert len(imagenet(tmp_path, train_size=4, val_size=2).train) == 4
    with pytest.raises(InputError, match="train_size is 3; as many of every class are at most 0 in ImageNet, or all 4"):
        imagenet(tmp_path, train_size=3, val_size=2)
    with pytest.raises(InputError, match="val_size is 1; as many of every class are at most 0 in ImageNet, or all 2"):
        imagenet(tmp_path, train_size=4, val_size=1)


def test_the_test_part_is_the_validation_part(thousand):
    for keys in ({}, {"val_size": 500}, {"val_size": 500, "test_size": 500}, {"label_noise": 0.5}):
        data = imagenet(thousand, **keys)
        assert data.test is data.val
    for keys in ({"test_size": 500}, {"val_size": None, "test_size": 50_000}):
        size = re.escape(f"test_size is {keys['test_size']}; ImageNet has no test part of its own")
        with pytest.raises(InputError, match=size):
            imagenet(thousand, **keys)


def test_label_noise_changes_labels_and_no_file(thousand):
    clean, noisy, again, other = (
        imagenet(thousand, label_noise=noise, seed=seed) for noise, seed in ((0, 0), (0.5, 0), (0.5, 0), (0.5, 1))
    )
    for part in ("train", "val"):
        plain, drawn, same, others = (getattr(data, part) for data in (clean, noisy, again, other))
        assert plain.names.tolist() == drawn.names.tolist() == others.names.tolist()
        assert 0.4 < (plain.targets != drawn.targets).float().mean() < 0.6
        assert torch.equal(drawn.targets, same.targets) and not torch.equal(drawn.targets, others.targets)
    # The next who asks finds what was read as it was.
    assert torch.equal(imagenet(thousand, seed=3).train.targets, clean.train.targets)


def test_label_noise_of_an_image_does_not_depend_on_the_size(thousand):
    whole, small = (imagenet(thousand, label_noise=0.5, train_size=size).train for size in (2001, 700))
    labels = dict(zip(whole.names.tolist(), whole.targets.tolist(), strict=True))
    assert [labels[name] for name in small.names.tolist()] == small.targets.tolist()
