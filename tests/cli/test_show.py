"""`python -m jointens show`: the diagnosis of stored outputs in text, and one line for what cannot be shown."""

import json
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

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
    for keys, told in (({"num_learners": 1}, "one learner"), ({"learning_rate": 1e30}, "NaN or infinite")):
        results = jointens.run(tiny(dataset="diabetes", seeds=[0], beta_vals=[0, 1], **keys), progress=False)
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
    assert refused(file).endswith("with outputs_are='probabilities' (read as cross_entropy; loss=… says otherwise)")


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


def classifier():
    """Draw logits (3, 60, 4), classes, and the probabilities; and the learners' mean cross-entropy."""
    chance = np.random.default_rng(2)
    targets = chance.integers(4, size=60)
    logits = 3 * chance.normal(size=(3, 60, 4)) + 2 * np.eye(4)[targets]
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return logits, targets, p, -np.log(p[:, np.arange(60), targets]).mean()


def individual(text):
    """The individual loss that a report shows."""
    return float(re.search(r"individual loss +([\d.]+) ", text)[1])


def test_probabilities_are_shown_if_the_file_or_the_command_says_so(tmp_path, shown, refused):
    logits, targets, p, loss = classifier()
    file = saved(tmp_path, outputs=p, targets=targets)
    assert "look like probabilities; allowed are logits, or probabilities with outputs_are=" in refused(file)
    text = shown(file, "outputs_are=probabilities")
    assert individual(text) == pytest.approx(loss, abs=5e-4)
    report = diagnose(p, targets, loss="cross_entropy", outputs_are="probabilities")
    assert text == f"{report}\n"
    beside = {"reference": p[::-1] ** 0.5 / (p[::-1] ** 0.5).sum(-1, keepdims=True)}
    marked = saved(tmp_path, outputs=p, targets=targets, outputs_are="probabilities", **beside)
    report = diagnose(p, targets, loss="cross_entropy", outputs_are="probabilities", average="probabilities", **beside)
    assert shown(marked, "average=probabilities") == f"{report}\n"
    assert "rows are no probabilities" in refused(
        saved(tmp_path, outputs=logits, targets=targets), "outputs_are=probabilities"
    )
    assert refused(marked, "outputs_are=votes") == "outputs_are is 'votes'; known are logits, probabilities"
    assert "outputs_are is 'votes'" in refused(saved(tmp_path, outputs=p, targets=targets, outputs_are="votes"))


def test_one_hot_targets_are_classes_and_the_report_says_so(tmp_path, shown):
    logits, targets, _, loss = classifier()
    text = shown(saved(tmp_path, outputs=logits, targets=np.eye(4)[targets]))
    assert individual(text) == pytest.approx(loss, abs=5e-4)
    assert "cross-entropy" in text and "\nTargets are one-hot, and taken as classes.\n" in text
    squared = shown(saved(tmp_path, outputs=logits, targets=np.eye(4)[targets]), "loss=squared_error")
    assert individual(squared) == pytest.approx(((logits - np.eye(4)[targets]) ** 2).sum(-1).mean(), rel=1e-3)


@pytest.mark.parametrize("kind", [bool, int, "uint8", float, "float32"])
@pytest.mark.parametrize("axes", [0, 1])
def test_a_single_logit_is_shown_as_that_of_a_binary_classifier(tmp_path, shown, kind, axes):
    chance = np.random.default_rng(3)
    targets = chance.integers(2, size=60)
    z = 3 * chance.normal(size=(3, 60)) + 2 * targets - 1
    loss = (np.logaddexp(0, z) - z * targets).mean()
    outputs, targets = (z[..., None], targets[:, None]) if axes else (z, targets)
    text = shown(saved(tmp_path, outputs=outputs, targets=targets.astype(kind)))
    assert individual(text) == pytest.approx(loss, abs=5e-4)
    assert (
        "cross-entropy" in text and "\nThe single output for each example is taken as the logit z of (0, z).\n" in text
    )
    file = saved(tmp_path, outputs=1 / (1 + np.exp(-outputs)), targets=targets.astype(kind))
    assert individual(shown(file, "outputs_are=probabilities")) == pytest.approx(loss, abs=5e-4)


def test_what_is_not_clear_is_asked_in_one_line(tmp_path, refused, shown):
    chance = np.random.default_rng(4)
    binary, normal = np.arange(60) % 2, chance.normal(size=(3, 60))
    near, votes, hot = 0.1 * normal + 0.5, chance.integers(4, size=(3, 60)), np.eye(4)[np.arange(60) % 4]
    spread = f"{near.min():.3g} to {near.max():.3g}"
    for outputs, targets, told in (
        (near, binary, f"targets are 0 and 1, outputs (3, 60) are {spread}; give loss=cross_entropy if the outputs are "
                       "logits, outputs_are=probabilities if they are probabilities, or loss=squared_error"),
        (votes, np.arange(60) % 4, "outputs (3, 60) and targets are whole numbers; give loss=squared_error if"),
        (votes[..., None] * 1.0, np.arange(60) % 4, "outputs (3, 60, 1) and targets are whole numbers; give loss"),
        (votes % 2, binary > 0, "classes that learners vote for have no cross-entropy"),
        (3 * normal, 2 * binary - 1, "targets are -1 and 1 only; give classes 0 and 1, or loss=squared_error"),
        (3 * normal, binary + 1.0, "targets are 1 and 2 only; give classes 0 and 1"),
        (chance.normal(size=(3, 60, 4)), hot + np.roll(hot, 1, 1), "(60, 4) are 0 and 1, but not one-hot; give loss="),
        (chance.normal(size=(3, 60, 4)), 0.9 * hot + 0.025, "(60, 4) are rows that sum to 1, but are not"),
    ):  # fmt: skip
        file = saved(tmp_path, outputs=outputs, targets=targets)
        line = refused(file)
        assert line.startswith(f"{file}: ") and told in line
        report = diagnose(outputs, np.asarray(targets, dtype=float), loss="squared_error")
        assert shown(file, "loss=squared_error") == f"{report}\n"


# ---- other files than .npz


def written(file, named):
    """Write arrays to a file of the kind that its suffix names."""
    tensors = {name: torch.tensor(value) for name, value in named.items() if not isinstance(value, str)}
    texts = {name: value for name, value in named.items() if isinstance(value, str)}
    suffix = file.suffix.lower()
    if suffix == ".npz":
        with file.open("wb") as opened:
            np.savez(opened, **named)
    elif suffix == ".safetensors":
        save_file(tensors, file, metadata=texts)
    else:
        torch.save(tensors | texts, file)
    return file


@pytest.mark.parametrize("suffix", [".npz", ".NPZ", ".pt", ".PT", ".pth", ".safetensors", ".SafeTensors"])
def test_files_of_arrays_in_other_formats(tmp_path, shown, suffix):
    _, targets, p, loss = classifier()
    named = {"outputs": p, "targets": targets, "reference": p[::-1].copy(), "outputs_are": "probabilities"}
    report = diagnose(p, targets, loss="cross_entropy", reference=p[::-1], outputs_are="probabilities")
    text = shown(written(tmp_path / f"mine{suffix}", named))
    assert text == f"{report}\n" and individual(text) == pytest.approx(loss, abs=5e-4)


def test_half_precision_in_torchs_files(tmp_path, shown):
    logits, targets, _, loss = classifier()
    torch.save(
        {"outputs": [torch.tensor(of).bfloat16() for of in logits], "targets": torch.tensor(targets)}, tmp_path / "a.pt"
    )
    assert individual(shown(tmp_path / "a.pt")) == pytest.approx(loss, rel=0.01)


@pytest.mark.parametrize("suffix", [".npy", ".NPY", ".pt", ".npz", ".safetensors"])
def test_targets_and_a_reference_in_files_of_their_own(tmp_path, shown, refused, suffix, monkeypatch):
    logits, targets, _, _ = classifier()
    report = diagnose(logits, targets, loss="cross_entropy", reference=logits[::-1] / 2)
    files = {}
    for name, values in (("outputs", logits), ("targets", targets), ("reference", logits[::-1] / 2)):
        files[name] = tmp_path / f"{name}{suffix}"
        if suffix.lower() == ".npy":
            with files[name].open("wb") as opened:
                np.save(opened, values)
        elif suffix == ".pt":
            torch.save(torch.tensor(values.copy()), files[name])
        else:
            written(files[name], {"outputs" if name == "outputs" else "a": values.copy()})
    monkeypatch.chdir(tmp_path)
    assert shown(files["outputs"], f"targets=targets{suffix}", f"reference={files['reference']}") == f"{report}\n"
    needed = "needed are outputs (M, N, K) and targets (N,), or targets=FILE"
    assert refused(files["outputs"]) == f"{files['outputs']} holds outputs, and no targets; {needed}"
    assert refused(files["outputs"], "targets=none.npy").startswith("cannot read none.npy: ")
    assert refused(files["outputs"], "targets=t.csv").startswith("targets is t.csv; allowed are files of .npz, .npy")


class Trap:
    """An object that leaves a file behind where a pickle with it is loaded."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt", ".pth", ".safetensors"])
def test_nothing_in_a_file_is_executed(tmp_path, refused, suffix):
    file, trap = tmp_path / f"mine{suffix}", Trap(tmp_path / "sprung")
    content = {"outputs": np.array([trap], dtype=object), "targets": trap}
    for save in (pickle.dump, torch.save, lambda _, to: np.save(to, np.array([trap]), allow_pickle=True),
                 lambda _, to: np.savez(to, outputs=np.array([trap]), allow_pickle=True)):  # fmt: skip
        with file.open("wb") as opened:
            save(content, opened)
        assert refused(file).startswith(f"{file} ")
    assert not trap.file.exists()
    pickle.loads(pickle.dumps(trap))
    assert trap.file.exists()  # it does spring


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


def test_a_file_of_theirs_in_upper_case(sweeps, shown, tmp_path):
    there = convert(sweeps["diabetes"].folder, tmp_path / "there") / "deep_ensemble_diabetes_last.json"
    assert shown(there.rename(tmp_path / "DEEP.JSON")).startswith("β = 0, seed 0, published\n")


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
