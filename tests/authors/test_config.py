"""The bridge to the authors' repository: its configuration, read as it is."""

import dataclasses
import itertools
import math
import re

import pytest
from authors import DATA, REMOVED, SHIPPED, shipped, values, write

from jointens import Experiment, InputError, Results
from jointens.authors import convert, read_experiment
from jointens.cli import main


@pytest.fixture
def configs(tmp_path):
    return tmp_path / "configs" / "sweep"


# ---- their configuration


def test_probs_false_asks_which_of_its_meanings(configs):
    write(configs, SHIPPED)
    with pytest.raises(InputError) as told:
        read_experiment(configs)
    assert str(told.value) == (
        f"{configs}/experiment.json: probs is false, which has two meanings; choose average=scores (what the "
        "configuration says) or average=released (what the authors' code computes from it: averaged probabilities, "
        "handed on as scores)"
    )


@pytest.mark.parametrize("average", ["released", "scores"])
@pytest.mark.parametrize("data_above", [True, False])
def test_the_shipped_configuration(configs, average, data_above):
    write(configs, SHIPPED, data_above=data_above)
    assert read_experiment(configs, average=average) == Experiment(
        dataset="CIFAR-10", base_learner="ResNet18", num_learners=5, average=average,
        beta_vals=(0, 0.2, 0.4, 0.6, 0.8, 1), seeds=(0, 1, 2, 3, 4),
        optimiser="SGD", learning_rate=0.1, momentum=0.9, weight_decay=0.0005,
        scheduler="ExponentialLR", gamma=0.2, lr_switch=(30, 50, 70), batch_size=128, num_epochs=80, device="cuda",
    )  # fmt: skip


def test_overrides_win_and_may_be_texts(configs):
    write(configs, SHIPPED)
    texts = {"average": "scores", "seeds": "[7]", "num_epochs": "3", "lr_switch": "[2]", "weight_decay": "5e-3"}
    read = read_experiment(configs, **texts, dataset="digits", base_learner="MLP")
    assert (read.seeds, read.num_epochs, read.lr_switch, read.weight_decay) == ((7,), 3, (2,), 0.005)
    assert (read.dataset, read.base_learner, read.batch_size) == ("digits", "MLP", 128)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"probs": True}, {"average": "probabilities"}),
        ({"average": "released"}, {"average": "released"}),
        ({"probs": REMOVED, "average": "scores"}, {"average": "scores"}),
        ({"scheduler": None, "gamma": REMOVED}, {"scheduler": "none"}),
        ({"scheduler": "Linear", "factor": 0.1, "gamma": REMOVED}, {"scheduler": "Linear", "factor": 0.1}),
        ({"factor": False}, {"factor": None}),
        ({"optimiser": "Adam", "momentum": REMOVED}, {"optimiser": "Adam"}),
        ({"max_patience": 3, "device": REMOVED}, {"device": "auto"}),
        ({"label_noise": 0.1, "width": 2}, {"label_noise": 0.1, "width": 2}),
    ],
)
def test_what_their_files_may_say(configs, changes, expected):
    read = read_experiment(
        write(configs, shipped(**{"average": "scores", **changes} if "probs" not in changes else changes))
    )
    plain = read_experiment(write(configs, shipped(average="scores")))
    assert read == dataclasses.replace(plain, **expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bata_vals": [0]}, "experiment.json: unknown key 'bata_vals'; the nearest known one is 'beta_vals'"),
        ({"probs": 1}, "experiment.json: probs is 1; allowed is true or false"),
        ({"probs": REMOVED}, "experiment.json lacks the key 'probs'"),
        ({"seeds": REMOVED}, "experiment.json lacks the key 'seeds'"),
        ({"num_epochs": REMOVED}, "optim.json lacks the key 'num_epochs'"),
        ({"momentum": REMOVED, "probs": True}, "optim.json lacks the key 'momentum', needed by SGD and RMSprop"),
        ({"scheduler": "Linear", "factor": False, "probs": True}, "lacks the key 'factor', needed by Linear"),
        ({"dataset": "CIFAR-11", "probs": True}, "dataset is 'CIFAR-11'; known are digits"),
        ({"dataset": ["SVHN"], "probs": True}, "dataset is ['SVHN']; allowed is a text"),
        ({"base_learner": "MobileViT", "probs": True}, "base_learner is 'MobileViT'; known are MLP"),
        ({"base_learner": "MobileViT_IN", "probs": True}, "takes images of at least 64×64 pixels; CIFAR-10 has inputs"),
        ({"optimiser": ["SGD"], "probs": True}, "optimiser is ['SGD']; allowed is a text"),
        ({"learning_rate": math.nan, "probs": True}, "learning_rate is nan; allowed is a finite number"),
        ({"factor": 0, "probs": True}, "factor is 0.0; allowed is more than 0"),
        ({"lr_switch": [0], "probs": True}, "lr_switch is 0; allowed is at least 1"),
        ({"dataset": "digits", "base_learner": "MLP", "probs": True}, "data.json does not list the data set digits; "),
    ],
)  # fmt: skip
def test_a_mistake_in_their_files_is_one_line(configs, capsys, changes, message):
    write(configs, shipped(**changes))
    with pytest.raises(InputError, match=re.escape(message)):
        read_experiment(configs)
    assert main(["run", "--released", str(configs)]) == 2
    told = capsys.readouterr()
    assert message in told.err and told.err.count("\n") == 1 and told.out == ""


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ({"num_classes": 100}, "num_classes of CIFAR-10 is 100; allowed is 10"),
        ({"num_class": 10}, "unknown key 'num_class'; the nearest known one is 'num_classes'"),
        ({}, "num_classes of CIFAR-10 is None; allowed is 10"),
        (10, "CIFAR-10 is 10; allowed is an object of keys and values"),
    ],
)
def test_another_data_set_of_that_name_is_refused(configs, of, message):
    write(configs, SHIPPED | {"data.json": DATA | {"CIFAR-10": of}})
    with pytest.raises(InputError, match=re.escape(f"{configs.parent}/data.json: {message}")):
        read_experiment(configs, average="scores")


def test_a_switch_that_is_no_list_is_refused(configs):
    """In their ImageNet code a whole number is an interval; their sweep cannot read it."""
    write(configs, shipped(lr_switch=6))
    with pytest.raises(InputError, match=r"optim.json: lr_switch is 6; a sweep takes a list of epochs"):
        read_experiment(configs, average="scores")
    assert read_experiment(configs, average="scores", lr_switch=[6]).switches == (6,)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read .*NAME: No such file or directory|NAME is missing, and there is none in the folder above"),
        ("{'seeds': [0]}", "NAME is not JSON: Expecting property name enclosed in double quotes: line 1 column 2"),
        ("[" * 200_000, "NAME is not JSON: "),
        ("[1]", "NAME holds a list; allowed is an object of keys and values"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read(configs, name, content, message):
    write(configs, {at: what for at, what in SHIPPED.items() if at != name} | ({name: content} if content else {}))
    with pytest.raises(InputError, match=message.replace("NAME", re.escape(name))):
        read_experiment(configs, average="scores")


# ---- the command line


def test_run_released_from_the_command_line(configs, tmp_path, capsys):
    write(configs, SHIPPED)
    small = ["dataset=digits", "base_learner=MLP", "hidden=[8]", "train_size=64", "num_learners=2", "num_epochs=1"]
    keys = [*small, "seeds=0", "beta_vals=[0,1]", "device=cpu", f"out={tmp_path / 'runs'}", "average=released"]
    for words in (["--released", str(configs), *keys], [*keys[:3], "--released", str(configs), *keys[3:]]):
        assert main(["run", *words]) == 0
        folder = capsys.readouterr().out.splitlines()[-1]
        results = Results.at(folder)
        assert len(results.records()) == 2 and results.experiment.average == "released"
    assert len(list((tmp_path / "runs").iterdir())) == 1


# ---- real images


@pytest.mark.realdata
def test_the_shipped_configuration_trains_on_cifar10(configs, tmp_path, cifar10_root, capsys):
    write(configs, SHIPPED)
    capped = ["train_size=10", "val_size=10", "test_size=10", "num_epochs=1", "seeds=0", "beta_vals=1"]
    where = [f"data_root={cifar10_root}", f"out={tmp_path / 'runs'}", "device=cpu"]
    assert main(["run", "--released", str(configs), *capped, *where, "average=released"]) == 0
    results = Results.at(capsys.readouterr().out.splitlines()[-1])
    assert (results.experiment.base_learner, results.experiment.num_learners) == ("ResNet18", 5)
    (record,) = results.records()
    losses = list(itertools.chain(*(metrics.ensemble for metrics in record.history.splits.values())))
    assert len(losses) == 2 and min(losses) > 1.461  # averaged probabilities as scores: no lower loss is possible
    (values_there,) = values(convert(results.folder, tmp_path / "there")).values()
    (objective,) = record.history.objective
    assert values_there["train_loss"] == pytest.approx([objective * 10 / 50_000])
    assert values_there["val_acc_ind"].shape == (1, 5)
