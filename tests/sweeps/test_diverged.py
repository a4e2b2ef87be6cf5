"""Cells that diverge: they stop, say so, and are left out by name."""

import json

import pandas as pd
import pytest
from same_files import files

import jointens
from jointens import Cell, InputError


def test_cells_that_diverge_say_so_and_the_others_finish(tiny):
    experiment = tiny(beta_vals=[0, 1e30], store_outputs=True, save_weights=True)
    told = r"^2 of 4 cells diverged: beta=1e\+30,seed=0 \(epoch 1\); .*; tables and figures leave them out$"
    with pytest.warns(UserWarning, match=told):
        results = jointens.run(experiment, progress=False)
    finite, diverged = Cell(0.0, 0), Cell(1e30, 0)
    assert results.diverged() == {diverged: 1, Cell(1e30, 1): 1}
    stored = json.loads(results.path(diverged).read_text())
    assert (stored["diverged"], stored["best_epoch"], stored["test"]) == (1, 0, {"best": None, "last": None})
    assert stored["history"]["val"]["ensemble"] == [None]
    assert "diverged" not in json.loads(results.path(finite).read_text())
    for suffix in (".npz", ".safetensors"):
        assert results.path(finite, suffix).exists() and not results.path(diverged, suffix).exists()
    assert set(results.tests()["beta"]) == {0} and results.tests()["ensemble"].notna().all()
    assert set(pd.read_csv(results.folder / "results.csv")["beta"]) == {0}
    with pytest.raises(InputError, match=r"holds no weights of beta=1e\+30,seed=0: it diverged, at validation 1$"):
        jointens.load(results.folder, *diverged)
    before = files(results.folder)
    with pytest.warns(UserWarning, match=told):  # again, though nothing is trained
        jointens.run(experiment, progress=False)
    assert files(results.folder) == before


def test_a_cell_that_diverged_before_that_was_noted_is_left_out_too(tiny):
    """It was trained to the end then, and its initial weights were tested as the best ones."""
    results = jointens.run(tiny(seeds=[0]), progress=False)
    path = results.path(Cell(1.0, 0))
    content = json.loads(path.read_text())
    content["history"]["val"]["ensemble"] = [None, None]
    content |= {"best_epoch": 0, "test": {**content["test"], "last": dict.fromkeys(content["test"]["last"])}}
    path.write_text(json.dumps(content))
    assert results.diverged() == {Cell(1.0, 0): 1}
    assert set(results.tests()["beta"]) == {0}
