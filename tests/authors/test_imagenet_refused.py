"""Results on ImageNet that cannot be converted, each named in one line."""

import json
import math
import re

import pytest
from authors import shipped, write
from authors_imagenet import EXPERIMENT, FILES, KEYS, OPTIM, SHIPPED, file_of, theirs

import jointens
from jointens import InputError, Results
from jointens.authors import convert


def refused(source, tmp_path, **overrides):
    """The message; nothing is written."""
    with pytest.raises(InputError) as told:
        convert(source, tmp_path / "ours", **overrides)
    assert [path.name for path in tmp_path.iterdir()] == [source.name] and "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("name", KEYS)
def test_a_missing_key_is_named(tmp_path, name):
    files = {FILES[0]: file_of(0.0), FILES[1]: file_of(1.0)}
    del files[FILES[1]][name]
    source = theirs(tmp_path / "source", files)
    assert refused(source, tmp_path) == f"{source / FILES[1]} lacks the key {name!r}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_div": [0.5] * 21}, "val_div is no list of 22 numbers"),
        ({"val_loss": 0.5}, "val_loss is no list of 22 numbers"),
        ({"val_acc_ens": ["0.5"] * 22}, "val_acc_ens is no list of 22 numbers"),
        ({"val_ind_loss": [None] * 22}, "val_ind_loss is no list of 22 numbers"),
        ({"val_top_5_acc": [True] * 22}, "val_top_5_acc is no list of 22 numbers"),
        ({"val_acc_ind": [[0.5, 0.5]] * 22}, "val_acc_ind is no list of 22×3 numbers"),
        ({"val_ens_loss": []}, "holds no validation"),
        ({"val_ens_loss": 1.5}, "holds no validation"),
        ({"train_loss": 0.5}, "train_loss is no list of numbers"),
        ({"train_loss": None}, "train_loss is no list of numbers"),
        ({"train_loss": ["0.5"]}, "train_loss is no list of numbers"),
        ({"lr_switch": 6}, "lr_switch"),
        ({"lr_switch": ["6"]}, "lr_switch"),
        ({"run": 1}, "is of seed 1 and beta 0.0, not of what its name says"),
        ({"beta": 1.0}, "is of seed 0 and beta 1.0, not of what its name says"),
        ({"run": "0"}, ""),
        ({"beta": "0.0"}, ""),
    ],
)
def test_a_damaged_file_is_named(tmp_path, changes, message):
    source = theirs(tmp_path / "source", **changes)
    told = refused(source, tmp_path)
    assert told.startswith(f"{source / FILES[0]}") and message in told and len(told) < 400


@pytest.mark.parametrize("beta", ["nan", "inf", "None", "1e+300"])
def test_a_beta_that_is_none_is_refused(tmp_path, beta):
    told = {"nan": math.nan, "inf": math.inf, "None": None, "1e+300": 1e300}[beta]
    name = f"results_seed:0_beta:{beta}.json"
    source = theirs(tmp_path / "source", {name: file_of(0.0, beta=told)})
    assert refused(source, tmp_path).startswith(f"{source / name}")


def test_two_files_of_one_cell_are_refused(tmp_path):
    source = theirs(tmp_path / "source", {FILES[0]: file_of(0.0), "results_seed:0_beta:0.json": file_of(0)})
    assert "results_seed:0_beta:0.json" in refused(source, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON: Expecting value"),
        ('{"beta": 0.0, ', "is not JSON: "),
        ("[1]", "holds a list; allowed is an object of keys and values"),
    ],
)
def test_a_file_that_is_no_object_is_named(tmp_path, content, message):
    source = theirs(tmp_path / "source", {FILES[0]: content, FILES[1]: file_of(1.0)})
    assert refused(source, tmp_path).startswith(f"{source / FILES[0]} {message}")


@pytest.mark.parametrize("overrides", [{"learning_rate": 5}, {"average": "scores"}, {"lr_switch": [3]}])
def test_finished_files_are_not_renamed(tmp_path, overrides):
    source = theirs(tmp_path / "source")
    (name,) = overrides
    assert f"is finished, and its files say {name}; allowed here: none" in refused(source, tmp_path, **overrides)


def test_only_the_average_may_be_open(tmp_path):
    source = theirs(tmp_path / "source")
    (source / "experiment.json").write_text(json.dumps(EXPERIMENT | {"probs": False}))
    assert "probs is false, which has two meanings" in refused(source, tmp_path)
    assert "; allowed here: average" in refused(source, tmp_path, average="scores", gamma=0.5)
    assert Results.at(convert(source, tmp_path / "ours", average="scores")).experiment.average == "scores"


@pytest.mark.parametrize("files", [SHIPPED, shipped(validate_every=10, probs=True)])
def test_a_table_that_nobody_reads_is_not_passed_over(tmp_path, files):
    """Without a file for each cell such a folder holds nothing: it is not to become an empty one of ours."""
    source = write(tmp_path / "source", files, data_above=False)
    (source / "results.csv").write_text("beta,run\n")
    refused(source, tmp_path)


def test_files_of_imagenet_beside_a_sweeps_configuration_are_refused(tmp_path):
    source = theirs(tmp_path / "source")
    keys = EXPERIMENT | {"dataset": "CIFAR-10", "base_learner": "ResNet18"}
    (source / "experiment.json").write_text(json.dumps(keys))
    (source / "optim.json").write_text(json.dumps(OPTIM | {"lr_switch": [30]}))
    refused(source, tmp_path)


@pytest.mark.parametrize("keys", [{"validate_every": 1}, {"lr_switch": 1}, {"max_patience": 5}])
def test_a_sweep_that_theirs_cannot_train_cannot_be_written_as_theirs(tiny, tmp_path, keys):
    ours = jointens.run(tiny(seeds=[0], beta_vals=[0], num_epochs=1, **keys), progress=False)
    with pytest.raises(InputError, match="validates every so many steps on ImageNet, after each epoch elsewhere, and "):
        convert(ours.folder, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_imagenet_validated_after_each_epoch_cannot_be_written_as_theirs(written, tmp_path):
    ours = written({0: [1.5]}, validate_every=None)
    with pytest.raises(InputError, match=re.escape("was trained with validate_every=None; the authors' code")):
        convert(ours.folder, tmp_path / "there")
    assert not (tmp_path / "there").exists()
