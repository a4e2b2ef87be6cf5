"""The grid and its folder: complete cells, never computed twice, the same after an interruption."""

import ast
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import jointens
from jointens import Cell, InputError, Results
from jointens.common import read_yaml
from jointens.data import load_data
from jointens.experiment import AUTHORS_COLUMNS
from jointens.sweeps import build, worker


def run(experiment):
    return jointens.run(experiment, progress=False)


def contents(folder):
    """Every file of a results folder, cells without their provenance."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            files[path.name] = {k: v for k, v in json.loads(path.read_text()).items() if k != "provenance"}
        elif path.is_file():
            files[path.name] = path.read_bytes()
    return files


@pytest.fixture
def trained_cells(monkeypatch):
    """The cells that were trained since the test began, stack by stack."""
    stacks = []

    make = worker.make_trainer

    def spy(experiment, cells, **options):
        stacks.append(list(cells))
        return make(experiment, cells, **options)

    monkeypatch.setattr(worker, "make_trainer", spy)
    return stacks


def test_a_cell_holds_everything(tiny):
    experiment = tiny()
    results = run(experiment)
    assert len(results.records()) == 4
    for cell, record in zip(experiment.cells, results.records(), strict=True):
        stored = json.loads(results.path(cell).read_text())
        assert (stored["beta"], stored["seed"], stored["experiment"]) == (cell.beta, cell.seed, experiment.hash)
        assert (record.beta, record.seed) == record.cell == cell
        assert set(record.history.splits) == {"train", "val"}
        for split, metrics in record.history.splits.items():
            assert set(stored["history"][split]) == {
                "individual", "ensemble", "diversity", "accuracy", "learner_accuracy",
            }  # fmt: skip
            assert np.shape(metrics.learner_accuracy) == (2, 2)  # epochs, learners
            gap = np.subtract(metrics.individual, metrics.ensemble) - metrics.diversity
            assert np.abs(gap).max() < 1e-5
        assert set(record.test) == {"best", "last"}
        provenance = record.provenance
        assert {"finished", "stack_seconds", "commit", "host", "device", "versions", "stack"} <= set(provenance)
        outputs = results.outputs(cell)
        for when in ("best", "last"):
            assert outputs[f"test_outputs_{when}"].shape == (2, 497, 10)
            accuracy = (outputs[f"test_outputs_{when}"].mean(0).argmax(-1) == outputs["test_targets"]).mean()
            assert record.test[when].accuracy == pytest.approx(accuracy, abs=1e-6)
    told = read_yaml((results.folder / "experiment.yml").read_text())
    assert told["hash"] == experiment.hash and told["train_size"] == 64


def test_results_csv_has_the_authors_columns(tiny):
    results = run(tiny())
    frame = pd.read_csv(results.folder / "results.csv")
    assert tuple(frame.columns) == AUTHORS_COLUMNS and len(AUTHORS_COLUMNS) == 15
    row, record = frame.iloc[0], results.read(Cell(0.0, 0))
    assert ast.literal_eval(row["val_ens_loss"]) == record.history.val.ensemble
    assert ast.literal_eval(row["test_acc_ind"]) == record.test["best"].learner_accuracy
    assert ast.literal_eval(row["val_acc_ind"]) == record.history.val.learner_accuracy
    assert row["test_acc_ens"] == record.test["best"].accuracy
    for row in frame.itertuples():
        assert row.test_loss == pytest.approx(row.test_ind_loss - row.beta * row.test_div)


def test_nothing_is_trained_twice(tiny, trained_cells):
    first = run(tiny())
    before = {path: path.stat().st_mtime_ns for path in (first.folder / "cells").iterdir()}
    run(tiny())
    assert len(trained_cells) == 1
    assert {path: path.stat().st_mtime_ns for path in (first.folder / "cells").iterdir()} == before


def test_a_grown_grid_trains_only_what_is_new(tiny, trained_cells):
    run(tiny())
    results = run(tiny(seeds=[0, 1, 2], beta_vals=[0, 0.5, 1]))
    assert sorted(trained_cells[1]) == [(0.0, 2), (0.5, 0), (0.5, 1), (0.5, 2), (1.0, 2)]
    assert len(results.records()) == 9
    assert len(pd.read_csv(results.folder / "results.csv")) == 9
    assert len(run(tiny(seeds=[1])).records()) == 2  # a smaller grid sees only its own cells
    assert len(trained_cells) == 2


def test_looped_cells_are_trained_and_written_one_by_one(tiny, trained_cells):
    run(tiny(stack=False))
    assert [len(stack) for stack in trained_cells] == [1, 1, 1, 1]


def test_large_grids_are_cut_into_stacks(tiny, trained_cells, monkeypatch):
    monkeypatch.setattr(build, "STACK_PARAMETERS", 4000)  # an ensemble here has 2 · 610 parameters
    run(tiny(seeds=[0, 1, 2]))
    assert [len(stack) for stack in trained_cells] == [3, 3]


def test_killed_while_writing_it_ends_with_the_same_files(tiny, tmp_path, trained_cells, monkeypatch):
    undisturbed = run(tiny(out=str(tmp_path / "undisturbed")))
    killed = tiny(out=str(tmp_path / "killed"))
    write = Results.write

    def write_two(self, record, outputs, weights):
        if len(list(self.folder.glob("cells/*.json"))) == 2:
            raise KeyboardInterrupt
        write(self, record, outputs, weights)

    monkeypatch.setattr(Results, "write", write_two)
    with pytest.raises(KeyboardInterrupt):
        run(killed)
    monkeypatch.setattr(Results, "write", write)
    finished = {path: path.stat().st_mtime_ns for path in Results(killed).folder.glob("cells/*.json")}
    assert len(finished) == 2
    results = run(killed)
    assert len(trained_cells[-1]) == 4  # the broken stack as it was, since neighbours can change the last bits
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items())
    assert contents(results.folder) == contents(undisturbed.folder)


def test_killed_before_the_table_is_written_it_is_written_by_the_next_run(tiny, monkeypatch):
    run(tiny())
    monkeypatch.setattr(Results, "write_csv", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tiny(seeds=[0, 1, 2]))
    monkeypatch.undo()
    results = run(tiny(seeds=[0, 1, 2]))
    assert len(pd.read_csv(results.folder / "results.csv")) == 6


def test_what_a_killed_process_left_half_written_is_removed(tiny):
    results = run(tiny(seeds=[0]))
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    ).stdout
    left, living = (results.folder / "cells" / f".x.npz.tmp.{platform.node()}.{p}" for p in (dead.strip(), os.getpid()))
    left.touch(), living.touch()
    run(tiny(seeds=[0, 1]))
    assert living.exists() and not left.exists()


def test_a_damaged_cell_is_named(tiny):
    results = run(tiny())
    path = results.path(Cell(1.0, 1))
    path.write_text(path.read_text()[:100])
    with pytest.raises(InputError, match=r"beta=1,seed=1.json is damaged or of another experiment; remove it"):
        run(tiny(seeds=[0, 1, 2]))
    path.unlink()
    assert len(run(tiny(seeds=[0, 1, 2])).tests()) == 12


def test_cells_without_their_experiment_are_refused(tiny):
    results = run(tiny(tag="mine"))
    (results.folder / "experiment.yml").unlink()
    with pytest.raises(InputError, match="cells of an unknown experiment"):
        run(tiny(tag="mine", num_epochs=3))


def test_a_folder_that_cannot_be_written_is_found_before_training(tiny, tmp_path, trained_cells):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot (read|write) results (in|to) .*file.*: Not a directory"):
        run(tiny(out=str(tmp_path / "file")))
    assert not trained_cells


def test_a_file_is_there_whole_or_not_at_all(tiny, monkeypatch):
    experiment = tiny()
    monkeypatch.setattr(np, "savez", lambda file, **_: (file.write(b"half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        run(experiment)
    results = Results(experiment)
    assert not any(results.is_done(cell) for cell in experiment.cells)
    names = {path.name for path in results.folder.rglob("*") if path.suffix != ".grid"}
    assert names == {"cells", "experiment.yml", "unfinished"}


def test_outputs_and_weights_are_left_out_on_request(tiny):
    results = run(tiny(store_outputs=False, save_weights=False))
    assert {path.suffix for path in (results.folder / "cells").iterdir()} == {".json"}
    with pytest.raises(InputError, match="save_weights false"):
        jointens.load(results.folder, beta=0, seed=0)


@pytest.mark.parametrize("stack", [True, False])
def test_load_gives_the_best_ensemble_back(tiny, stack):
    experiment = tiny(stack=stack, num_epochs=4)
    results = run(experiment)
    test = load_data("digits", seed=1, train_size=64).test
    for beta in (0, 1):
        ensemble = jointens.load(results.folder, beta=beta, seed=1)
        assert not ensemble.training
        stored = results.outputs(Cell(float(beta), 1))["test_outputs_best"]
        with torch.no_grad():
            torch.testing.assert_close(ensemble(test.inputs), torch.from_numpy(stored), rtol=0, atol=1e-5)


def test_load_takes_any_path_to_the_folder(tiny, tmp_path, monkeypatch):
    results = run(tiny(seeds=[0]))
    moved = results.folder.rename(tmp_path / "none")
    expected = jointens.load(moved, beta=0, seed=0).weights()
    monkeypatch.chdir(moved)
    for folder in (".", "cells/..", "../none/", str(moved)):
        for name, value in jointens.load(folder, beta=-0.0, seed=0).weights().items():
            assert torch.equal(value, expected[name])


def test_load_names_what_is_missing(tiny, tmp_path):
    results = run(tiny(seeds=[0]))
    with pytest.raises(InputError, match=r"holds no cell beta=0.3,seed=0; it holds beta=0,seed=0; beta=1,seed=0"):
        jointens.load(results.folder, beta=0.3, seed=0)
    with pytest.raises(InputError, match="is no results folder"):
        jointens.load(tmp_path, beta=0, seed=0)


def test_the_folder_of_another_experiment_is_refused_and_left_alone(tiny):
    results = run(tiny(tag="mine"))
    before = contents(results.folder)
    with pytest.raises(InputError, match=r"another experiment: batch_size 64 there, 32 here; choose another tag"):
        run(tiny(tag="mine", batch_size=32))
    assert contents(results.folder) == before


@pytest.mark.parametrize(
    "keys", [{}, {"dataset": "diabetes"}, {"base_learner": "CNN", "dataset": "toy-imagenet", "image_size": 32}]
)
def test_torchs_defaults_have_no_effect(tiny, toy_root, tmp_path, keys):
    if "image_size" in keys:
        sizes = {"train_size": 24, "val_size": 12, "batch_size": 12, "num_epochs": 1, "measured_size": 12}
        keys = keys | sizes | {"data_root": str(toy_root)}
    expected = contents(run(tiny(**keys, seeds=[0])).folder)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        results = run(tiny(**keys, seeds=[0], out=str(tmp_path / "other")))
        jointens.sweeps.make_ensemble(results.experiment)
        assert (torch.get_default_dtype(), torch.get_default_device().type) == (torch.float64, "meta")
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert contents(results.folder) == expected


def test_a_file_is_read_once_and_again_when_it_has_changed(tiny, monkeypatch):
    results = run(tiny())
    first = results.records()
    read = []
    monkeypatch.setattr(Path, "read_text", lambda path, **_: read.append(path) or path.read_bytes().decode())
    assert results.records() == first and not read
    path = results.path(first[0].cell)
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps(content | {"best_epoch": 1 + content["best_epoch"]}))
    assert results.records()[0].best_epoch == 1 + first[0].best_epoch and read == [path]


def test_beta_above_one_warns(tiny):
    with pytest.warns(UserWarning, match="unbounded below") as told:
        run(tiny(beta_vals=[0, 1.1], seeds=[0]))
    assert {warning.filename for warning in told} == {__file__}  # whoever called


def test_frames(tiny):
    results = run(tiny())
    tests, history, learners = results.tests(), results.history(), results.learner_history()
    assert len(tests) == 4 * 2 and set(tests["checkpoint"]) == {"best", "last"}
    assert len(history) == 4 * 2 * 2 and set(history["epoch"]) == {1, 2}
    assert len(learners) == 4 * 2 * 2 * 2 and set(learners["learner"]) == {0, 1}
    np.testing.assert_allclose(tests["individual"] - tests["ensemble"], tests["diversity"], atol=1e-5)
    of = history[(history["beta"] == 1) & (history["seed"] == 0) & (history["split"] == "train")].set_index("epoch")
    last = tests[(tests["beta"] == 1) & (tests["seed"] == 0) & (tests["checkpoint"] == "last")]
    assert last["train_ensemble"].item() == of.loc[2, "ensemble"]
