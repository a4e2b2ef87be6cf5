"""`python -m jointens show`: the diagnosis of stored outputs in text, and one line for what cannot be shown."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import jointens
from jointens import Cell, Experiment, InputError, diagnose, stored_outputs
from jointens.authors import convert
from jointens.cli import main
from jointens.diagnostics import statistics
from jointens.reports.stored_diagnosis import diagnose_stored


@pytest.fixture(autouse=True)
def few_subsets(monkeypatch):
    monkeypatch.setattr(statistics, "REPEATS", 3)


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory):
    small = {"hidden": [8], "num_learners": 3, "num_epochs": 3, "beta_vals": [0, 0.5, 1], "seeds": [0, 1]}
    small |= {"train_size": 64, "test_size": 40, "device": "cpu", "out": str(tmp_path_factory.mktemp("runs"))}
    return {
        dataset: jointens.run(Experiment(dataset=dataset, average="probabilities", **small), progress=False)
        for dataset in ("diabetes", "digits")
    }


@pytest.fixture
def shown(capsys):
    """What the command prints."""

    def call(*arguments):
        assert main(["show", *map(str, arguments)]) == 0
        told = capsys.readouterr()
        assert told.err == ""
        return told.out

    return call


@pytest.fixture
def refused(capsys):
    """The line that the command complains with."""

    def call(*arguments):
        assert main(["show", *map(str, arguments)]) == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.startswith("jointens: ") and told.err.count("\n") == 1
        return told.err.removeprefix("jointens: ").rstrip("\n")

    return call


def expected(stored, beta, seed, checkpoint=None, reference=None):
    outputs, targets = stored.read(beta, seed, checkpoint)
    against = None if reference is None else stored.read(reference, seed, checkpoint)[0]
    report = diagnose(outputs, targets, loss=stored.loss, average=stored.average, reference=against)
    where = f"β = {beta:g}, seed {seed}, {checkpoint or stored.checkpoints[-1]}"
    return f"{where}{f'; reference β = {reference:g}' if reference is not None else ''}\n{report}"


# ---- sweeps


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


def test_the_command_wants_a_source(capsys):
    assert main(["show"]) == 2
    assert "the following arguments are required: RESULTS|FILE" in capsys.readouterr().err


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


# ---- anybody's arrays


def arrays(loss="cross_entropy"):
    chance = np.random.default_rng(0)
    outputs = chance.normal(size=(4, 30, 3))
    return outputs, chance.integers(3, size=30) if loss == "cross_entropy" else chance.normal(size=(30, 3))


def saved(tmp_path, **named):
    np.savez(tmp_path / "mine.npz", **named)
    return tmp_path / "mine.npz"


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_a_file_of_arrays_with_and_without_a_reference(tmp_path, shown, loss):
    """The loss follows from the targets; what else is in the file is no matter."""
    outputs, targets = arrays(loss)
    alone = saved(tmp_path, outputs=outputs, targets=targets, names=np.array(["a", "b"]))
    assert shown(alone) == f"{diagnose(outputs, targets, loss=loss)}\n"
    assert shown(alone, f"loss={loss}") == shown(alone)
    beside = saved(tmp_path, outputs=outputs, targets=targets, reference=outputs / 3)
    assert shown(beside) == f"{diagnose(outputs, targets, loss=loss, reference=outputs / 3)}\n"


def test_keys_of_a_file_of_arrays(tmp_path, shown, refused):
    outputs, targets = arrays()
    file = saved(tmp_path, outputs=outputs.astype("float32"), targets=targets.astype("uint8"))
    for average in ("probabilities", "released"):
        report = diagnose(outputs.astype("float32"), targets, loss="cross_entropy", average=average)
        assert shown(file, f"average={average}") == f"{report}\n"
    whole = saved(tmp_path, outputs=outputs[..., 0], targets=np.arange(30))  # ages, say
    report = diagnose(outputs[..., 0], np.arange(30), loss="squared_error")
    assert shown(whole, "loss=squared_error") == f"{report}\n"
    assert refused(whole, "loss=zero_one") == "loss is 'zero_one'; known are cross_entropy, squared_error"
    assert refused(whole, "average=mean") == "average is 'mean'; known are scores, probabilities, released"
    assert refused(whole, "beta=1").startswith("show: unknown key 'beta'; the nearest known one is ")


@pytest.mark.parametrize(
    ("outputs", "targets", "loss"),
    [
        ((4, 30), np.arange(30) % 3, "squared_error"),
        ((4, 30, 1), np.arange(30) % 3, "squared_error"),
        ((4, 30, 3), np.arange(30) % 3, "cross_entropy"),
        ((4, 30, 3), np.arange(30) % 3 * 1.0, "cross_entropy"),
        ((4, 30, 2), (np.arange(30) % 2).astype("float16"), "cross_entropy"),
        ((4, 30, 3), np.arange(90).reshape(30, 3) % 7, "squared_error"),
        ((4, 30, 3), np.arange(90).reshape(30, 3) / 7, "squared_error"),
    ],
)
def test_the_loss_follows_from_the_shapes_and_the_targets(tmp_path, shown, outputs, targets, loss):
    outputs = np.random.default_rng(0).normal(size=outputs)
    whole = targets.astype(int) if loss == "cross_entropy" else targets
    assert shown(saved(tmp_path, outputs=outputs, targets=targets)) == f"{diagnose(outputs, whole, loss=loss)}\n"


def test_a_loss_that_was_guessed_is_told_beside_what_does_not_fit(tmp_path, refused):
    outputs, targets = arrays()
    file = saved(tmp_path, outputs=outputs, targets=targets + 0.5)
    told = refused(file)
    assert told.startswith(f"{file}: targets have shape (30,)")
    assert told.endswith(" (read as squared_error; loss=… says otherwise)")
    assert "otherwise" not in refused(file, "loss=squared_error")
    assert "integer classes" in refused(file, "loss=cross_entropy")
    file = saved(tmp_path, outputs=np.exp(outputs) / np.exp(outputs).sum(-1, keepdims=True), targets=targets)
    assert refused(file).endswith("take their logarithm (read as cross_entropy; loss=… says otherwise)")


def test_arrays_that_do_not_fit_are_one_line(tmp_path, refused):
    outputs, targets = arrays()
    for named, told in (
        ({"outputs": outputs}, "holds outputs, and no targets; needed are outputs (M, N, K) and targets (N,)"),
        ({"targets": targets}, "holds targets, and no outputs; needed are "),
        ({}, "holds nothing, and no outputs; needed are "),
        ({"logits": outputs, "targets": targets}, "holds logits, targets, and no outputs; needed are "),
        ({"outputs": outputs[:, :9], "targets": targets}, "targets have shape (30,)"),
        ({"outputs": outputs[:1], "targets": targets}, "one learner"),
        ({"outputs": outputs * np.nan, "targets": targets}, "outputs hold NaN"),
        ({"outputs": outputs, "targets": 0 * targets}, "targets are all 0"),
        ({"outputs": outputs, "targets": targets + 1}, "classes 1..3"),
        ({"outputs": outputs, "targets": targets.astype(str)}, "targets are of <U21"),
        ({"outputs": outputs, "targets": np.where(targets, 1, np.inf)}, "targets"),
        ({"outputs": outputs, "targets": np.array(1)}, "targets have shape ()"),
        ({"outputs": np.array(1.0), "targets": targets}, "outputs have shape ()"),
        ({"outputs": outputs, "targets": targets, "reference": outputs[:, 1:]}, "reference"),
        ({"outputs": np.array([None] * 30), "targets": targets}, "is damaged, or no .npz file of plain arrays"),
    ):
        line = refused(saved(tmp_path, **named))
        assert line.startswith(str(tmp_path / "mine.npz")) and told in line


@pytest.mark.parametrize("kind", ["empty", "text", "npy", "pickle", "cut", "torch", "broken inside", "folder", "none"])
def test_what_is_no_file_of_arrays_is_one_line(tmp_path, refused, kind):
    outputs, targets = arrays()
    file = saved(tmp_path, outputs=outputs, targets=targets)
    whole = file.read_bytes()
    if kind in ("folder", "none"):
        file.unlink()
        _ = kind == "none" or file.mkdir()
    elif kind == "npy":
        with file.open("wb") as opened:
            np.save(opened, outputs)
    elif kind == "torch":
        torch.save(outputs, file)
    elif kind == "broken inside":
        np.savez_compressed(file, outputs=outputs, targets=targets)
        packed = bytearray(file.read_bytes())
        packed[62:92] = b"\xff" * 30  # where what was compressed begins
        file.write_bytes(packed)
    else:
        file.write_bytes({"empty": b"", "text": b"beta,seed", "pickle": b"\x80\x04K\x01.", "cut": whole[:-30]}[kind])
    assert "mine.npz" in refused(file)


def test_a_file_of_theirs_that_is_none(tmp_path, refused):
    file = tmp_path / "deep_ensemble_x.json"
    file.write_text(json.dumps({"run": {"beta": [0]}}))
    assert refused(file) == f"{file}, run 'run': ens_loss is missing"
    with pytest.raises(InputError, match="is not there"):
        diagnose_stored(tmp_path / "deep_ensemble_y.json")


def test_output_that_is_closed_early_gives_no_traceback(tmp_path):
    """As in `show … | head -1`, of which nothing is read."""
    outputs, targets = arrays("squared_error")
    file = saved(tmp_path, outputs=outputs, targets=targets)
    call = [sys.executable, "-m", "jointens", "show", str(file)]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()  # before anything is written
    told = process.stderr.read()
    assert process.wait(60) == 141 and told == ""
    process.stderr.close()


def test_a_terminal_that_knows_no_greek(sweeps):
    call = [sys.executable, "-m", "jointens", "show", str(sweeps["diabetes"].folder), "beta=1"]
    done = subprocess.run(call, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.startswith(b"? = 1, seed 0, last; reference ? = 0\n3 learners on ")
