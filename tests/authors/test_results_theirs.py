"""The authors' results.csv as a results folder of ours, and back."""

import ast
import csv
import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest
from authors import shipped, values
from authors_table import ROWS, contents, row, theirs

import jointens
from jointens import Cell, InputError, Results
from jointens.authors import convert, read_experiment
from jointens.common import read_yaml
from jointens.experiment import AUTHORS_COLUMNS, Metrics, identity
from jointens.experiment import folder as results_folder
from jointens.reports import beta_sweep, tables


def test_theirs_in_ours(tmp_path):
    folder = convert(theirs(tmp_path / "tag_CIFAR-10_2023"), tmp_path / "ours")
    results = Results.at(folder)
    assert results.experiment.cells == [Cell(0.0, 0), Cell(0.2, 0), Cell(0.0, 4), Cell(0.2, 4)]
    told = read_yaml((folder / "experiment.yml").read_text())
    assert (told["numbers"], told["average"], told["num_epochs"]) == ("released", "released", 3)
    first, early, late, never = results.records()
    assert first.history.val.to_dict() == {
        "individual": [3.1, 2.2, 2.1], "ensemble": [3.0, 2.0, 2.0], "diversity": [0.1, 0.2, 1e-05],
        "accuracy": [0.25, 0.5, 0.5], "learner_accuracy": [[0.25, 0.5], [0.5, 0.5], [0.5, 0.75]],
    }  # fmt: skip
    assert first.history.objective == [1.0, pytest.approx(1.6180339887498949 / 0.8, rel=1e-15), 0.5]
    assert first.history.learning_rate == pytest.approx([0.1, 0.02, 0.02])
    assert set(first.history.to_dict()) == {"val", "objective", "learning_rate"}
    assert first.test == {"last": None, "best": Metrics(
        individual=2.25, ensemble=2.0, diversity=0.25, accuracy=0.625, learner_accuracy=[0.5, 0.75],
    )}  # fmt: skip
    # The last of several lowest; one after infinity; the first; none, and then their test row is of another model.
    assert [record.best_epoch for record in results.records()] == [3, 3, 1, 0]
    of_early, of_late = (contents(results)[record.cell] for record in (early, late))
    assert of_early["val"]["ensemble"] == [None, None, 3.5] and of_late["test"]["ensemble"] is None
    assert never.test == {"best": None, "last": None}
    provenance = first.provenance
    assert (provenance["source"], provenance["device"]) == ("tag_CIFAR-10_2023/results.csv", "authors' code")
    assert str(tmp_path) not in "".join(path.read_text() for path in folder.rglob("*.*"))


def test_theirs_there_and_back(tmp_path):
    source = theirs(tmp_path / "source")
    back = convert(convert(source, tmp_path / "ours"), tmp_path / "back")
    expected, read = values(source), values(back)
    assert read.keys() == expected.keys() and len(read) == len(ROWS)
    for cell, of in expected.items():
        assert tuple(read[cell]) == AUTHORS_COLUMNS
        for name, value in of.items():
            np.testing.assert_array_equal(read[cell][name], value, err_msg=f"{cell} {name}")
    assert read_experiment(back) == read_experiment(source)
    assert "computed_by" not in (back / "experiment.json").read_text()


def test_frames_and_figures_of_theirs(tmp_path):
    results = Results.at(convert(theirs(tmp_path / "source", ROWS[:3]), tmp_path / "ours"))
    tests, history, learners = results.tests(), results.history(), results.learner_history()
    assert set(tests["checkpoint"]) == {"best"} and len(tests) == 3
    assert not [name for name in tests.columns if name.startswith("train")]
    assert tests["individual_accuracy"].tolist() == [0.625] * 3 and tests["ensemble"].isna().tolist() == [0, 0, 1]
    assert set(history["split"]) == {"val"} and len(history) == 3 * 3
    assert len(learners) == 3 * 3 * 2 and set(learners["split"]) == {"val"}
    figure = beta_sweep.sweep(results)
    assert len(figure.axes) == 4 and "authors' code" in beta_sweep.stamp(results)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["best checkpoint"]
    assert len(beta_sweep.training_curves(results, seed=0).axes) == 2
    assert "diversity_best" in tables.texts(tests, 0.2)
    for shows in (lambda: beta_sweep.train_against_test(results), lambda: tables.generalisation(tests, [0.0])):
        with pytest.raises(InputError, match="whoever trained them did not log it"):
            shows()
    table = pd.read_csv(results.folder / "results.csv")
    assert tuple(table.columns) == AUTHORS_COLUMNS and ast.literal_eval(table["train_loss"][0])[0] == 1.0


def test_a_run_that_kept_no_epoch_has_no_test_row(tmp_path):
    results = Results.at(convert(theirs(tmp_path / "source", ROWS[3:]), tmp_path / "ours"))
    assert len(results.tests()) == 0 and len(results.history()) == 3
    assert math.isnan(pd.read_csv(results.folder / "results.csv")["test_loss"].item())


def test_nothing_is_trained_into_theirs(tmp_path, tiny):
    folder = convert(theirs(tmp_path / "source"), tmp_path / "ours")
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    mine = dataclasses.replace(Results.at(folder).experiment, out=str(tmp_path), tag="ours", seeds=[9], device="cpu")
    with pytest.raises(
        InputError, match=r"another experiment: numbers released there, [0-9]+ here; choose another tag"
    ):
        jointens.run(mine, progress=False)
    with pytest.raises(InputError, match=r"holds no weights of beta=0,seed=0: .* or converted"):
        jointens.load(folder, beta=0, seed=0)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_they_are_read_whatever_the_version_of_our_numbers(tmp_path, monkeypatch):
    folder = convert(theirs(tmp_path / "source"), tmp_path / "ours")
    for module in (identity, results_folder):
        monkeypatch.setattr(module, "NUMBERS", 1000)
    assert len(Results.at(folder).records()) == 4


def test_long_rows_and_empty_lines(tmp_path):
    """A list over many epochs is longer than the csv module allows by default; Windows adds empty lines."""
    epochs = 5000
    lists = {name: str([np.float64(0.25)] * epochs) for name in AUTHORS_COLUMNS if name.startswith(("train", "val"))}
    lists["val_acc_ind"] = str([[np.float64(0.125)] * 2] * epochs)
    assert len(lists["val_acc_ind"]) > 131_072 > csv.field_size_limit() - 1
    source = theirs(tmp_path / "source", [row(0, 0, **lists)], shipped(num_learners=2, num_epochs=epochs, probs=True))
    table = (source / "results.csv").read_bytes()
    (source / "results.csv").write_bytes(table.replace(b"\r\n", b"\r\r\n"))
    (record,) = Results.at(convert(source, tmp_path / "ours")).records()
    assert record.best_epoch == epochs == len(record.history.val.learner_accuracy)
    assert csv.field_size_limit() == 131_072


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("val_div", "[0.1, 0.2]"),
        ("val_div", "0.1"),
        ("val_div", ""),
        ("val_div", "[0.1, 0.2, None]"),
        ("val_div", "[0.1, 0.2, true]"),
        ("val_div", '[0.1, 0.2, "0.3"]'),
        ("val_div", "[0.1, 0.2, [0.3]]"),
        ("val_div", "[0.1, 0.2, np.float64(__import__('os').getpid())]"),
        ("val_div", "[0.1, 0.2, 0.1 + 0.2]"),
        ("val_div", "[" * 100_000),
        ("val_acc_ind", "[[0.5, 0.5], [0.5, 0.5], [0.5]]"),
        ("val_acc_ind", "[0.5, 0.5, 0.5]"),
        ("test_acc_ind", "[0.5, 0.5, 0.5]"),
        ("test_loss", "[0.5]"),
        ("test_loss", "tensor(0.5)"),
        ("beta", "nan"),
        ("beta", "1e300"),
        ("run", "0.5"),
        ("run", "-1"),
    ],
)
def test_a_cell_that_is_none_is_named(tmp_path, column, text):
    source = theirs(tmp_path / "source", [ROWS[0], ROWS[1] | {column: text}])
    with pytest.raises(InputError) as told:
        convert(source, tmp_path / "ours")
    start = f"{source}/results.csv, row 2, column {column} is "
    assert str(told.value).startswith(start) and "; allowed is " in str(told.value) and len(str(told.value)) < 400
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_tables_that_are_none(tmp_path):
    cases = {
        "holds no row": {"rows": []},
        "row 2: beta=0,seed=0 is in row 1 already": {"rows": [row(0.0, 0), row(-0.0, 0)]},
        "has the columns beta, run; allowed are beta, run, train_loss": {"columns": ["beta", "run"]},
    }
    for number, (message, of) in enumerate(cases.items()):
        with pytest.raises(InputError, match=re.escape(message)):
            convert(theirs(tmp_path / f"{number}", **of), tmp_path / "ours")
    source = theirs(tmp_path / "source")
    for content, message in (
        (b"", "has the columns none; "),
        (b"\xff\xfe", "is no table of comma-separated values: "),
        ((",".join(AUTHORS_COLUMNS) + "\n0,0\n").encode(), "row 1 has 2 columns; allowed are 15"),
    ):
        (source / "results.csv").write_bytes(content)
        with pytest.raises(InputError, match=re.escape(message)):
            convert(source, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
