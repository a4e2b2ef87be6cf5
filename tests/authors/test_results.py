"""Results there and back: ours in the authors' format, theirs in ours, without a number lost or made up."""

import ast
import csv
import dataclasses
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from authors import shipped, values, write

import jointens
from jointens import Cell, InputError, Results
from jointens.authors import convert, read_experiment
from jointens.authors.results import _objective
from jointens.cli import main
from jointens.common import read_yaml
from jointens.experiment import AUTHORS_COLUMNS, Metrics, identity
from jointens.experiment import folder as results_folder
from jointens.reports import beta_sweep, tables

# ---- ours to theirs, and back


def contents(results):
    """What the authors' format has a place for, by cell, as the JSON files hold it."""
    found = {}
    for cell in (record.cell for record in results.records()):
        stored = json.loads(results.path(cell).read_text())
        history = {part: stored["history"][part] for part in ("learning_rate", "objective", "val")}
        found[cell] = history | {"best_epoch": stored["best_epoch"], "test": stored["test"]["best"]}
    return found


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


def test_a_loss_that_was_not_finite_is_nan_there_and_null_again_back(tiny, tmp_path):
    ours = jointens.run(tiny(learning_rate=1e30, beta_vals=[1], seeds=[0]), progress=False)
    ((cell, stored),) = contents(ours).items()
    record = ours.read(cell)
    assert None in stored["val"]["ensemble"] and record.best_epoch == 0 and record.test["best"]
    assert any(map(math.isnan, record.history.val.ensemble))
    there = convert(ours.folder, tmp_path / "there")
    assert "nan" in (there / "results.csv").read_text()
    assert contents(Results.at(convert(there, tmp_path / "back"))) == contents(ours)


# ---- theirs to ours, and back

CONFIGURATION = shipped(
    num_learners=2, seeds=[0, 4], beta_vals=[0.0, 0.2], num_epochs=3, lr_switch=[1], average="released",
)  # fmt: skip


def row(beta, run, **changes):
    """A row as their code writes it under NumPy 2, where the accuracies are its numbers."""
    half = "np.float64(0.5)"
    return {
        "beta": beta, "run": run, "train_loss": "[0.8, 1.6180339887498949, 0.4]", "val_loss": "[3.01, 2.01, 2.01]",
        "val_div": "[0.1, 0.2, 1e-05]", "val_ind_loss": "[3.1, 2.2, 2.1]", "val_ens_loss": "[3.0, 2.0, 2.0]",
        "val_acc_ens": f"[0.25, {half}, {half}]", "val_acc_ind": f"[[0.25, {half}], [{half}, {half}], [{half}, 0.75]]",
        "test_loss": "2.125", "test_div": "0.25", "test_ind_loss": "2.25", "test_ens_loss": "2.0",
        "test_acc_ens": "0.625", "test_acc_ind": f"[{half}, np.float64(0.75)]",
    } | changes  # fmt: skip


ROWS = [
    row(0.0, 0),
    row(0.2, 0, val_ens_loss="[inf, nan, 3.5]", val_ind_loss="[inf, nan, np.float64(inf)]", train_loss="[nan, inf, 2]"),
    row(0.0, 4, val_ens_loss="[1.0, 2.0, 1.5]", test_loss="nan", test_ens_loss="np.float64(nan)", test_div="-inf"),
    row(0.2, 4, val_ens_loss="[nan, nan, nan]"),
]


def theirs(folder, rows=ROWS, configuration=CONFIGURATION, columns=AUTHORS_COLUMNS):
    write(folder, configuration, data_above=False)
    with open(folder / "results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return folder


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


# ---- what is refused, and what is left behind


def test_convert_overwrites_nothing(tiny, tmp_path, monkeypatch):
    source = theirs(tmp_path / "source")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for out in (tmp_path / "full", tmp_path / "full" / "mine.txt", source):
        with pytest.raises(InputError, match="is there already; allowed is a folder that is new or empty"):
            convert(source, out)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert len(Results.at(convert(source, ".")).records()) == 4 and (tmp_path / "empty" / "experiment.yml").exists()
    assert len(Results.at(convert(source, tmp_path / "new" / "deep")).records()) == 4


def test_a_failure_leaves_nothing(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Results, "write_csv", full)
    source = theirs(tmp_path / "source")
    with pytest.raises(InputError, match=r"cannot convert .*source to .*ours: No space left on device"):
        convert(source, tmp_path / "ours")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_what_cannot_be_converted(tiny, tmp_path):
    ours = jointens.run(tiny(seeds=[0], beta_vals=[0]), progress=False)
    regression = tiny(dataset="diabetes", seeds=[0], beta_vals=[0], store_outputs=False)
    regression = jointens.run(regression, progress=False)
    started = Results(tiny(num_epochs=9))
    started.prepare()
    for source, keys, message in (
        (tmp_path, {}, "is no results folder: it holds neither experiment.yml and cells (ours) nor experiment.json"),
        (tmp_path / "none", {}, "is no results folder"),
        (ours.folder, {"average": "released"}, "is jointens' own and knows its keys; given was average"),
        (regression.folder, {}, "lacks the outputs of beta=0,seed=0; the authors' format has them for every"),
        (started.folder, {}, "holds no finished cell"),
        (theirs(tmp_path / "asks", configuration=shipped()), {}, "probs is false, which has two meanings"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=re.escape(message)):
            convert(source, tmp_path / "out", **keys)
    assert not (tmp_path / "out").exists()


# ---- the command line


def test_finished_results_are_not_renamed(tiny, tmp_path):
    there = convert(jointens.run(tiny(seeds=[0]), progress=False).folder, tmp_path / "there")
    asks = theirs(tmp_path / "asks", configuration=shipped(num_learners=2, num_epochs=3, lr_switch=[1]))
    for source, keys in (
        (there, {"average": "probabilities"}),
        (there, {"learning_rate": 5}),
        (asks, {"learning_rate": 5, "average": "released"}),
    ):
        with pytest.raises(InputError, match="is finished, and its files say"):
            convert(source, tmp_path / "back", **keys)
        assert not (tmp_path / "back").exists()
    assert Results.at(convert(asks, tmp_path / "back", average="released")).experiment.average == "released"


def test_convert_from_the_command_line(tmp_path, capsys):
    source, out, back = theirs(tmp_path / "source", configuration=shipped(
        num_learners=2, num_epochs=3, lr_switch=[1])), tmp_path / "ours", tmp_path / "back"  # fmt: skip
    assert main(["convert", str(source), str(out)]) == 2
    told = capsys.readouterr()
    assert "probs is false, which has two meanings" in told.err and told.err.count("\n") == 1
    assert main(["convert", str(source), str(out), "average=scores"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    assert Results.at(out).experiment.average == "scores"
    assert main(["convert", str(out), str(back)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(back)
    assert values(back).keys() == values(source).keys()
