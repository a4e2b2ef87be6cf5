"""ImageNet's results there and back: the authors' JSON file for each cell, with an entry for each validation."""

import dataclasses
import json
import math
import re

import pytest
from authors import DATA, shipped, write

import jointens
from jointens import Cell, Experiment, InputError, Results
from jointens.authors import convert, read_experiment
from jointens.cli import main
from jointens.common import read_yaml
from jointens.experiment import CellRecord
from jointens.reports.style import scale_of
from jointens.sweeps import make_trainer
from jointens.training import Trainer

KEYS = (
    "beta", "run", "lr_switch", "train_loss", "val_loss", "val_div", "val_ind_loss", "val_ens_loss", "val_acc_ens",
    "val_acc_ind", "val_top_5_acc",
)  # fmt: skip
CONFIGURATION = {"experiment.json", "optim.json", "data.json"}
FILES = ("results_seed:0_beta:0.0.json", "results_seed:0_beta:1.0.json")


@pytest.fixture(scope="module")
def trained(toy_root, tmp_path_factory):
    """A run of seven steps an epoch, of which three validations see six, and each step's objective: (sum, images)."""
    experiment = Experiment(
        dataset="toy-imagenet", base_learner="MLP", hidden=[8], image_size=32, num_learners=2, average="probabilities",
        train_size=100, val_size=48, batch_size=16, validate_every=2, num_epochs=3, measured_size=24, lr_switch=2,
        max_patience=4, seeds=[0], beta_vals=[0, 1], learning_rate=0.1, device="cpu", data_root=str(toy_root),
        out=str(tmp_path_factory.mktemp("runs")),
    )  # fmt: skip
    steps = {cell: [] for cell in experiment.cells}
    objective = Trainer._objective

    def noted(self, batch):
        found = objective(self, batch)
        steps[Cell(self.betas.item(), 0)].append((found.sum().item(), found.numel()))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_objective", noted)
        return jointens.run(experiment, progress=False), steps


def read(file):
    return json.loads(file.read_text())


@pytest.fixture
def written(tmp_path):
    """Makes results without training, from the validation losses of finished cells and of those in training."""

    def record(experiment, cell, losses, *, unfinished=False):
        number, each = len(losses), experiment.num_validations // experiment.num_epochs
        val = {
            "individual": [loss + 2 for loss in losses], "ensemble": losses, "diversity": [2.0] * number,
            "accuracy": [0.5] * number, "learner_accuracy": [[i / 64, 0.5] for i in range(number)],
            "top5_accuracy": [0.75] * number,
        }  # fmt: skip
        history = {
            "learning_rate": [experiment.learning_rate] * number, "objective": [3.0] * number, "val": val,
            "epoch": [i // each + 1 for i in range(number)], "epoch_objective": [2.5] * (number // each),
            "step": [i // each * experiment.steps_per_epoch + (i % each + 1) * 2 for i in range(number)],
        }  # fmt: skip
        finite = [loss for loss in losses if math.isfinite(loss)]
        best = losses.index(min(finite)) + 1 if finite else 0
        test = {
            when: None if unfinished else {name: values[at - 1] for name, values in val.items()}
            for when, at in (("best", best), ("last", number))
        }
        about = {"device": "cpu", "stack": []}
        return CellRecord.of(cell, best_epoch=best, test=test, history=history, provenance=about)

    def make(done, unfinished=(), **keys):
        small = {
            "dataset": "toy-imagenet", "base_learner": "MLP", "hidden": [8], "image_size": 32, "num_learners": 2,
            "average": "probabilities", "train_size": 96, "val_size": 48, "batch_size": 16, "validate_every": 2,
            "num_epochs": 3, "lr_switch": 8, "seeds": [0], "beta_vals": [0, 1], "device": "cpu", "store_outputs": False,
            "save_weights": False, "out": str(tmp_path / "runs"),
        }  # fmt: skip
        results = Results(Experiment(**small | keys))
        results.prepare()
        for beta, losses in dict(done).items():
            results.write(record(results.experiment, Cell(beta, 0), losses))
        for beta, losses in dict(unfinished).items():
            results.write_unfinished(record(results.experiment, Cell(beta, 0), losses, unfinished=True))
        return results

    return make


# ---- ours to theirs, and back


def contents(results):
    """What the authors' format has a place for, by cell, as the JSON files hold it."""
    found = {}
    for cell in (record.cell for record in results.records()):
        stored = read(results.path(cell))
        history = {
            name: stored["history"][name] for name in ("val", "learning_rate", "epoch", "step", "epoch_objective")
        }
        found[cell] = history | {"best_epoch": stored["best_epoch"], "test": stored["test"]}
    return found


def test_ours_there_and_back(trained, tmp_path):
    ours, _ = trained
    there = convert(ours.folder, tmp_path / "there")
    assert {path.name for path in there.iterdir()} == {*CONFIGURATION, *FILES}
    back = Results.at(convert(there, tmp_path / "back"))  # without asking for anything
    assert back.experiment.identity() == ours.experiment.identity() and back.experiment.hash == ours.experiment.hash
    found, expected = contents(back), contents(ours)
    assert found.keys() == expected.keys() == {(0, 0), (1, 0)}
    for cell, of in expected.items():
        assert {name: found[cell][name] for name in of if name != "test"} == {
            name: value for name, value in of.items() if name != "test"
        }
        test = found[cell]["test"]
        for name, value in of["test"]["best"].items():  # of the validation images, once more
            assert test["best"][name] == pytest.approx(value, abs=1e-6)
        # Ours was tested at the very end, a step after the last validation.
        assert test["last"] == {name: values[-1] for name, values in of["val"].items()}
    assert {record.provenance["device"] for record in back.records()} == {"jointens"}
    again = convert(back.folder, tmp_path / "again")
    assert {path.name for path in again.iterdir()} == {*CONFIGURATION, *FILES}
    for path in there.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


@pytest.fixture
def pairs(trained, tmp_path):
    """Each of our records, and their file of it."""
    ours, _ = trained
    there = convert(ours.folder, tmp_path / "there")
    return [(record, read(there / file)) for record, file in zip(ours.records(), FILES, strict=True)]


def test_the_keys_of_a_file_are_theirs_and_the_lists_our_validations(pairs):
    for record, file in pairs:
        assert tuple(file) == KEYS and (file["beta"], file["run"]) == (record.beta, record.seed)
        assert isinstance(file["beta"], float) and isinstance(file["run"], int)  # as in the file's name
        val = record.history.val
        assert file["val_ens_loss"] == val.ensemble and file["val_ind_loss"] == val.individual
        assert file["val_div"] == val.diversity and file["val_acc_ens"] == val.accuracy
        assert file["val_acc_ind"] == val.learner_accuracy and file["val_top_5_acc"] == val.top5_accuracy
        losses = zip(file["val_loss"], val.individual, val.diversity, strict=True)
        assert all(loss == individual - record.beta * diversity for loss, individual, diversity in losses)
    assert pairs[1][1]["val_loss"] == pytest.approx(pairs[1][1]["val_ens_loss"], abs=1e-5)  # β = 1


def test_lr_switch_lists_the_validations_after_which_the_rate_fell(pairs):
    for record, file in pairs:
        best, counter, falls = math.inf, 0, []
        for number, loss in enumerate(record.history.val.ensemble, 1):
            counter = 1 if loss < best else counter + 1
            best = min(best, loss)
            if counter % 2 == 0:
                falls.append(number)
        # What the last validation has changed was never trained with: their file is written before it, too.
        assert file["lr_switch"] == [number for number in falls if number < len(file["val_loss"])]
    assert all(file["lr_switch"] for _, file in pairs)


def test_train_loss_is_the_mean_objective_of_each_whole_epoch(trained, pairs):
    _, steps = trained
    lengths = []
    for record, file in pairs:
        own = steps[Cell(record.beta, record.seed)]
        epochs = [own[at : at + 7] for at in range(0, len(own) - 6, 7)]
        means = [sum(total for total, _ in epoch) / sum(size for _, size in epoch) for epoch in epochs]
        assert all(sum(size for _, size in epoch) == 100 for epoch in epochs)
        assert file["train_loss"] == pytest.approx(means, rel=1e-5)
        lengths.append(len(file["train_loss"]))
    assert lengths[0] == 3 and len(pairs[0][1]["val_loss"]) == 9


def test_their_files_say_how_we_trained(trained, tmp_path):
    there = convert(trained[0].folder, tmp_path / "there")
    assert read(there / "experiment.json") == {
        "dataset": "toy-imagenet", "base_learner": "MLP", "num_learners": 2, "seeds": [0], "beta_vals": [0.0, 1.0],
        "probs": True, "device": "cuda", "validate_every": 2, "train_size": 100, "val_size": 48, "test_size": 48,
        "image_size": 32, "measured_size": 24, "hidden": [8], "computed_by": "jointens",
    }  # fmt: skip
    assert read(there / "optim.json") == {
        "optimiser": "SGD", "scheduler": "ExponentialLR", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.0,
        "gamma": 0.2, "lr_switch": 2, "batch_size": 16, "num_epochs": 3, "max_patience": 4,
    }  # fmt: skip
    assert read(there / "data.json") == {"toy-imagenet": {"num_classes": 12}}


@pytest.mark.parametrize("patience", [None, 15])
@pytest.mark.parametrize("keys", [{}, {"lr_switch": [2, 3]}, {"scheduler": "Linear", "lr_switch": 2}])
def test_patience_and_its_absence_there_and_back(written, tmp_path, patience, keys):
    ours = written({0: [1.5, 1.25]}, max_patience=patience, **keys)
    there = convert(ours.folder, tmp_path / "there")
    assert read(there / "optim.json")["max_patience"] == (patience or 10**9)
    back = Results.at(convert(there, tmp_path / "back"))
    assert back.experiment.max_patience == patience and back.experiment.hash == ours.experiment.hash


def test_of_equal_losses_ours_keeps_the_first_there_and_back(written, tmp_path):
    ours = written({0: [2.0, 1.5, 1.75, 1.5]})
    back = Results.at(convert(convert(ours.folder, tmp_path / "there"), tmp_path / "back"))
    (record,), (returned,) = ours.records(), back.records()
    assert returned.best_epoch == record.best_epoch == 2 and returned.test == record.test


def test_losses_that_were_not_finite_survive_there_and_back(written, tmp_path):
    ours = written({0: [1.5, math.nan, 1.25, math.nan]})
    there = convert(ours.folder, tmp_path / "there")
    assert math.isnan(read(there / FILES[0])["val_ens_loss"][1])
    back = Results.at(convert(there, tmp_path / "back"))
    assert contents(back) == contents(ours)  # with null for NaN, which equals nothing
    assert back.records()[0].best_epoch == 3
    again = convert(back.folder, tmp_path / "again")
    assert (again / FILES[0]).read_bytes() == (there / FILES[0]).read_bytes()


# ---- cells in training


class Stopped(Exception):
    pass


def test_a_cell_in_training_is_among_the_files(trained, tmp_path):
    """Joint training is begun when independent training is finished: only that is in cells/ then."""
    ours, _ = trained
    results = Results(dataclasses.replace(ours.experiment, out=str(tmp_path / "runs")))
    results.prepare()

    def stop(trainer, number, losses):
        if number == 4:
            raise Stopped

    independent, joint = results.experiment.cells
    results.path(independent).write_bytes(ours.path(independent).read_bytes())
    trainer = make_trainer(results.experiment, [joint], on_validation=stop)
    with pytest.raises(Stopped):
        trainer.run()
    (run,) = trainer.so_far()
    parts = {"best_epoch": run.best_epoch, "test": run.test, "history": run.history}
    results.write_unfinished(CellRecord.of(joint, **parts, provenance={"device": "cpu"}))

    there = convert(results.folder, tmp_path / "there")
    assert {path.name for path in there.iterdir()} == {*CONFIGURATION, *FILES}
    file, whole = read(there / FILES[1]), ours.read(joint).history
    assert file["val_ens_loss"] == whole.val.ensemble[:4] and file["train_loss"] == whole.epoch_objective[:1]
    back = Results.at(convert(there, tmp_path / "back"))
    assert back.read(joint).history.step == whole.step[:4] == [2, 4, 6, 9]


@pytest.mark.parametrize("beta", [1, 0.5])  # of the grid that is usual, and of none
def test_before_any_cell_is_finished_the_files_are_ours_all_the_same(written, tmp_path, beta):
    ours = written({}, {beta: [1.5, 1.25]}, beta_vals=[beta])
    there = convert(ours.folder, tmp_path / "there")
    assert f"results_seed:0_beta:{float(beta)}.json" in {path.name for path in there.iterdir()}
    assert read(there / "experiment.json")["computed_by"] == "jointens"
    back = Results.at(convert(there, tmp_path / "back"))
    assert back.experiment.hash == ours.experiment.hash
    assert [record.provenance["device"] for record in back.records()] == ["jointens"]


# ---- theirs to ours, and back

EXPERIMENT = {
    "dataset": "ImageNet", "base_learner": "MobileViT_IN", "num_learners": 3, "seeds": [0], "beta_vals": [0.0, 1.0],
    "probs": True, "device": "cuda",
}  # fmt: skip
OPTIM = {
    "optimiser": "SGD", "scheduler": "ExponentialLR", "learning_rate": 0.5, "factor": False, "momentum": 0.9,
    "weight_decay": 1e-7, "gamma": 0.2, "lr_switch": 6, "batch_size": 32, "num_epochs": 1000, "max_patience": 15,
}  # fmt: skip
SHIPPED = {"experiment.json": EXPERIMENT, "optim.json": OPTIM, "data.json": DATA}
NUMBER = 22  # validations: an epoch has twenty


def file_of(beta, /, **changes):
    """What their imagenet.py writes: the lowest ensemble loss, 1.25, at validations 9 and 16."""
    losses = [1.25 if number in (9, 16) else 5 - number / 8 for number in range(1, NUMBER + 1)]
    return {
        "beta": beta, "run": 0, "lr_switch": [14, 21], "train_loss": [4.75],
        "val_loss": [loss + (1 - beta) * 0.5 for loss in losses], "val_div": [0.5] * NUMBER,
        "val_ind_loss": [loss + 0.5 for loss in losses], "val_ens_loss": losses,
        "val_acc_ens": [number / 32 for number in range(NUMBER)],
        "val_acc_ind": [[number / 64, 0.25, 0.125] for number in range(NUMBER)],
        "val_top_5_acc": [number / 24 for number in range(NUMBER)],
    } | changes  # fmt: skip


def theirs(folder, files=None, **changes):
    """A results folder of theirs; changes are of the file of β = 0."""
    files = files or {FILES[0]: file_of(0.0, **changes), FILES[1]: file_of(1.0)}
    write(folder, SHIPPED | {"paths.json": {"data": "data", "results": "results"}}, data_above=False)
    for name, content in files.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content, indent=4))
    return folder


def test_their_shipped_configuration_of_imagenet(tmp_path):
    experiment = read_experiment(write(tmp_path / "configs" / "imagenet", SHIPPED))
    assert experiment == Experiment(
        dataset="ImageNet", base_learner="MobileViT_IN", num_learners=3, average="probabilities", beta_vals=(0, 1),
        seeds=(0,), optimiser="SGD", learning_rate=0.5, momentum=0.9, weight_decay=1e-7, scheduler="ExponentialLR",
        gamma=0.2, lr_switch=6, max_patience=15, validate_every=2000, batch_size=32, num_epochs=1000, device="cuda",
    )  # fmt: skip
    assert experiment.input_shape == (3, 256, 256) and scale_of(experiment) == "authors"
    assert (experiment.steps_per_epoch, experiment.num_validations) == (40_037, 20_000)


def test_theirs_in_ours(tmp_path):
    folder = convert(theirs(tmp_path / "tag_ImageNet_2023"), tmp_path / "ours")
    results = Results.at(folder)
    assert results.experiment.cells == [Cell(0, 0), Cell(1, 0)] and results.converted
    assert read_yaml((folder / "experiment.yml").read_text())["numbers"] == "released"
    for record, file in zip(results.records(), (file_of(0.0), file_of(1.0)), strict=True):
        history = record.history.to_dict()
        assert set(history) == {"learning_rate", "epoch", "step", "val", "epoch_objective"}
        assert history["val"] == {
            "individual": file["val_ind_loss"], "ensemble": file["val_ens_loss"], "diversity": file["val_div"],
            "accuracy": file["val_acc_ens"], "learner_accuracy": file["val_acc_ind"],
            "top5_accuracy": file["val_top_5_acc"],
        }  # fmt: skip
        assert [history["step"][at] for at in (0, 19, 20, 21)] == [2000, 40_000, 42_037, 44_037]
        assert history["epoch"] == [1] * 20 + [2, 2] and history["epoch_objective"] == [4.75]
        assert history["learning_rate"] == pytest.approx([0.5] * 14 + [0.1] * 7 + [0.02])
        assert record.best_epoch == 16  # the last of the two lowest
        assert record.provenance["device"] == "authors' code"
    source = results.records()[1].provenance["source"]
    assert source == f"tag_ImageNet_2023/{FILES[1]}"
    assert str(tmp_path) not in "".join(path.read_text() for path in folder.rglob("*.*"))


def test_the_tests_of_theirs_are_the_validations_at_their_checkpoints(tmp_path):
    tests = Results.at(convert(theirs(tmp_path / "source"), tmp_path / "ours")).tests()
    assert len(tests) == 4 and not [name for name in tests.columns if name.startswith("train")]
    for (beta, _), rows in tests.groupby(["beta", "seed"]):
        best, last = (rows[rows["checkpoint"] == of].iloc[0] for of in ("best", "last"))
        assert (best["epoch"], best["ensemble"], best["individual"], best["diversity"]) == (16, 1.25, 1.75, 0.5), beta
        assert (best["accuracy"], best["top5_accuracy"]) == (15 / 32, 15 / 24)
        assert best["individual_accuracy"] == pytest.approx((15 / 64 + 0.25 + 0.125) / 3)
        assert (last["epoch"], last["ensemble"], last["accuracy"]) == (22, 5 - 22 / 8, 21 / 32)


@pytest.mark.parametrize("loss", [None, math.nan, math.inf])  # of the second validation
def test_theirs_there_and_back(tmp_path, loss):
    losses = file_of(0.0)["val_ens_loss"]
    source = theirs(tmp_path / "source", **({"val_ens_loss": [losses[0], loss, *losses[2:]]} if loss else {}))
    ours = convert(source, tmp_path / "ours")
    assert Results.at(ours).records()[0].best_epoch == 16
    back = convert(ours, tmp_path / "back")
    assert {path.name for path in back.iterdir()} == {*CONFIGURATION, *FILES}
    for name in FILES:
        assert repr(read(back / name)) == repr(read(source / name))  # nan equals nan in words only
    assert read_experiment(back).identity() == read_experiment(source).identity()
    assert "computed_by" not in read(back / "experiment.json")


def test_theirs_that_never_had_a_finite_loss_have_no_best_checkpoint(tmp_path):
    source = theirs(tmp_path / "source", val_ens_loss=[math.nan] * NUMBER)
    record = Results.at(convert(source, tmp_path / "ours")).records()[0]
    assert record.best_epoch == 0 and record.test["best"] is None and record.test["last"].accuracy > 0


def test_theirs_in_training_before_the_first_epoch_ends(tmp_path):
    cut = {name: value[:3] if isinstance(value, list) else value for name, value in file_of(0.0).items()}
    source = theirs(tmp_path / "source", {FILES[0]: cut | {"train_loss": [], "lr_switch": []}})
    (record,) = Results.at(convert(source, tmp_path / "ours")).records()
    assert record.history.step == [2000, 4000, 6000] and record.history.epoch_objective == []
    assert record.best_epoch == 3


# ---- what is refused


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


def test_from_the_command_line(tmp_path, capsys):
    source, ours, back = theirs(tmp_path / "source"), tmp_path / "ours", tmp_path / "back"
    assert main(["convert", str(source), str(ours)]) == main(["convert", str(ours), str(back)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(ours), str(back)]
    assert read(back / FILES[1]) == file_of(1.0)
    (source / FILES[1]).write_text("{")
    assert main(["convert", str(source), str(tmp_path / "again")]) == 2
    assert "is not JSON" in capsys.readouterr().err
