"""Our results on ImageNet as the authors' JSON files, one for each cell, and back."""

import dataclasses
import math

import pytest
from authors_imagenet import CONFIGURATION, FILES, KEYS, read

import jointens
from jointens import Cell, Experiment, Results
from jointens.authors import convert
from jointens.experiment import CellRecord
from jointens.sweeps import make_trainer
from jointens.training import Trainer


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
    ours = written({0: [1.5, math.nan, 1.25, 1.75]})
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
