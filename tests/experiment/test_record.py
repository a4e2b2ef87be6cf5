"""The record of a cell: from its JSON file and back without a change, and what is refused."""

import json
import math
import re

import pytest
from checkout import ROOT

from jointens import Cell, InputError, Results
from jointens.experiment import CellRecord, History, Metrics

PUBLISHED = sorted((ROOT / "results").glob("*/cells/*.json"))
LOSSES = {"individual": 1.5, "ensemble": 1.25, "diversity": 0.25}
COURSE = {name: [value, 2 * value] for name, value in LOSSES.items()}


def stored(**changes):
    """What the JSON file of a cell holds."""
    return {
        "beta": 0.5, "seed": 3, "experiment": "abc", "best_epoch": 1, "test": {"best": LOSSES, "last": None},
        "history": {"learning_rate": [0.1, 0.1], "objective": [1.0, 0.5], "train": COURSE, "val": COURSE},
        "provenance": {"device": "cpu", "stack": [[0.5, 3]]},
    } | changes  # fmt: skip


# ---- there and back


@pytest.mark.parametrize("folder", sorted({path.parent.parent.name for path in PUBLISHED}))
def test_every_published_cell_survives(folder):
    """Bytes and all: also the order of the keys is that of the file."""
    for path in (path for path in PUBLISHED if path.parent.parent.name == folder):
        text = path.read_text()
        content = json.loads(text)
        record = CellRecord.from_dict(content)
        again = record.to_dict(content["experiment"])
        assert again == content, path
        assert json.dumps(again, allow_nan=False, separators=(",", ":")) == text, path
        assert record.cell == Cell.named(path.stem)


def test_there_are_published_cells():
    assert len(PUBLISHED) > 20


def test_a_record_has_its_values_under_their_names():
    record = CellRecord.from_dict(stored())
    assert (record.beta, record.seed, record.cell, record.best_epoch) == (0.5, 3, Cell(0.5, 3), 1)
    assert record.test == {"best": Metrics(**LOSSES), "last": None}
    assert record.history.splits == {"train": Metrics(**COURSE), "val": Metrics(**COURSE)}
    assert record.history.val.at(2) == Metrics(individual=3.0, ensemble=2.5, diversity=0.5)
    assert record.history.test is None and record.history.step is None and record.history.val.accuracy is None
    assert record.provenance == {"device": "cpu", "stack": [[0.5, 3]]}
    assert record.to_dict("abc") == stored()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null_in_the_file_and_nan_in_the_record(value):
    metrics = {**LOSSES, "ensemble": value, "learner_accuracy": [0.5, value]}
    course = {**COURSE, "ensemble": [1.0, value], "learner_accuracy": [[0.5, value], [value, 0.25]]}
    history = {"learning_rate": [0.1, 0.1], "objective": [value, 1.0], "val": course, "epoch_objective": [value]}
    record = CellRecord.of(
        Cell(1.0, 0), best_epoch=0, test={"best": metrics, "last": None}, history=history, provenance={}
    )
    content = json.loads(json.dumps(record.to_dict("abc"), allow_nan=False))
    assert content["test"]["best"]["ensemble"] is None and content["test"]["best"]["learner_accuracy"] == [0.5, None]
    assert content["history"]["val"]["ensemble"] == [1.0, None]
    assert content["history"]["val"]["learner_accuracy"] == [[0.5, None], [None, 0.25]]
    assert content["history"]["objective"] == [None, 1.0] and content["history"]["epoch_objective"] == [None]

    again = CellRecord.from_dict(content)
    assert math.isnan(again.test["best"].ensemble) and math.isnan(again.test["best"].learner_accuracy[1])
    assert math.isnan(again.history.val.ensemble[1]) and math.isnan(again.history.val.learner_accuracy[1][0])
    assert math.isnan(again.history.objective[0]) and math.isnan(again.history.epoch_objective[0])
    assert again.test["last"] is None  # a test that is not known is no number
    assert again.to_dict("abc") == content


def test_columns_are_arrays_over_training_and_numbers_at_a_checkpoint():
    metrics = Metrics(**COURSE, accuracy=[0.5, 0.75], learner_accuracy=[[0.25, 0.5], [0.5, 0.75]])
    columns = metrics.columns()
    assert list(columns) == ["individual", "ensemble", "diversity", "accuracy", "individual_accuracy"]
    assert columns["individual_accuracy"].tolist() == [0.375, 0.625] and columns["ensemble"].tolist() == [1.25, 2.5]
    assert metrics.at(2).columns() == {
        "individual": 3.0, "ensemble": 2.5, "diversity": 0.5, "accuracy": 0.75, "individual_accuracy": 0.625,
    }  # fmt: skip


def test_what_was_not_measured_is_not_in_the_file():
    history = History(learning_rate=[0.1], val=Metrics(individual=[1.0], ensemble=[1.0], diversity=[0.0]))
    assert set(history.to_dict()) == {"learning_rate", "val"} and set(history.splits) == {"val"}
    assert set(history.to_dict()["val"]) == {"individual", "ensemble", "diversity"}


@pytest.mark.parametrize(
    ("name", "cell"),
    [("beta=0.2,seed=3", Cell(0.2, 3)), ("beta=-1e-05,seed=0", Cell(-1e-05, 0)), ("beta=0.2", None), ("notes", None)],
)
def test_a_cell_has_a_name(name, cell):
    assert Cell.named(name) == cell
    assert cell is None or str(cell) == name


# ---- what is refused


def without(*names):
    content = stored()
    inner = content
    for name in names[:-1]:
        inner[name] = dict(inner[name])
        inner = inner[name]
    del inner[names[-1]]
    return content


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        "null",
        "7",
        *(without(name) for name in stored()),
        without("history", "val"),
        without("history", "learning_rate"),
        without("test", "best") | {"test": {"best": {"ensemble": 1.0}, "last": None}},
        stored(test=None),
        stored(test=[LOSSES, None]),
        stored(test={"best": 1.5, "last": None}),
        stored(history=None),
        stored(history={"learning_rate": [0.1], "val": [1.0]}),
        stored(history={"learning_rate": [0.1], "val": COURSE, "more": [1.0]}),
        stored(provenance=None),
        stored(experiment="another"),
    ],
)
def test_a_damaged_file_is_one_line(tiny, content):
    results = Results(tiny(tag="mine"))
    results.prepare()
    path = results.path(Cell(0.0, 0))
    if isinstance(content, dict) and content.get("experiment") == "abc":
        content |= {"experiment": results.experiment.hash}
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    message = f"{path} is damaged or of another experiment; remove it, and the same command trains it again"
    for read in (lambda: results.read(Cell(0.0, 0)), results.records, results.all_records, results.tests):
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            read()


def test_a_file_that_is_no_text_is_one_line(tiny):
    results = Results(tiny(tag="mine"))
    results.prepare()
    results.path(Cell(0.0, 0)).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is damaged or of another experiment"):
        results.read(Cell(0.0, 0))


def test_what_results_write_they_read(tiny):
    results = Results(tiny(tag="mine", store_outputs=False, save_weights=False))
    results.prepare()
    record = CellRecord.from_dict(stored(beta=0.0, seed=0))
    results.write(record)
    assert results.read(Cell(0.0, 0)) == record
    content = json.loads(results.path(record.cell).read_text())
    assert content == stored(beta=0.0, seed=0, experiment=results.experiment.hash)
