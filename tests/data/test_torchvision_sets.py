"""CIFAR and SVHN: the protocol's split, class-balanced caps, and one line for what is missing or damaged."""

import tarfile
from http.client import IncompleteRead

import numpy as np
import pytest
import torch
import torchvision

from jointens import InputError
from jointens.data.registry import DATASETS
from jointens.data.splits import load_data
from jointens.data.torchvision_sets import files, read_images

NAMES = ["CIFAR-10", "CIFAR-100", "SVHN"]


def official(name, root, part):
    """Images (N, 32, 32, 3) and classes as torchvision gives them, one after the other."""
    which = {"split": part} if name == "SVHN" else {"train": part == "train"}
    images = getattr(torchvision.datasets, name.replace("-", ""))(root, **which)
    return np.stack([np.asarray(image) for image, _ in images]), [label for _, label in images]


@pytest.mark.parametrize("name", NAMES)
def test_the_split_is_the_protocols(name, small_sets):
    num_train, num_val, num_test = DATASETS[name].sizes
    data = load_data(name, seed=3, data_root=small_sets)
    train, train_classes = official(name, small_sets, "train")
    test, test_classes = official(name, small_sets, "test")
    if name == "SVHN":  # the test set's first half is the test part, its second half validation
        expected = {
            "train": (train, train_classes),
            "val": (test[num_test:], test_classes[num_test:]),
            "test": (test[:num_test], test_classes[:num_test]),
        }
    else:  # the training set's first images are for validation
        expected = {
            "train": (train[num_val:], train_classes[num_val:]),
            "val": (train[:num_val], train_classes[:num_val]),
            "test": (test, test_classes),
        }
    for part, (images, classes) in expected.items():
        ours = getattr(data, part)
        assert ours.inputs.dtype == torch.uint8 and ours.inputs.shape[1:] == (3, 32, 32)
        assert np.array_equal(ours.inputs.permute(0, 2, 3, 1).numpy(), images)
        assert ours.targets.tolist() == list(classes)
    assert (len(data.train), len(data.val), len(data.test)) == (num_train, num_val, num_test)


def test_the_real_sizes_are_the_protocols():
    assert DATASETS["CIFAR-10"].sizes == DATASETS["CIFAR-100"].sizes == (40_000, 10_000, 10_000)
    assert DATASETS["SVHN"].sizes == (73_257, 13_016, 13_016)
    assert [DATASETS[name].num_outputs for name in NAMES] == [10, 100, 10]


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_normalised_as_torchvision_does(name, small_sets):
    images = load_data(name, seed=0, data_root=small_sets).test.inputs[:5]
    mean, std = (
        ((0.1307,), (0.3081,))
        if name == "SVHN"
        else (np.array([125.3, 123.0, 113.9]) / 255, np.array([63.0, 62.1, 66.7]) / 255)
    )
    expected = torchvision.transforms.functional.normalize(images / 255, list(mean), list(std))
    torch.testing.assert_close(DATASETS[name].prepare(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "size"), [("CIFAR-10", 57), ("CIFAR-10", 5), ("CIFAR-100", 250), ("SVHN", 200)])
def test_a_capped_part_is_class_balanced_and_a_part_of_a_larger_one(name, size, small_sets):
    num_classes = DATASETS[name].num_outputs
    small, larger, whole = (
        load_data(name, seed=0, train_size=n, label_noise=noise, data_root=small_sets).train
        for n, noise in ((size, 0), (size + 13, 0), (None, 0))
    )
    counts = small.targets.bincount(minlength=num_classes)
    assert len(small) == size and counts.max() - counts.min() <= 1
    assert torch.equal(small.inputs, larger.inputs[:size]) and torch.equal(small.targets, larger.targets[:size])
    first = whole.inputs[whole.targets == 3][: counts[3]]  # of a class, the first images of the part
    assert torch.equal(small.inputs[small.targets == 3], first)


def test_label_noise_of_an_image_does_not_depend_on_the_cap(small_sets):
    noisy, clean = (load_data("CIFAR-10", seed=0, label_noise=x, data_root=small_sets).train for x in (0.5, 0))
    small = load_data("CIFAR-10", seed=0, label_noise=0.5, train_size=50, data_root=small_sets).train
    rows = [(clean.inputs == image).flatten(1).all(1).nonzero().item() for image in small.inputs]
    assert torch.equal(small.targets, noisy.targets[rows])
    assert 0 < (noisy.targets != clean.targets).float().mean() < 0.9


def test_seeds_share_the_images_in_memory(small_sets):
    one, other = (load_data("CIFAR-10", seed=seed, data_root=small_sets) for seed in (0, 1))
    assert one.train.inputs.data_ptr() == other.train.inputs.data_ptr()


def test_labels_that_a_user_changes_are_the_users_own(small_sets):
    first = load_data("CIFAR-10", seed=0, data_root=small_sets)
    before = first.train.targets.clone()
    first.train.targets[:] = 7
    assert torch.equal(load_data("CIFAR-10", seed=1, data_root=small_sets).train.targets, before)


def test_what_cannot_be_read_is_one_line(small_sets, monkeypatch):
    for root, message in (
        (small_sets / ("x" * 300), "is not readable"),
        ("~nobody-of-that-name/data", "names the home directory of a user who has none here"),
    ):
        with pytest.raises(InputError, match=message):
            load_data("CIFAR-10", seed=0, data_root=root)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", refuse)
    with pytest.raises(InputError, match=r"data_batch_1 is not readable .Permission denied."):
        load_data("CIFAR-10", seed=0, data_root=small_sets)


def test_a_download_that_breaks_off_is_one_line(tmp_path, monkeypatch):
    def breaks_off(*_, **__):
        raise IncompleteRead(b"")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", breaks_off)
    with pytest.raises(InputError, match=r"CIFAR-10 cannot be downloaded to .*IncompleteRead"):
        load_data("CIFAR-10", seed=0, data_root=tmp_path, download=True)


def test_too_few_images_of_a_class_are_told(small_sets, monkeypatch):
    path = small_sets / "test_32x32.mat"
    from scipy.io import loadmat, savemat

    content = loadmat(path)
    content["y"][content["y"] == 3] = 4  # all threes become fours
    content["y"][60] = 3  # but one, in the second half: validation
    savemat(path, {"X": content["X"], "y": content["y"]})
    split = {part: [*of[:2], None] for part, of in torchvision.datasets.SVHN.split_list.items()}
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", split)
    message = "val_size is 20; as many of every class are at most 10 in SVHN, or all 50"
    with pytest.raises(InputError, match=message):
        load_data("SVHN", seed=0, val_size=20, data_root=small_sets)
    assert len(load_data("SVHN", seed=0, val_size=10, data_root=small_sets).val) == 10


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_or_damaged_file_is_named(name, small_sets):
    path, checksum = files(name, small_sets)[-1]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"!")
    with pytest.raises(InputError, match=f"{name} cannot be read: {path} is damaged .its MD5 is not {checksum}.; "):
        load_data(name, seed=0, data_root=small_sets)
    path.unlink()
    with pytest.raises(InputError, match=f"{path} is missing; give data_root, .* or download=true to fetch it"):
        load_data(name, seed=0, data_root=small_sets)
    path.write_bytes(whole)
    assert len(load_data(name, seed=0, data_root=small_sets).train) == DATASETS[name].sizes[0]


def test_a_missing_set_is_fetched_when_that_is_allowed(small_sets, web, tmp_path_factory, monkeypatch):
    folder, address = web
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(small_sets / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", f"{address}/cifar-10-python.tar.gz")
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", None)
    root = tmp_path_factory.mktemp("elsewhere") / "data"
    with pytest.raises(InputError, match="is missing"):
        load_data("CIFAR-10", seed=0, data_root=root)
    assert not root.exists()
    fetched = load_data("CIFAR-10", seed=0, data_root=root, download=True)
    there = load_data("CIFAR-10", seed=0, data_root=small_sets)
    assert torch.equal(fetched.test.inputs, there.test.inputs)


def test_a_failed_download_is_one_line(web, tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", f"{web[1]}/nothing.tar.gz")
    with pytest.raises(InputError, match=r"CIFAR-10 cannot be downloaded to .*: HTTP Error 404") as caught:
        load_data("CIFAR-10", seed=0, data_root=tmp_path, download=True)
    assert "\n" not in str(caught.value)


@pytest.mark.realdata
@pytest.mark.slow
def test_the_real_cifar_10(cifar10_root):
    images, classes = read_images("CIFAR-10", cifar10_root.absolute())
    assert images.shape == (60_000, 3, 32, 32) and classes.bincount().tolist() == [6000] * 10
    data = load_data("CIFAR-10", seed=0, data_root=cifar10_root, train_size=1000)
    assert (len(data.val), len(data.test)) == (10_000, 10_000)
    assert data.train.targets.bincount().tolist() == [100] * 10
    # The protocol's mean and deviation are those of the training images, to the digits it gives.
    inputs = DATASETS["CIFAR-10"].prepare(load_data("CIFAR-10", seed=0, data_root=cifar10_root).train.inputs)
    assert inputs.mean((0, 2, 3)).abs().max() < 0.02 and (inputs.std((0, 2, 3)) - 1).abs().max() < 0.02
