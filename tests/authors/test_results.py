"""Our results folders in the authors' format, and back."""

import ast
import json

import numpy as np
import pandas as pd
import pytest
from authors_table import contents

import jointens
from jointens import InputError, Results
from jointens.authors import convert
from jointens.authors.results import _objective
from jointens.experiment import AUTHORS_COLUMNS


@pytest.mark.parametrize(
    "keys",
    [
        {"average": "scores", "label_noise": 0.2, "width": 2, "rate_per_learner": True},
        {"average": "released", "scheduler": "none", "optimiser": "Adam", "learning_rate": 0.01},
        {"average": "probabilities", "scheduler": "Linear", "num_epochs": 3, "val_size": 50},
    ],
)
def test_ours_there_and_back(tiny, tmp_path, keys):
    ours = jointens.run(tiny(seeds=[3, 0], **keys), progress=False)
    there = convert(ours.folder, tmp_path / "there")
    assert {path.name for path in there.iterdir()} == {"experiment.json", "optim.json", "data.json", "results.csv"}
    back = Results.at(convert(there, tmp_path / "back"))  # without asking for the average
    assert contents(back) == contents(ours) and len(contents(back)) == 4
    assert back.experiment.identity() == ours.experiment.identity() and back.experiment.hash == ours.experiment.hash
    assert {record.provenance["device"] for record in back.records()} == {"jointens"}
    again = convert(back.folder, tmp_path / "again")
    for path in there.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_what_we_write_in_their_files(tiny, tmp_path):
    ours = jointens.run(tiny(seeds=[0], beta_vals=[0.5], weight_decay=0.001, lr_switch=[1]), progress=False)
    there = convert(ours.folder, tmp_path / "there")
    assert json.loads((there / "experiment.json").read_text()) == {
        "dataset": "digits", "base_learner": "MLP", "num_learners": 2, "seeds": [0], "beta_vals": [0.5],
        "probs": False, "device": "cuda", "average": "scores", "train_size": 64, "hidden": [8],
        "computed_by": "jointens",
    }  # fmt: skip
    assert json.loads((there / "optim.json").read_text()) == {
        "optimiser": "SGD", "scheduler": "ExponentialLR", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.001,
        "gamma": 0.2, "lr_switch": [1], "batch_size": 64, "num_epochs": 2, "max_patience": 10**9,
    }  # fmt: skip
    assert json.loads((there / "data.json").read_text()) == {"digits": {"num_classes": 10}}
    frame = pd.read_csv(there / "results.csv")
    (record,), row = ours.records(), frame.iloc[0]
    assert tuple(frame.columns) == AUTHORS_COLUMNS and len(frame) == 1 and (row["beta"], row["run"]) == (0.5, 0)
    assert ast.literal_eval(row["train_loss"]) == record.history.objective  # no official training set
    assert ast.literal_eval(row["val_acc_ind"]) == record.history.val.learner_accuracy
    assert row["test_div"] == record.test["best"].diversity


def test_their_training_loss_is_a_share_of_the_official_set(small_sets, tiny, tmp_path):
    keys = {"dataset": "CIFAR-10", "base_learner": "CNN", "train_size": 70, "data_root": str(small_sets)}
    ours = jointens.run(tiny(**keys, seeds=[0], beta_vals=[0], num_epochs=1, batch_size=35), progress=False)
    (objective,) = ours.records()[0].history.objective
    there = convert(ours.folder, tmp_path / "there")
    (loss,) = ast.literal_eval(pd.read_csv(there / "results.csv")["train_loss"][0])
    assert loss == pytest.approx(objective * 70 / 50_000, rel=1e-15) and loss < 0.01 < objective
    assert contents(Results.at(convert(there, tmp_path / "back"))) == contents(ours)


@pytest.mark.parametrize("share", [40_000 / 50_000, 70 / 50_000, 256 / 73_257])
def test_no_digit_of_the_objective_is_lost(share):
    objectives = [float(str(value)) for value in np.random.default_rng(0).gamma(2, size=500).astype(np.float32)]
    assert [_objective(value * share, share) for value in objectives] == objectives
    assert [value * share / share for value in objectives] != objectives  # the last bit is why


def test_cells_that_diverged_are_left_out_with_a_warning(tiny, tmp_path):
    ours = jointens.run(tiny(beta_vals=[0, 1e30], seeds=[0]), progress=False)
    with pytest.warns(UserWarning, match=r"1 of 2 cells diverged: beta=1e\+30,seed=0 \(epoch 1\); they are left out"):
        there = convert(ours.folder, tmp_path / "there")
    assert pd.read_csv(there / "results.csv")["beta"].tolist() == [0]
    assert "nan" not in (there / "results.csv").read_text().lower()
    diverged = jointens.run(tiny(beta_vals=[1e30], seeds=[0], num_epochs=3), progress=False)
    with pytest.raises(InputError, match=r"holds no finished cell but those that diverged; .*beta=1e\+30,seed=0"):
        convert(diverged.folder, tmp_path / "nothing")


def test_an_export_of_a_cell_that_diverged_has_no_best_checkpoint(tiny, tmp_path):
    there = convert(jointens.run(tiny(beta_vals=[0], seeds=[0]), progress=False).folder, tmp_path / "there")
    table = pd.read_csv(there / "results.csv")
    epochs = len(ast.literal_eval(table.loc[0, "val_ens_loss"]))
    table["val_ens_loss"] = str([float("nan")] * epochs)  # as exports were written before such cells were left out
    table.to_csv(there / "results.csv", index=False)
    (record,) = Results.at(convert(there, tmp_path / "back")).records()
    assert (record.best_epoch, record.test["best"]) == (0, None)
