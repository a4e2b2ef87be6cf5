"""The authors' JSON files of ImageNet as results of ours, and back."""

import math

import pytest
from authors import write
from authors_imagenet import CONFIGURATION, FILES, NUMBER, SHIPPED, file_of, read, theirs

from jointens import Cell, Experiment, Results
from jointens.authors import convert, read_experiment
from jointens.cli import main
from jointens.common import read_yaml
from jointens.reports.style import scale_of


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


def test_from_the_command_line(tmp_path, capsys):
    source, ours, back = theirs(tmp_path / "source"), tmp_path / "ours", tmp_path / "back"
    assert main(["convert", str(source), str(ours)]) == main(["convert", str(ours), str(back)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(ours), str(back)]
    assert read(back / FILES[1]) == file_of(1.0)
    (source / FILES[1]).write_text("{")
    assert main(["convert", str(source), str(tmp_path / "again")]) == 2
    assert "is not JSON" in capsys.readouterr().err
