"""Splits, label noise and scaling, from the seed alone."""

import pytest
import torch

from jointens.data.registry import DATASETS
from jointens.data.splits import load_data


@pytest.mark.parametrize("name", ["digits", "diabetes"])
def test_parts_do_not_overlap_and_have_the_protocols_sizes(name):
    data, dataset = load_data(name, seed=0), DATASETS[name]
    assert (len(data.train), len(data.val), len(data.test)) == dataset.sizes
    assert data.train.inputs.shape[1:] == dataset.input_shape
    everything = torch.cat([part.inputs.flatten(1) for part in (data.train, data.val, data.test)])
    whole, _ = dataset.read()
    assert len(everything) == len(whole)
    assert len(everything.unique(dim=0)) == len(whole.flatten(1).unique(dim=0))


def test_the_split_depends_on_the_seed_alone():
    first, again, other = (load_data("digits", seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert torch.equal(first.test.targets, again.test.targets)
    assert not torch.equal(first.test.targets, other.test.targets)


def test_a_smaller_training_part_changes_nothing_else():
    full, small = (load_data("digits", seed=0, train_size=n, label_noise=0.5) for n in (None, 100))
    assert len(small.train) == 100
    assert torch.equal(small.train.inputs, full.train.inputs[:100])
    assert torch.equal(small.train.targets, full.train.targets[:100])
    assert torch.equal(small.val.targets, full.val.targets)
    assert torch.equal(small.val.inputs, full.val.inputs)
    assert torch.equal(small.test.inputs, full.test.inputs)


def test_smaller_validation_and_test_parts_are_the_first_of_them():
    full, small = (load_data("digits", seed=0, **keys) for keys in ({}, {"val_size": 20, "test_size": 30}))
    assert (len(small.train), len(small.val), len(small.test)) == (1000, 20, 30)
    assert torch.equal(small.val.inputs, full.val.inputs[:20])
    assert torch.equal(small.test.targets, full.test.targets[:30])


def test_label_noise_is_on_train_and_validation_labels_only():
    clean, noisy = load_data("digits", seed=0), load_data("digits", seed=0, label_noise=0.5)
    changed = {
        part: (getattr(clean, part).targets != getattr(noisy, part).targets).float().mean()
        for part in ("train", "val", "test")
    }
    # A redrawn label is another one nine times out of ten: 45 % expected, three standard errors allowed.
    assert abs(changed["train"] - 0.45) < 0.05
    assert abs(changed["val"] - 0.45) < 0.09
    assert changed["test"] == 0
    assert torch.equal(clean.train.inputs, noisy.train.inputs)


def test_regression_is_standardised_on_the_training_part():
    data = load_data("diabetes", seed=0)
    torch.testing.assert_close(data.train.inputs.mean(0), torch.zeros(10), rtol=0, atol=1e-5)
    torch.testing.assert_close(data.train.inputs.std(0, correction=0), torch.ones(10))
    torch.testing.assert_close(data.train.targets.std(correction=0), torch.tensor(1.0))
    assert data.test.inputs.mean(0).abs().max() > 1e-3  # by the training part's statistics, not by its own


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        (
            "mnist",
            {},
            "unknown dataset 'mnist'; known are digits, diabetes, CIFAR-10, .*, abalone, csv:PATH, import:MODULE:FUNC",
        ),
        ("diabetes", {"target": "age"}, "target is 'age'; diabetes has its own, only csv:PATH takes one"),
        ("digits", {"train_size": 1001}, r"train_size is 1001; allowed for digits is 1\.\.1000"),
        ("digits", {"val_size": 301}, r"val_size is 301; allowed for digits is 1\.\.300"),
        ("digits", {"test_size": 0}, r"test_size is 0; allowed for digits is 1\.\.497"),
        ("diabetes", {"label_noise": 0.1}, "regression set and allows only 0"),
    ],
)
def test_bad_input_is_named(name, keys, message):
    with pytest.raises(ValueError, match=message):
        load_data(name, seed=0, **keys)
