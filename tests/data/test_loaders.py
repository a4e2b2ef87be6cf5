"""Loaders: epochs that can be begun in their midst, and evaluation of all there is, in order."""

import copy
import itertools
import warnings

import numpy as np
import pytest
import torch

from jointens import Experiment, InputError
from jointens.data import FileLoader, ImageFiles, MemoryLoader, evaluation_transform
from jointens.data.loaders import EVALUATED_FILES
from jointens.sweeps import make_loader, make_trainer

CPU = torch.device("cpu")


@pytest.fixture
def of_files(toy_root):
    """Makes the loader of a part of toy-imagenet; the targets are the numbers of the images, so that one sees which."""

    def make(seed=0, numbered=True, **keys):
        small = {"train_size": 60, "val_size": 24, "batch_size": 16, "image_size": 32, "base_learner": "ShuffleNet_IN"}
        experiment = Experiment(dataset="toy-imagenet", data_root=str(toy_root), **{**small, "device": "cpu", **keys})
        loader = make_loader(experiment, [seed], CPU)
        assert isinstance(loader, FileLoader)
        if numbered:
            for part in ("train", "val"):
                files = getattr(loader, part)
                setattr(loader, part, ImageFiles(files.folder, files.names, torch.arange(len(files))))
        return loader

    return make


@pytest.fixture
def in_memory(small_sets):
    """Makes the loader of two seeds of a data set."""

    def make(dataset, seeds=(0, 1), **keys):
        learner = {"CIFAR-10": "CNN", "digits": "MLP"}[dataset]
        small = {"train_size": 60, "val_size": 24, "batch_size": 16, "base_learner": learner, "device": "cpu"}
        experiment = Experiment(dataset=dataset, data_root=str(small_sets), **{**small, **keys})
        loader = make_loader(experiment, seeds, CPU, runs=len(seeds))
        assert isinstance(loader, MemoryLoader)
        return loader

    return make


def epoch(loader, skip=0):
    """Inputs and targets of the batches of the next epoch."""
    return [(batch.inputs, batch.targets) for batch in itertools.starmap(loader.batch, loader.epoch(skip))]


def assert_same(ours, expected):
    assert len(ours) == len(expected) > 0
    for one, other in zip(ours, expected, strict=True):
        assert all(map(torch.equal, one, other))


@pytest.fixture(params=["files", "CIFAR-10", "digits"])
def make(request):
    """Makes the same loader again and again, of every kind."""
    if request.param == "files":
        return request.getfixturevalue("of_files")
    in_memory = request.getfixturevalue("in_memory")
    return lambda **keys: in_memory(request.param, **keys)


@pytest.mark.parametrize("skip", [1, 3])
def test_an_epoch_goes_on_where_it_was_left(skip, make):
    loader, other = make(), make()
    epoch(loader)
    begun = list(itertools.islice(loader.epoch(), skip))  # killed here, and its state was taken
    other.load_state(loader.state())
    rest, following = epoch(other, skip=skip), epoch(other)

    straight = make()
    epoch(straight)
    whole = epoch(straight)
    assert len(begun) == skip and len(whole) == 4 and whole[-1][1].shape[-1] == 12  # 60 images, 16 at a time
    assert_same(rest, whole[skip:])
    assert_same(following, epoch(straight))


@pytest.fixture
def running(toy_root, small_sets):
    """Makes a trainer of three epochs of four steps, of learners with dropout; its states go into a list."""

    def make(dataset, states=None, **keys):
        learner, size, root = {
            "toy-imagenet": ("MobileNet_IN", 32, toy_root),
            "CIFAR-10": ("CNN", None, small_sets),
            "digits": ("MLP", None, small_sets),
        }[dataset]
        experiment = Experiment(
            dataset=dataset, base_learner=learner, image_size=size, data_root=str(root), train_size=64, val_size=24,
            batch_size=16, num_epochs=3, num_learners=1, seeds=[0], beta_vals=[1], learning_rate=0.01, hidden=[8],
            device="cpu", **keys,
        )  # fmt: skip

        def note(trainer, number, losses):
            states.append(copy.deepcopy(trainer.state()))

        return make_trainer(experiment, experiment.cells, on_validation=None if states is None else note)

    return make


@pytest.mark.parametrize("every", [None, 3, 2])
@pytest.mark.parametrize("dataset", ["toy-imagenet", "CIFAR-10", "digits"])
@pytest.mark.slow
def test_training_goes_on_from_any_validation_as_if_it_had_not_stopped(dataset, every, running):
    """At the end of an epoch, too, after which the next one has another order."""
    states = []
    (whole,) = running(dataset, states, validate_every=every).run()
    assert len(states) == {None: 3, 3: 3, 2: 6}[every]
    for state in states[:3]:
        trainer = running(dataset, validate_every=every)
        trainer.load_state(state)
        (ours,) = trainer.run()
        assert ours.history == whole.history and ours.test == whole.test


def test_two_epochs_differ_and_the_next_loader_begins_with_the_same(make):
    loader = make()
    (first, *_), (second, *_) = epoch(loader), epoch(loader)
    assert not torch.equal(first[1], second[1]) and not torch.equal(first[0], second[0])
    assert_same(epoch(make())[:1], [first])


def test_an_epoch_has_every_training_image_once(of_files):
    loader = of_files()
    for _ in range(2):
        found = epoch(loader)
        assert [tuple(images.shape) for images, _ in found] == [(1, size, 3, 32, 32) for size in (16, 16, 16, 12)]
        numbers = torch.cat([targets for _, targets in found], dim=1)
        assert numbers.shape == (1, 60) and sorted(numbers[0].tolist()) == list(range(60))


def test_another_seed_has_another_order_and_other_crops(of_files):
    (one, *_), (other, *_) = epoch(of_files(seed=0)), epoch(of_files(seed=1))
    assert not torch.equal(one[1], other[1])
    numbers = [torch.cat([targets for _, targets in epoch(of_files(seed=seed, train_size=16))], 1) for seed in (0, 1)]
    images = [torch.cat([images for images, _ in epoch(of_files(seed=seed, train_size=16))], 1) for seed in (0, 1)]
    sorted_images = [of[0, number[0].argsort()] for of, number in zip(images, numbers, strict=True)]
    assert (sorted_images[0] != sorted_images[1]).flatten(1).any(1).all()  # the same 16 images, each cut otherwise


def test_an_epoch_in_memory_has_every_training_example_once_for_each_seed(in_memory):
    loader = in_memory("digits")
    found = torch.cat([inputs for inputs, _ in epoch(loader)], dim=1)
    for seed in range(2):
        ours, expected = (sorted(map(tuple, of[seed].flatten(1).tolist())) for of in (found, loader.train.inputs))
        assert ours == expected
    assert not torch.equal(found[0], found[1])


def test_images_that_are_not_augmented_are_as_they_are(in_memory):
    loader = in_memory("CIFAR-10", augmentation="none")
    for (rows,) in loader.epoch():
        batch = loader.batch(rows)
        for seed in range(2):
            assert torch.equal(batch.inputs[seed], loader.train.inputs[seed][rows[seed]])
            assert torch.equal(batch.targets[seed], loader.train.targets[seed][rows[seed]])


def test_another_augmentation_changes_neither_order_nor_crops(in_memory):
    epochs = {
        name: list(in_memory("CIFAR-10", augmentation=name).epoch()) for name in ("protocol", "crop_flip", "none")
    }
    for (rows, draws), (other_rows, other_draws), (bare_rows,) in zip(*epochs.values(), strict=True):
        assert torch.equal(rows, other_rows) and torch.equal(rows, bare_rows)
        assert torch.equal(draws[..., :3], other_draws[..., :3])
        assert draws[..., 3].any() and not other_draws[..., 3].any()


def test_a_seed_gets_the_same_alone_and_beside_others(in_memory):
    both, alone = epoch(in_memory("CIFAR-10", seeds=(0, 1))), epoch(in_memory("CIFAR-10", seeds=(1,)))
    assert_same([[of[1:] for of in batch] for batch in both], alone)


def test_a_batch_of_which_every_image_is_damaged_is_empty(of_files, tmp_path):
    keys = {"train_size": 24, "batch_size": 8}
    order = torch.cat([targets[0] for _, targets in epoch(of_files(**keys))]).tolist()
    loader = of_files(**keys, skip_damaged=True)
    paths = [loader.train.path(row) for row in range(24)]
    for row in order[8:16]:
        paths[row] = tmp_path / f"{row}.JPEG"
        paths[row].write_text("damaged")
    loader.train = ImageFiles(tmp_path, np.array([bytes(path) for path in paths]), loader.train.targets)
    with pytest.warns(UserWarning, match="skipped"):
        found = list(loader.epoch())
    assert [len(batch) for batch in found] == [2, 0, 2]
    assert found[2][1][0].tolist() == order[16:]


# ---- evaluation


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        ({}, 24),
        ({"measured_size": 12}, 12),
        ({"measured_size": 30}, 30),
        ({"measured_size": 1000}, 60),
        ({"train_size": None, "val_size": None}, 240),
        ({"train_size": None, "measured_size": 36}, 36),
        ({"train_size": 480, "val_size": 240}, 240),
        ({"train_size": 120, "measured_size": 60}, 60),
    ],
    ids=str,
)
def test_the_measured_images_are_of_all_classes_and_as_many_as_asked_for(keys, size, of_files):
    loader = of_files(numbered=False, **keys)
    assert len(loader.train_probe) == size == len(set(loader.train_probe.names.tolist()))
    assert set(loader.train_probe.names.tolist()) <= set(loader.train.names.tolist())
    counts = loader.train_probe.targets.bincount(minlength=12)
    assert counts.min() > 0 and counts.max() - counts.min() <= 1


@pytest.mark.parametrize("dataset", ["CIFAR-10", "digits"])
def test_the_measured_examples_in_memory_are_as_many_as_asked_for(dataset, in_memory):
    for keys, size in (({}, 24), ({"measured_size": 7}, 7), ({"measured_size": 1000}, 60)):
        loader = in_memory(dataset, **keys)
        assert torch.equal(loader.train_probe.inputs, loader.train.inputs[:, :size])
        assert loader.train_probe.targets.shape == (2, size)


def test_nothing_is_measured_where_that_is_wanted(make):
    assert make(measured_size=0).train_probe is None


def test_groups_are_all_of_validation_in_order_as_evaluation_sees_it(of_files):
    from torchvision.io import ImageReadMode, decode_image

    loader = of_files(val_size=None, image_size=48)
    groups = [list(group) for group in loader.groups(loader.val)]
    assert [len(group) for group in groups] == [1, 1, 1, 1]  # 240 images, EVALUATED_FILES at a time
    parts = [part for group in groups for part in group]
    assert parts[0].targets.shape == (1, EVALUATED_FILES)
    assert torch.cat([part.targets for part in parts], dim=1).tolist() == [list(range(240))]
    images = torch.cat([part.inputs for part in parts], dim=1)
    assert images.shape == (1, 240, 3, 48, 48)
    for row in (0, 130, 239):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            image = decode_image(str(loader.val.path(row)), mode=ImageReadMode.RGB)
        assert torch.equal(images[0, row], evaluation_transform(48)(image))


def test_evaluation_takes_nothing_from_the_streams_of_training(make):
    loader, other = make(), make()
    for part in (loader.val, loader.train_probe):
        for group in loader.groups(part):
            list(group)
    assert_same(epoch(loader), epoch(other))


def test_groups_in_memory_are_all_of_validation_in_order(in_memory):
    loader = in_memory("CIFAR-10", val_size=60, batch_size=8)
    loader.runs = 50  # so that a chunk has 20 examples
    (group,) = loader.groups(loader.val)
    chunks = list(group)
    assert [chunk.targets.shape for chunk in chunks] == [(2, 20)] * 3
    assert torch.equal(torch.cat([chunk.inputs for chunk in chunks], dim=1), loader.val.inputs)
    assert torch.equal(torch.cat([chunk.targets for chunk in chunks], dim=1), loader.val.targets)


def test_the_kind_of_loader_follows_from_the_data_set(toy_root):
    keys = {"device": "cpu", "data_root": str(toy_root)}
    files = make_loader(Experiment(dataset="toy-imagenet", base_learner="ShuffleNet_IN", **keys), [3], CPU, runs=1)
    assert isinstance(files, FileLoader) and files.reading.workers == 0  # training takes all cores of a CPU
    assert isinstance(make_loader(Experiment(**keys), [3, 4], CPU, runs=4), MemoryLoader)
    with pytest.raises(InputError, match="decode is gpu, and the device is cpu; use decode=cpu"):
        make_loader(Experiment(dataset="toy-imagenet", decode="gpu", **keys), [0], CPU, runs=1)
    keys |= {"workers": 3, "skip_damaged": True}
    reading = make_loader(Experiment(dataset="toy-imagenet", **keys), [0], CPU, runs=1).reading
    assert (reading.workers, reading.decode, reading.skip_damaged, reading.device) == (3, "cpu", True, CPU)
