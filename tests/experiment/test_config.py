"""Keys, their values and their checks; identity; every shipped profile."""

import copy
import dataclasses
import pickle
from decimal import Decimal

import numpy as np
import pytest
import torch
from checkout import ROOT

from jointens import Experiment, InputError
from jointens.experiment.identity import read_identity
from jointens.sweeps import num_parameters

PROFILES = sorted((ROOT / "notebooks" / "profiles").glob("*.yml"))


def test_texts_are_read_as_yaml_and_plain_exponents_are_numbers():
    experiment = Experiment(
        learning_rate="5e-4", beta_vals="[0, 1e-1, 1.0]", seeds="3", train_size="none", stack="false"
    )
    assert experiment.learning_rate == 5e-4
    assert experiment.beta_vals == (0.0, 0.1, 1.0)
    assert experiment.seeds == (3,)
    assert experiment.train_size is None
    assert experiment.stack is False


def test_beta_has_the_digits_of_its_cells_file_and_large_seeds_are_told_apart():
    experiment = Experiment(beta_vals=[-0.0, 0.1 + 0.2], seeds=[10**12, 10**12 + 1])
    assert str(experiment.beta_vals) == "(0.0, 0.3)"
    assert len({str(cell) for cell in experiment.cells}) == 4


@pytest.mark.parametrize("number", [6, 11, 21, 101])
def test_beta_of_float32_are_those_of_lists(number):
    listed = Experiment(beta_vals=[round(step / (number - 1), 10) for step in range(number)])
    floats = (torch.linspace(0, 1, number), np.linspace(0, 1, number, dtype=np.float32), np.linspace(0, 1, number))
    for values in floats:
        assert Experiment(beta_vals=values) == Experiment(beta_vals=values.tolist()) == listed
    assert Experiment(beta_vals=torch.tensor(0.6)).beta_vals == (0.6,)
    for kept in (2**-10, 1.5, 0.333333333333, 0.600000023842):  # the last: in folders that were trained before
        assert Experiment(beta_vals=kept).beta_vals == (kept,)


@pytest.mark.parametrize("nothing", [None, "none", "null", "~", ""])
def test_optional_keys_take_every_word_for_nothing(nothing):
    experiment = Experiment(**dict.fromkeys(("train_size", "loss", "lr_switch", "stack", "out", "tag"), nothing))
    assert experiment == Experiment()


def test_the_switches_follow_the_number_of_epochs():
    experiment = Experiment(num_epochs=60)
    assert experiment.switches == (24, 39, 54)
    assert dataclasses.replace(experiment, num_epochs=120).switches == (48, 78, 108)
    assert Experiment(num_epochs=1).switches == (1, 1, 1)  # after the only epoch


def test_numbers_of_numpy_and_ranges_are_taken():
    experiment = Experiment(seeds=range(3), beta_vals=np.linspace(0, 1, 3), num_epochs=np.int64(7))
    assert (experiment.seeds, experiment.beta_vals, experiment.num_epochs) == ((0, 1, 2), (0.0, 0.5, 1.0), 7)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"num_epochs": "many"}, "num_epochs is 'many'; allowed is a whole number"),
        ({"num_epochs": 2.5}, "num_epochs is 2.5; allowed is a whole number"),
        ({"num_epochs": True}, "num_epochs is True; allowed is a whole number"),
        ({"num_epochs": 0}, "num_epochs is 0; allowed is at least 1"),
        ({"learning_rate": 0}, "allowed is more than 0"),
        ({"learning_rate": "nan"}, "allowed is a finite number"),
        ({"label_noise": 1.5}, "label_noise is 1.5; allowed is at most 1"),
        ({"store_outputs": 1}, "store_outputs is 1; allowed is true or false"),
        ({"seeds": []}, "allowed are one or more values, no two the same"),
        ({"seeds": [1, 1]}, "no two the same"),
        ({"seeds": [-1]}, "seeds is -1; allowed is at least 0"),
        ({"dataset": "mnist"}, "dataset is 'mnist'; known are digits, diabetes"),
        ({"base_learner": "RNN"}, "base_learner is 'RNN'; known are MLP"),
        ({"optimiser": "LBFGS"}, "known are SGD, Adam"),
        ({"average": "median"}, "known are scores, probabilities, released"),
        ({"dataset": "diabetes", "loss": "cross_entropy"}, "loss is cross_entropy; diabetes allows squared_error"),
        ({"train_size": 5000}, r"train_size is 5000; allowed for digits is 1\.\.1000"),
        ({"dataset": "diabetes", "label_noise": 0.2}, "regression set"),
        ({"tag": "a/b"}, "without a path separator"),
        ({"tag": "a\\b"}, "without a path separator"),
        ({"tag": ".."}, "without a path separator"),
        ({"tag": "x" * 300}, "without a path separator"),
        ({"tag": "a\nb"}, "allowed are printable characters"),
        ({"data_root": "a\nb"}, "allowed are printable characters"),
        ({"factor": 0}, "factor is 0.0; allowed is more than 0"),
        ({"scheduler": "Cosine"}, "known are ExponentialLR, Linear, none"),
        ({"dataset": "CIFAR-10", "train_size": 40_001}, r"allowed for CIFAR-10 is 1\.\.40000"),
        ({"seeds": "2020-13-45"}, "seeds is '2020-13-45'; allowed is a whole number"),
        ({"seeds": b"ab"}, "allowed is a whole number"),
        ({"stack": "!!bool x"}, "stack is '!!bool x'; allowed is true or false"),
        ({"learning_rate": "1e39"}, "learning_rate is '1e39'; allowed is a finite number"),
        ({"beta_vals": "1" * 400}, "allowed is a finite number"),
        ({"num_learners": 10**20}, "allowed is at most 10000"),
        ({"batch_size": 10**20}, "allowed is at most"),
        ({"hidden": [10**20]}, "allowed is at most"),
        ({"beta_vals": [-0.0, 0.0]}, "no two the same"),
        ({"beta_vals": [0.3, 0.1 + 0.2]}, "no two the same"),
        ({"hidden": ["wide"]}, "hidden is 'wide'; allowed is a whole number"),
        ({"hidden": ["3"]}, "hidden is '3'; allowed is a whole number"),
        ({"kept_learners": 6}, r"kept_learners is 6; allowed is 1\.\.5, num_learners"),
        ({"kept_learners": 0}, "kept_learners is 0; allowed is at least 1"),
        ({"diversity_cap": 0}, "diversity_cap is 0.0; allowed is more than 0"),
        ({"warm_start": -1}, "warm_start is -1; allowed is at least 0"),
        ({"warm_start": 60}, "warm_start is 60; allowed is less than num_epochs, 60"),
        ({"hidden": [1, True]}, "hidden is True; allowed is a whole number"),
        ({"num_epochs": "1:30"}, "num_epochs is '1:30'; allowed is a whole number"),
        ({"train_size": " "}, "train_size is ' '; allowed is a whole number"),
        ({"lr_switch": 0}, "lr_switch is 0; allowed is at least 1"),
        ({"lr_switch": [3, 0]}, "lr_switch is 0; allowed is at least 1"),
        ({"lr_switch": [3, "x"]}, "lr_switch is 'x'; allowed is a whole number"),
        ({"lr_switch": "x"}, "lr_switch is 'x'; allowed is a whole number"),
        ({"target": True}, "target is True; allowed is a text"),
        ({"target": [3]}, r"target is \[3\]; allowed is a text"),
        ({"seeds": "1:5"}, "seeds is '1:5'; allowed is a whole number"),
        ({"seeds": "[1:5]"}, "seeds is '1:5'; allowed is a whole number"),
        ({"beta_vals": "0:1:0.1"}, "beta_vals is '0:1:0.1'; allowed is a finite number"),
        ({"dataset": None}, "dataset is None; allowed is a text, known are digits"),
        ({"dataset": "csv:"}, "dataset is 'csv:'; allowed is csv:PATH"),
        ({"label_noise": Decimal("0.5")}, "allowed is a finite number"),
        ({"momentum": 2, "num_epochs": 0}, "momentum is 2.0; allowed is at most 1"),  # the first key of several
        ({"momentum": 2, "num_learner": 3}, "unknown key 'num_learner'; the nearest known one is 'num_learners'"),
    ],
)
def test_bad_values_are_named(keys, message):
    with pytest.raises(InputError, match=message) as caught:
        Experiment(**keys)
    assert "\n" not in str(caught.value)


def test_texts_follow_yaml_1_2_and_the_words_of_1_1_for_true_and_false_stay():
    experiment = Experiment(num_epochs="010", seeds="[007, 010]", tag="010", stack="no", download="Yes")
    assert (experiment.num_epochs, experiment.seeds, experiment.tag) == (10, (7, 10), "010")
    assert experiment.stack is False and experiment.download is True


def test_paths_are_taken_as_texts(tmp_path):
    assert Experiment(out=tmp_path, data_root=tmp_path).out == str(tmp_path)


def test_replacing_a_key_reads_and_checks_it():
    experiment = Experiment(num_epochs=3)
    assert dataclasses.replace(experiment, num_epochs="4", seeds=2) == Experiment(num_epochs=4, seeds=[2])
    for keys, message in (
        ({"num_epochs": 0}, "num_epochs is 0; allowed is at least 1"),
        ({"dataset": "diabetes"}, "loss is cross_entropy; diabetes allows squared_error"),
        ({"num_epoch": 4}, "unknown key 'num_epoch'; the nearest known one is 'num_epochs'"),
    ):
        with pytest.raises(InputError, match=message):
            dataclasses.replace(experiment, **keys)
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.num_epochs = 4
    assert tuple(field.name for field in dataclasses.fields(Experiment)) == Experiment.names()


def test_experiments_are_equal_if_their_keys_are_and_survive_being_copied():
    experiment = Experiment(seeds=[1], loss="cross_entropy")
    assert experiment.hash and experiment == Experiment(seeds=1) and hash(experiment) == hash(Experiment(seeds=1))
    for copied in (copy.deepcopy(experiment), pickle.loads(pickle.dumps(experiment))):
        assert copied == experiment and copied.hash == experiment.hash


def test_every_key_belongs_to_the_identity_or_to_how_it_runs():
    assert sorted(Experiment.identity_keys() + Experiment.run_keys()) == sorted(Experiment.names())
    assert {"numbers", *Experiment.identity_keys()} == set(Experiment().identity())
    assert Experiment.run_keys()[:2] == ("beta_vals", "seeds") and "device" in Experiment.run_keys()


def test_an_unknown_key_is_told_with_the_nearest_known_one():
    with pytest.raises(InputError, match="unknown key 'num_learner'; the nearest known one is 'num_learners'"):
        Experiment.from_dict({"num_learner": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed: [0]\n", "profile.yml: unknown key 'sed'; the nearest known one is 'seeds'"),
        ("- a\n", "holds a list; allowed are lines `key: value`"),
        ("a: [\n", "is not YAML"),
        ("seeds: [0]\nnum_epochs: 3\nseeds: [1]\n", 'is not YAML .line 3: a second value for the key "seeds"'),
        ("seeds: 2020-13-45\n", "is not YAML"),
        ("false\n", "holds a bool"),
    ],
)
def test_bad_profiles_are_named_in_one_line(tmp_path, text, message):
    path = tmp_path / "profile.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        Experiment.from_profile(path)
    assert "\n" not in str(caught.value)


def test_a_profile_is_yaml_1_2(tmp_path):
    path = tmp_path / "profile.yml"
    path.write_text("dataset: diabetes\nnum_epochs: 010   # ten\nseeds: [007, 010]\nlearning_rate: 5e-4\n")
    experiment = Experiment.from_profile(path)
    assert (experiment.num_epochs, experiment.seeds, experiment.learning_rate) == (10, (7, 10), 5e-4)
    path.write_text("num_epochs: 1:30\n")
    with pytest.raises(InputError, match="num_epochs is '1:30'; allowed is a whole number"):
        Experiment.from_profile(path)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_every_shipped_profile_loads(profile):
    assert Experiment.from_profile(profile).cells


def test_a_profile_yields_to_overrides():
    experiment = Experiment.from_profile(PROFILES[0], num_epochs="3", seeds="[5]")
    assert (experiment.num_epochs, experiment.seeds) == (3, (5,))


def test_the_hash_covers_what_the_numbers_depend_on_and_nothing_else():
    plain = Experiment()
    for same in (
        {"seeds": [7]}, {"beta_vals": [0.5]}, {"out": "x"}, {"tag": "t"}, {"device": "cpu"}, {"stack": False},
        {"store_outputs": False}, {"save_weights": False}, {"lr_switch": [24, 39, 54]}, {"loss": "cross_entropy"},
        {"data_root": "x"}, {"download": True}, {"factor": 0.5},
    ):  # fmt: skip
        assert Experiment(**same).hash == plain.hash, same
    others = [
        {"dataset": "diabetes"}, {"train_size": 400}, {"label_noise": 0.1}, {"hidden": [32]}, {"num_learners": 3},
        {"average": "released"}, {"optimiser": "Adam"}, {"learning_rate": 0.2}, {"momentum": 0}, {"weight_decay": 1},
        {"rate_per_learner": True}, {"scheduler": "none"}, {"gamma": 0.5}, {"lr_switch": [1]}, {"batch_size": 32},
        {"num_epochs": 61}, {"val_size": 100}, {"test_size": 100}, {"width": 2}, {"scheduler": "Linear"},
        {"scheduler": "Linear", "factor": 0.1}, {"optimiser": "RMSprop"}, {"base_learner": "ResNet18"},
        {"kept_learners": 2}, {"kept_learners": 3}, {"warm_start": 5}, {"diversity_cap": 0.1}, {"diversity_cap": 0.2},
    ]  # fmt: skip
    hashes = [Experiment(**other).hash for other in others]
    assert len({plain.hash, *hashes}) == len(others) + 1


def test_the_hash_does_not_drift():
    """A changed default, or a changed way to hash, orphans every results folder there is: not by accident."""
    assert Experiment().hash == "3ffc9707"
    assert Experiment(train_size=400, label_noise=0.2).hash == "a7f18d1e"


def test_an_identity_that_yaml_1_1_wrote_is_read_as_it_was(tmp_path):
    """PyYAML put no quotes around texts such as 12e4, which YAML 1.2 takes for numbers."""
    (tmp_path / "experiment.yml").write_text(
        "numbers: 2\ndataset: csv:/a.csv\ntarget: 12e4\nweight_decay: 1.0e-07\n"
        "content: 1234567890123e45\nhash: 12e45678\n"
    )
    assert read_identity(tmp_path) == {
        "numbers": 2, "dataset": "csv:/a.csv", "target": "12e4", "weight_decay": 1e-7, "content": "1234567890123e45",
    }  # fmt: skip


def test_linear_falls_at_every_epoch_down_to_zero_after_the_last():
    linear = Experiment(scheduler="Linear", num_epochs=4)
    assert (linear.switches, linear.fall) == ((1, 2, 3), 0.25)
    assert linear.hash == Experiment(scheduler="Linear", num_epochs=4, lr_switch=[1, 2, 3], factor=0.25).hash
    assert Experiment(scheduler="Linear", lr_switch=[30, 50], factor=0.4).fall == 0.4
    assert Experiment(factor=0.4).fall is None


def test_the_number_of_weights_is_that_of_all_learners():
    assert num_parameters(Experiment(dataset="CIFAR-10", base_learner="CNN")) == 5 * 31_340
    assert num_parameters(Experiment(hidden=[8], num_learners=1, width=2)) == 64 * 16 + 16 + 16 * 10 + 10


def test_the_default_name_tells_dataset_learner_and_hash():
    experiment = Experiment(train_size=400)
    assert experiment.name == f"digits-MLP-{experiment.hash}"
    assert Experiment(tag="mine").name == "mine"


def test_from_namespace_takes_what_is_a_key_and_leaves_the_rest():
    others = {"figure": object(), "seed_colour": "red", "joint": 1.0, "checkpoint": "best", "_dataset": "mnist"}
    assert Experiment.from_namespace({"num_epochs": 3, **others}) == Experiment(num_epochs=3)


@pytest.mark.parametrize(
    ("name", "near"), [("num_learner", "num_learners"), ("epochs", "num_epochs"), ("betavals", "beta_vals")]
)
def test_from_namespace_refuses_misspelt_parameters(name, near):
    with pytest.raises(InputError, match=f"unknown key '{name}'; the nearest known one is '{near}'"):
        Experiment.from_namespace({name: 3})
