"""`python -m jointens show`: the diagnosis of stored outputs in text, and one line for what cannot be shown."""

import json
import os
import subprocess
import sys

import pytest
import torch

import jointens
from jointens import Cell, Experiment, InputError, diagnose, stored_outputs
from jointens.authors import convert
from jointens.cli import main
from jointens.reports.stored_diagnosis import diagnose_stored

pytestmark = pytest.mark.usefixtures("few_subsets")


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory):
    small = {"hidden": [8], "num_learners": 3, "num_epochs": 3, "beta_vals": [0, 0.5, 1], "seeds": [0, 1]}
    small |= {"train_size": 64, "test_size": 40, "device": "cpu", "out": str(tmp_path_factory.mktemp("runs"))}
    return {
        dataset: jointens.run(Experiment(dataset=dataset, average="probabilities", **small), progress=False)
        for dataset in ("diabetes", "digits")
    }


def expected(stored, beta, seed, checkpoint=None, reference=None):
    outputs, targets = stored.read(beta, seed, checkpoint)
    against = None if reference is None else stored.read(reference, seed, checkpoint)[0]
    report = diagnose(outputs, targets, loss=stored.loss, average=stored.average, reference=against)
    where = f"β = {beta:g}, seed {seed}, {checkpoint or stored.checkpoints[-1]}"
    return f"{where}{f'; reference β = {reference:g}' if reference is not None else ''}\n{report}"


@pytest.mark.parametrize("dataset", ["diabetes", "digits"])
def test_a_folder_shows_both_ends_the_joint_one_beside_the_independent_one(sweeps, shown, dataset):
    stored = stored_outputs(sweeps[dataset])
    both = f"{expected(stored, 0, 0)}\n\n\n{expected(stored, 1, 0, reference=0)}\n"
    assert shown(stored.source) == both
    assert stored.average == "probabilities" and ("average of probabilities" in both) == (dataset == "digits")


def test_keys_choose_what_is_shown(sweeps, shown):
    stored = stored_outputs(sweeps["digits"])
    assert shown(stored.source, "beta=0.5") == expected(stored, 0.5, 0, reference=0) + "\n"
    assert shown(stored.source, "beta=5e-1", "seed=1") == expected(stored, 0.5, 1, reference=0) + "\n"
    assert shown(stored.source, "checkpoint=best", "beta=0") == expected(stored, 0, 0, "best") + "\n"
    assert shown(stored.source, "beta=1", "seed=1", "checkpoint=best") == expected(stored, 1, 1, "best", 0) + "\n"


def test_a_cells_outputs_are_shown_as_the_folder_shows_them(sweeps, shown):
    results = sweeps["diabetes"]
    for cell in (Cell(0.0, 0), Cell(0.5, 1)):
        folder = shown(results.folder, f"beta={cell.beta}", f"seed={cell.seed}")
        assert shown(results.path(cell, ".npz")) == folder
    best = shown(results.path(cell, ".npz"), "checkpoint=best")
    assert best == shown(results.folder, "beta=0.5", "seed=1", "checkpoint=best") != folder


def test_a_file_of_theirs_is_shown_by_the_names_of_its_runs(sweeps, shown, tmp_path):
    there = convert(sweeps["diabetes"].folder, tmp_path / "there") / "deep_ensemble_diabetes_last.json"
    stored = stored_outputs(there)
    both = shown(there)
    assert both == f"{expected(stored, 0, '0')}\n\n\n{expected(stored, 1, '0', reference=0)}\n"
    assert both.startswith("β = 0, seed 0, published\n") and "squared error" in both
    assert shown(there, "seed=1", "beta=0.5") == expected(stored, 0.5, "1", reference=0) + "\n"


def test_a_file_of_theirs_in_upper_case(sweeps, shown, tmp_path):
    there = convert(sweeps["diabetes"].folder, tmp_path / "there") / "deep_ensemble_diabetes_last.json"
    assert shown(there.rename(tmp_path / "DEEP.JSON")).startswith("β = 0, seed 0, published\n")


def test_a_grid_of_one_beta_has_no_reference(tiny, shown):
    stored = stored_outputs(jointens.run(tiny(dataset="diabetes", beta_vals=[1], seeds=[0]), progress=False))
    assert shown(stored.source) == expected(stored, 1, 0) + "\n"


def test_in_python_keys_are_numbers(sweeps):
    folder = sweeps["diabetes"].folder
    text = diagnose_stored(str(folder), beta=1, seed=1, checkpoint="best")
    assert text == expected(stored_outputs(folder), 1, 1, "best", 0)


def test_what_a_sweep_lacks(sweeps, refused, tiny, tmp_path):
    folder = sweeps["diabetes"].folder
    cell = sweeps["diabetes"].path(Cell(0.5, 1), ".npz")
    assert refused(folder, "beta=0.3") == f"{folder} holds no outputs of beta 0.3; it has 0, 0.5, 1"
    assert refused(folder, "beta=nan").startswith("beta is 'nan'; allowed is a finite number")
    assert refused(folder, "beta=all") == "beta is 'all'; allowed is a finite number"
    assert f"{folder} holds no outputs of seed 7; it has " in refused(folder, "seed=7")
    assert "holds no outputs of checkpoint first; it has best, last" in refused(folder, "checkpoint=first")
    assert refused(folder, "betas=1") == "show: unknown key 'betas'; the nearest known one is 'beta'"
    assert "unknown key 'loss'" in refused(folder, "loss=squared_error") and "'average'" in refused(cell, "average=1")
    assert refused(folder, "best") == "'best' is no key=value (see jointens show --help)"
    assert "unrecognized arguments: --best" in refused(folder, "--best")
    none = tmp_path / "none"
    assert refused(none).startswith(f"{none} is not there; allowed are ") and str(tmp_path) in refused(tmp_path)
    assert "holds no outputs of beta 0.3" in refused(cell.with_name("beta=0.3,seed=1.npz"))
    without = jointens.run(tiny(store_outputs=False, seeds=[0]), progress=False)
    assert "holds no seed with the learners' outputs for every β" in refused(without.folder)
    assert "is no results folder" in refused(folder / "results.csv")


def test_another_file_among_the_cells_is_no_cell(sweeps, refused):
    other = sweeps["diabetes"].folder / "cells" / "mine.npz"
    assert str(other) in refused(other)


def test_a_file_without_the_arrays_names_what_it_has(sweeps, refused, tmp_path):
    weights = sweeps["digits"].path(Cell(0.5, 1), ".safetensors")
    assert refused(weights).startswith(
        f"{weights} holds 1.bias, 1.weight, 3.bias, 3.weight, and no outputs; needed are"
    )
    torch.save({f"layer{number}": torch.ones(3) for number in range(99)}, tmp_path / "a.pt")
    assert "holds layer0, layer1, layer2, layer3, layer4, …, and no outputs" in refused(tmp_path / "a.pt")
    torch.save({1: torch.ones(3)}, tmp_path / "a.pt")
    assert "holds 1, and no outputs" in refused(tmp_path / "a.pt")
    folder = sweeps["diabetes"].folder
    every = "allowed are a results folder, deep_ensemble_*.json, or arrays in .npz, .npy, .pt, .pth, .safetensors"
    assert (
        refused(folder / "results.csv")
        == f"{folder / 'results.csv'} is no results folder, and no file of arrays; {every}"
    )
    assert refused(tmp_path / "none.h5") == f"{tmp_path / 'none.h5'} is not there; {every}"


def test_the_command_wants_a_source(capsys):
    assert main(["show"]) == 2
    assert "the following arguments are required: RESULTS|FILE" in capsys.readouterr().err


def test_the_help_names_what_is_read(capsys):
    with pytest.raises(SystemExit):
        main(["show", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for name in (
        ".npz",
        ".npy",
        ".pt",
        ".pth",
        ".safetensors",
        "outputs_are",
        "targets",
        "Nothing in a file is executed",
    ):
        assert name in told


def test_a_sweep_of_one_learner_and_one_that_diverged(tiny, refused):
    diverged = "1 of 2 cells diverged: beta=1e+30,seed=0 (epoch 1)"
    for keys, told in (({"num_learners": 1}, "one learner"), ({"beta_vals": [0, 1e30]}, diverged)):
        results = jointens.run(tiny(dataset="diabetes", seeds=[0], **keys), progress=False)
        assert told in refused(results.folder) and refused(results.folder).startswith(str(results.folder))


def test_a_damaged_cell_is_named(tiny, refused):
    results = jointens.run(tiny(seeds=[0]), progress=False)
    path = results.path(Cell(1.0, 0), ".npz")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert path.name in refused(results.folder)


def test_a_file_of_theirs_that_is_none(tmp_path, refused):
    file = tmp_path / "deep_ensemble_x.json"
    file.write_text(json.dumps({"run": {"beta": [0]}}))
    assert refused(file) == f"{file}, run 'run': ens_loss is missing"
    with pytest.raises(InputError, match="is not there"):
        diagnose_stored(tmp_path / "deep_ensemble_y.json")


def test_a_terminal_that_knows_no_greek(sweeps):
    call = [sys.executable, "-m", "jointens", "show", str(sweeps["diabetes"].folder), "beta=1"]
    done = subprocess.run(call, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.startswith(b"? = 1, seed 0, last; reference ? = 0\n3 learners on ")
