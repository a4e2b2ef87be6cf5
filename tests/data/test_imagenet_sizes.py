"""Parts of ImageNet of any size, with as many images of every class, and label noise in them."""

import json
import re

import pytest
import torch
from imagenet_folders import TRAIN, add_images, write_index

from jointens import InputError
from jointens.data.imagenet import IMAGES, LABELS
from jointens.data.splits import load_data


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
