"""Table 1: every cell on the validation images, and how it stands beside the paper."""

import dataclasses
import json
import math
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from in_training import in_training

from jointens import Cell, InputError, Results
from jointens.analysis import calibration_error
from jointens.models import LEARNERS as KNOWN_LEARNERS
from jointens.reports import table1
from jointens.reports.published import IMAGENET, Setting
from jointens.reports.table1 import paper_values

LEARNERS = (
    "ResNet18_IN", "ResNet34_IN", "SqueezeNet_IN", "DenseNet_IN", "ShuffleNet_IN", "MobileNet_IN", "MobileViT_IN",
)  # fmt: skip


@pytest.fixture
def trained(toy_run):
    """The ends of the grid."""
    return Results(dataclasses.replace(toy_run.experiment, beta_vals=[0, 1]), toy_run.folder)


@pytest.fixture
def unfinished(trained, tmp_path):
    """The results as they are while some cells are trained, of the validations so far."""
    return lambda *cells, validations=2: in_training(trained, tmp_path / "run", *cells, validations=validations)


def copied(results, folder, *without):
    """The results in another place, without some files."""
    ignored = shutil.ignore_patterns("beta=0.5,*", *without)
    return Results.at(shutil.copytree(results.folder, folder, ignore=ignored))


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
    assert set(rows["learner"]) == {"MLP"} and rows["finished"].all() and set(rows["validations"]) == {6}
    for _, row in rows.iterrows():
        cell = Cell(row["beta"], row["seed"])
        expected = measured(trained, cell)
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-5)
        assert row["calibration_error"] == calibration_error(trained, cell)
    assert set(table1.COLUMN_NAMES) < set(rows.columns) and rows["ensemble"].nunique() == 4


def test_without_outputs_and_weights_only_the_calibration_error_is_unknown(trained, tmp_path):
    other = copied(trained, tmp_path / "copy", "*.npz", "*.safetensors")
    rows, whole = table1.evaluated([other]), table1.evaluated([trained])
    assert rows["calibration_error"].isna().all()
    names = [name for name in rows.columns if name != "calibration_error"]
    pd.testing.assert_frame_equal(rows[names].sort_values(["beta", "seed"]), whole[names].sort_values(["beta", "seed"]))
    assert set(table1.table(rows)["calibration error, %"]) == {"–"}


def test_the_images_are_looked_at_where_only_weights_are_stored(trained, toy_root, tmp_path):
    rows = table1.evaluated([copied(trained, tmp_path / "copy", "*.npz")], data_root=toy_root, device="cpu")
    expected = table1.evaluated([trained]).set_index(["beta", "seed"])["calibration_error"]
    for row in rows.itertuples():
        assert row.calibration_error == pytest.approx(expected[row.beta, row.seed], abs=1e-6)


def test_a_cell_in_training_is_told_at_its_best_validation_so_far(unfinished):
    cell = Cell(1, 1)
    results = unfinished(cell)
    rows = table1.evaluated([results]).set_index(["beta", "seed"])
    assert len(rows) == 4 and rows["finished"].tolist().count(False) == 1
    row, (record,) = rows.loc[tuple(cell)], results.unfinished_records()
    assert not row["finished"] and row["validations"] == 2 and math.isnan(row["calibration_error"])
    val, at = record.history.val, record.best_epoch - 1
    for name in ("accuracy", "top5_accuracy", "ensemble", "individual", "diversity"):
        assert row[name] == getattr(val, name)[at], name
    assert row["individual_accuracy"] == pytest.approx(np.mean(val.learner_accuracy[at]))


@pytest.mark.parametrize(("losses", "at"), [([2.5, 2.0, 2.25], 2), ([2.0, 2.5, 2.25], 1)])
def test_that_validation_need_not_be_the_last(unfinished, losses, at):
    results = unfinished(Cell(0, 0), validations=3)
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
    assert list(shown.columns) == [*table1.COLUMN_NAMES.values(), "validations"]
    for beta in (0, 1):
        both = [measured(trained, Cell(beta, seed)) for seed in (0, 1)]
        mean = {name: np.mean([of[name] for of in both]) for name in both[0]}
        row = shown.loc["MLP", f"{beta:g}"]
        for name in ("accuracy", "top5_accuracy", "individual_accuracy"):
            assert float(row[table1.COLUMN_NAMES[name]]) == pytest.approx(100 * mean[name], abs=0.051)
            assert len(row[table1.COLUMN_NAMES[name]].partition(".")[2]) == 1
        for name in ("ensemble", "individual", "diversity"):
            assert float(row[table1.COLUMN_NAMES[name]]) == pytest.approx(mean[name], abs=6e-4)
        errors = [calibration_error(trained, Cell(beta, seed)) for seed in (0, 1)]
        assert float(row["calibration error, %"]) == pytest.approx(100 * np.mean(errors), abs=0.051)
        assert row["validations"] == "6"
    assert (
        shown.loc[("Other", "0"), table1.COLUMN_NAMES["accuracy"]] == "12.5"
        and shown.loc[("Other", "0"), "calibration error, %"] == "–"
    )


def test_the_table_says_what_is_in_training(unfinished):
    shown = table1.table(table1.evaluated([unfinished(Cell(1, 1))]))
    assert shown["validations"].to_dict() == {("MLP", "0"): "6", ("MLP", "1"): "2, in training"}


def test_the_numbers_of_a_sentence_are_those_of_the_table(trained):
    rows = table1.evaluated([trained])
    shown = table1.table(rows)
    for beta in (0, 1):
        told = table1.texts(rows, beta)
        assert told == {name: shown.loc[("MLP", f"{beta:g}"), column] for name, column in table1.COLUMN_NAMES.items()}
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
    monkeypatch.setattr("jointens.reports.table1.paper_values_file", lambda: file)
    shown = table1.beside_the_paper(OURS)
    see = "see the paper, Table 1"
    assert shown.loc["ResNet18_IN"].tolist() == ["70.5", "not trained yet", "12.25", see]
    assert shown.loc["ResNet34_IN"].tolist() == ["not trained yet", "not trained yet", see, "34"]
    assert len(shown) == 2
    file.write_text("table_1: {ResNet18_IN: {joint: seventy}}")
    with pytest.raises(InputError, match="joint is 'seventy'; allowed is a number, or null"):
        table1.beside_the_paper(OURS)


# ---- the paper's numbers


def test_the_shipped_file_has_the_seven_learners_of_the_profiles():
    table = paper_values("table_1")
    assert tuple(table) == LEARNERS and set(LEARNERS) <= set(KNOWN_LEARNERS)
    assert {Setting(profile, "probabilities").experiment.base_learner for profile in IMAGENET} == set(LEARNERS)
    assert {tuple(row) for row in table.values()} == {("independent", "joint")}


def test_the_shipped_file_holds_no_number():
    """So that nobody invents one: whoever fills them in from the published PDF changes this test."""
    assert {value for row in paper_values("table_1").values() for value in row.values()} == {None}


def test_numbers_and_null_are_read(tmp_path):
    file = tmp_path / "values.yml"
    file.write_text("other: {}\ntable_9:\n  A: {independent: 71, joint: null}\n  B: {joint: 70.25}\n")
    assert paper_values("table_9", file) == {"A": {"independent": 71, "joint": None}, "B": {"joint": 70.25}}
    assert paper_values("table_9", str(file)) == paper_values("table_9", file) and paper_values("other", file) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read FILE: No such file or directory"),
        (b"table_1: {A: {joint: 1}", "cannot read FILE: it is not YAML"),
        (b"table_1: {A: {joint: 2026-13-45}}", "cannot read FILE: it is not YAML"),  # an error of its constructor
        (b"\xff\xfe\xfa", "cannot read FILE: it is not YAML"),
        (b"", "FILE holds no table_1: allowed are lines"),
        (b"[1]", "FILE holds no table_1: allowed are lines"),
        (b"table_2: {A: {joint: 1}}", "FILE holds no table_1: allowed are lines"),
        (b"table_1: [1]", "FILE holds no table_1: allowed are lines"),
        (b"table_1: {A: 70.5}", "FILE holds no table_1: allowed are lines"),
        (b"table_1: {A: null}", "FILE holds no table_1: allowed are lines"),
        (b"table_1: {A: {joint: 70 %}}", "FILE, table_1, A: joint is '70 %'; allowed is a number, or null"),
        (b"table_1: {A: {joint: '70'}}", "FILE, table_1, A: joint is '70'; allowed is a number, or null"),
        (b"table_1: {A: {joint: true}}", "FILE, table_1, A: joint is True; allowed is a number, or null"),
        (b"table_1: {A: {joint: [70]}}", "FILE, table_1, A: joint is [70]; allowed is a number, or null"),
        (b"table_1: {A: {joint: 1}, B: {joint: x}}", "FILE, table_1, B: joint is 'x'; allowed is a number, or null"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, content, message):
    file = tmp_path / "values.yml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message.replace("FILE", str(file)))) as told:
        paper_values("table_1", file)
    assert "\n" not in str(told.value)
