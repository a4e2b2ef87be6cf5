"""Table 1: what the validation images say of every cell, and how it stands beside the paper."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest

import jointens
from jointens import Cell, Experiment, InputError, Results
from jointens.analysis.calibration import calibration_error
from jointens.reports import table1

LEARNERS = (
    "ResNet18_IN", "ResNet34_IN", "SqueezeNet_IN", "DenseNet_IN", "ShuffleNet_IN", "MobileNet_IN", "MobileViT_IN",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(toy_root, tmp_path_factory):
    experiment = Experiment(
        dataset="toy-imagenet", base_learner="MLP", hidden=[8], image_size=32, num_learners=3, average="probabilities",
        train_size=96, val_size=48, batch_size=16, validate_every=2, num_epochs=1, measured_size=0, seeds=[0, 1],
        beta_vals=[0, 1], learning_rate=0.05, device="cpu", data_root=str(toy_root),
        out=str(tmp_path_factory.mktemp("runs")),
    )  # fmt: skip
    return jointens.run(experiment, progress=False)


@pytest.fixture
def in_training(trained, tmp_path):
    """The results as they are while some cells are trained, of the validations so far."""

    def make(*cells, validations=2):
        results = Results(
            dataclasses.replace(trained.experiment, out=None), shutil.copytree(trained.folder, tmp_path / "run")
        )
        (results.folder / "unfinished").mkdir()
        for cell in cells:
            record = results.read(cell) | {"test": {"best": None, "last": None}}
            history = record["history"]
            for lists in (history, history["val"]):
                lists |= {name: of[:validations] for name, of in lists.items() if isinstance(of, list)}
            losses = history["val"]["ensemble"]
            record["best_epoch"] = losses.index(min(losses)) + 1
            results.unfinished_path(cell).write_text(json.dumps(record))
            for suffix in (".json", ".npz", ".safetensors"):
                results.path(cell, suffix).unlink()
        return results

    return make


def measured(results, cell):
    """From the stored outputs, with nothing of ours: accuracies as fractions, losses in nats."""
    stored = results.outputs(cell)
    scores, targets = stored["test_outputs_best"].astype(float), stored["test_targets"]
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    each = powers / powers.sum(-1, keepdims=True)  # (M, N, K)
    joint = each.mean(0)
    rows = np.arange(len(targets))
    loss, own = -np.log(joint[rows, targets]).mean(), -np.log(each[:, rows, targets]).mean()
    return {
        "accuracy": (joint.argmax(-1) == targets).mean(),
        "top5_accuracy": (np.argsort(joint, axis=-1)[:, -5:] == targets[:, None]).any(-1).mean(),
        "individual_accuracy": (each.argmax(-1) == targets).mean(),
        "ensemble": loss,
        "individual": own,
        "diversity": own - loss,
    }


# ---- evaluated


def test_every_cell_is_told_as_its_stored_outputs_have_it(trained):
    rows = table1.evaluated([trained])
    assert [Cell(*cell) for cell in zip(rows["beta"], rows["seed"], strict=True)] == trained.experiment.cells
    assert set(rows["learner"]) == {"MLP"} and rows["finished"].all() and set(rows["validations"]) == {3}
    for _, row in rows.iterrows():
        cell = Cell(row["beta"], row["seed"])
        expected = measured(trained, cell)
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-5)
        assert row["calibration_error"] == calibration_error(trained, cell)
    assert set(table1.COLUMNS) < set(rows.columns) and rows["ensemble"].nunique() == 4


def test_without_outputs_and_weights_only_the_calibration_error_is_unknown(trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.npz", "*.safetensors"))
    rows, whole = table1.evaluated([Results.at(folder)]), table1.evaluated([trained])
    assert rows["calibration_error"].isna().all()
    names = [name for name in rows.columns if name != "calibration_error"]
    pd.testing.assert_frame_equal(rows[names].sort_values(["beta", "seed"]), whole[names].sort_values(["beta", "seed"]))
    assert set(table1.table(rows)["calibration error, %"]) == {"–"}


def test_the_images_are_looked_at_where_only_weights_are_stored(trained, toy_root, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.npz"))
    rows = table1.evaluated([Results.at(folder)], data_root=toy_root, device="cpu")
    expected = table1.evaluated([trained]).set_index(["beta", "seed"])["calibration_error"]
    for row in rows.itertuples():
        assert row.calibration_error == pytest.approx(expected[row.beta, row.seed], abs=1e-6)


def test_a_cell_in_training_is_told_at_its_best_validation_so_far(in_training):
    cell = Cell(1, 1)
    results = in_training(cell)
    rows = table1.evaluated([results]).set_index(["beta", "seed"])
    assert len(rows) == 4 and rows["finished"].tolist().count(False) == 1
    row, (record,) = rows.loc[tuple(cell)], results.unfinished_records()
    assert not row["finished"] and row["validations"] == 2 and math.isnan(row["calibration_error"])
    val, at = record["history"]["val"], record["best_epoch"] - 1
    for name in ("accuracy", "top5_accuracy", "ensemble", "individual", "diversity"):
        assert row[name] == val[name][at], name
    assert row["individual_accuracy"] == pytest.approx(np.mean(val["learner_accuracy"][at]))


@pytest.mark.parametrize(("losses", "at"), [([2.5, 2.0, 2.25], 2), ([2.0, 2.5, 2.25], 1)])
def test_that_validation_need_not_be_the_last(in_training, losses, at):
    results = in_training(Cell(0, 0), validations=3)
    path = results.unfinished_path(Cell(0, 0))
    record = json.loads(path.read_text()) | {"best_epoch": at}
    record["history"]["val"] |= {"ensemble": losses, "accuracy": [0.25, 0.5, 0.75]}
    path.write_text(json.dumps(record))
    row = table1.evaluated([results]).set_index(["beta", "seed"]).loc[0, 0]
    assert (row["ensemble"], row["accuracy"]) == (2.0, at / 4)


def test_several_learners_stand_below_each_other(trained, tmp_path):
    other = Results(dataclasses.replace(trained.experiment, num_learners=1, hidden=[4], out=str(tmp_path)))
    rows = table1.evaluated([trained, other, trained])
    assert len(rows) == 8  # nothing of one that has none


# ---- table


def test_the_table_has_a_row_for_each_learner_and_beta_of_means_over_seeds(trained):
    rows = table1.evaluated([trained])
    shown = table1.table(pd.concat([rows, rows.assign(learner="Other", accuracy=0.125, calibration_error=math.nan)]))
    assert list(shown.index) == [("MLP", "0"), ("MLP", "1"), ("Other", "0"), ("Other", "1")]
    assert list(shown.index.names) == ["learner", "β"]
    assert list(shown.columns) == [*table1.COLUMNS.values(), "validations"]
    for beta in (0, 1):
        both = [measured(trained, Cell(beta, seed)) for seed in (0, 1)]
        mean = {name: np.mean([of[name] for of in both]) for name in both[0]}
        row = shown.loc["MLP", f"{beta:g}"]
        for name in ("accuracy", "top5_accuracy", "individual_accuracy"):
            assert float(row[table1.COLUMNS[name]]) == pytest.approx(100 * mean[name], abs=0.051)
            assert len(row[table1.COLUMNS[name]].partition(".")[2]) == 1
        for name in ("ensemble", "individual", "diversity"):
            assert float(row[table1.COLUMNS[name]]) == pytest.approx(mean[name], abs=6e-4)
        errors = [calibration_error(trained, Cell(beta, seed)) for seed in (0, 1)]
        assert float(row["calibration error, %"]) == pytest.approx(100 * np.mean(errors), abs=0.051)
        assert row["validations"] == "3"
    assert (
        shown.loc[("Other", "0"), table1.COLUMNS["accuracy"]] == "12.5"
        and shown.loc[("Other", "0"), "calibration error, %"] == "–"
    )


def test_the_table_says_what_is_in_training(in_training):
    shown = table1.table(table1.evaluated([in_training(Cell(1, 1))]))
    assert shown["validations"].to_dict() == {("MLP", "0"): "3", ("MLP", "1"): "2, in training"}


def test_the_numbers_of_a_sentence_are_those_of_the_table(trained):
    rows = table1.evaluated([trained])
    shown = table1.table(rows)
    for beta in (0, 1):
        told = table1.texts(rows, beta)
        assert told == {name: shown.loc[("MLP", f"{beta:g}"), column] for name, column in table1.COLUMNS.items()}
    assert table1.texts(rows, 0) != table1.texts(rows, 1)


# ---- beside the paper

COLUMNS = ["β = 0, here", "β = 1, here", "β = 0, paper", "β = 1, paper"]
OURS = pd.DataFrame([
    {"learner": "ResNet18_IN", "beta": 0.0, "seed": 0, "accuracy": 0.7},
    {"learner": "ResNet18_IN", "beta": 0.0, "seed": 1, "accuracy": 0.711},
    {"learner": "MobileViT_IN", "beta": 1.0, "seed": 0, "accuracy": 0.6},
    {"learner": "MobileViT_IN", "beta": 0.5, "seed": 0, "accuracy": 0.1},
    {"learner": "MLP", "beta": 0.0, "seed": 0, "accuracy": 0.2},
])  # fmt: skip


def test_without_anything_trained_all_seven_learners_wait():
    shown = table1.beside_the_paper(table1.evaluated([]))
    assert tuple(shown.index) == LEARNERS and list(shown.columns) == COLUMNS
    assert set(shown[COLUMNS[:2]].to_numpy().flat) == {"not trained yet"}
    assert set(shown[COLUMNS[2:]].to_numpy().flat) == {"see the paper, Table 1"}


def test_what_is_trained_takes_its_place():
    shown = table1.beside_the_paper(OURS)
    assert tuple(shown.index) == LEARNERS  # the MLP is none of them
    assert shown.loc["ResNet18_IN", COLUMNS[:2]].tolist() == ["70.5", "not trained yet"]
    assert shown.loc["MobileViT_IN", COLUMNS[:2]].tolist() == ["not trained yet", "60.0"]
    assert (shown[COLUMNS[:2]] == "not trained yet").to_numpy().sum() == 12
    assert set(shown[COLUMNS[2:]].to_numpy().flat) == {"see the paper, Table 1"}


def test_what_somebody_has_read_off_the_paper_takes_its_place(tmp_path, monkeypatch):
    """The numbers here are made up."""
    file = tmp_path / "values.yml"
    file.write_text("table_1:\n  ResNet18_IN: {independent: 12.25, joint: null}\n  ResNet34_IN: {joint: 34}\n")
    monkeypatch.setattr("jointens.reports.paper_values.paper_values_file", lambda: file)
    shown = table1.beside_the_paper(OURS)
    see = "see the paper, Table 1"
    assert shown.loc["ResNet18_IN"].tolist() == ["70.5", "not trained yet", "12.25", see]
    assert shown.loc["ResNet34_IN"].tolist() == ["not trained yet", "not trained yet", see, "34"]
    assert len(shown) == 2
    file.write_text("table_1: {ResNet18_IN: {joint: seventy}}")
    with pytest.raises(InputError, match="joint is 'seventy'; allowed is a number, or null"):
        table1.beside_the_paper(OURS)
