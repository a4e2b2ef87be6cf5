"""Going on where training was stopped: the same files as if it had not been."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from same_files import files
from upkeep import publish

import jointens
from jointens import Experiment, InputError, Results
from jointens.reports import published
from jointens.sweeps import load_data
from jointens.training import Trainer, checkpoint


@pytest.fixture
def toy(toy_root, tmp_path):
    """A run of a second: dropout, momentum, crops, patience."""

    def make(**keys):
        small = {
            "dataset": "toy-imagenet", "base_learner": "CNN", "image_size": 32, "num_learners": 2,
            "average": "probabilities", "beta_vals": [0, 1], "seeds": [0], "train_size": 24, "val_size": 12,
            "batch_size": 4, "num_epochs": 3, "validate_every": 2, "measured_size": 12, "learning_rate": 0.05,
            "lr_switch": 2, "max_patience": 10, "device": "cpu", "data_root": str(toy_root),
            "out": str(tmp_path / "runs"),
        }  # fmt: skip
        return Experiment(**small | keys)

    return make


def undisturbed(experiment, tmp_path):
    return files(jointens.run(experiment_in(experiment, tmp_path / "undisturbed"), progress=False).folder)


def experiment_in(experiment, out):
    return Experiment(**{name: getattr(experiment, name) for name in Experiment.names()} | {"out": str(out)})


class Stopped(BaseException):
    """Like KeyboardInterrupt no Exception."""


def run_stopped(experiment, monkeypatch, *, after_steps):
    """Train until so many steps of any cell are done, counted from 0, then stop as a signal would."""
    steps, train = [], Trainer._train_step

    def counted(self, *batch):
        if len(steps) == after_steps:
            raise Stopped
        steps.append(1)
        train(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", counted)
        with pytest.raises(Stopped):
            jointens.run(experiment, progress=False)


@pytest.mark.parametrize("after_steps", [1, 2, 3, 7, 17, 18, 25])  # of 18 a cell; in the midst of epochs, too
@pytest.mark.slow
def test_a_run_that_was_stopped_ends_with_the_same_files(toy, tmp_path, monkeypatch, after_steps):
    experiment = toy()
    run_stopped(experiment, monkeypatch, after_steps=after_steps)
    folder = Results(experiment).folder
    reached = min(after_steps % 18, 18) // 2
    assert any(folder.glob("unfinished/*.pt")) == (reached > 0)
    assert not any(folder.glob("unfinished/*.claim"))
    results = jointens.run(experiment, progress=False)
    assert files(results.folder) == undisturbed(experiment, tmp_path)
    assert not (results.folder / "unfinished").exists()


@pytest.mark.parametrize(
    "keys",
    [
        {"validate_every": None, "lr_switch": [1, 2]},
        {"validate_every": 4, "workers": 2, "num_epochs": 2},  # of 6 steps: the last two are in no validation
        {"base_learner": "MobileNet_IN", "num_epochs": 2},  # with batch-norm
        {"dataset": "CIFAR-10"},
        {"scheduler": "Linear", "lr_switch": 3, "optimiser": "Adam", "learning_rate": 0.001},
        {"warm_start": 2},  # the first stop is within it
        {"kept_learners": 1, "diversity_cap": 0.1},
    ],
    ids=lambda keys: next(iter(keys)),
)
@pytest.mark.slow
def test_with_other_protocols_and_data_in_memory_as_well(toy, tmp_path, monkeypatch, small_sets, keys):
    if "dataset" in keys:
        keys |= {
            "image_size": None, "data_root": str(small_sets), "train_size": 40, "val_size": 20, "test_size": 20,
            "batch_size": 8, "checkpoint_seconds": 0,
        }  # fmt: skip
    experiment = toy(**keys)
    run_stopped(experiment, monkeypatch, after_steps=9)
    assert Results(experiment).unfinished_records()
    results = jointens.run(experiment, progress=False)
    assert files(results.folder) == undisturbed(experiment, tmp_path)


def test_results_are_written_at_each_validation(toy, monkeypatch):
    experiment = toy()
    run_stopped(experiment, monkeypatch, after_steps=11)
    results = Results(experiment)
    assert results.records() == []
    (record,) = results.unfinished_records()
    assert (record.beta, record.seed, record.test) == (0, 0, {"best": None, "last": None})
    assert record.history.step == [2, 4, 6, 8, 10] and record.history.epoch == [1, 1, 1, 2, 2]
    assert len(record.history.epoch_objective) == 1
    assert set(results.history(unfinished=True)["step"]) == {2, 4, 6, 8, 10} and len(results.history()) == 0
    assert set(results.learner_history(unfinished=True)["learner"]) == {0, 1}


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.slow
def test_a_process_that_was_killed_ends_after_a_restart_with_the_same_files(toy, tmp_path, signum):
    """As `python -m jointens run` does it, workers and all; killed while it trains from one validation to the next."""
    experiment = toy(num_epochs=4, workers=2, beta_vals=[0])
    profile = tmp_path / "toy.yml"
    profile.write_text(json.dumps({name: getattr(experiment, name) for name in Experiment.names()}))
    command = [sys.executable, "-m", "jointens", "run", str(profile)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    unfinished = Results(experiment).folder / "unfinished" / "beta=0,seed=0.json"
    deadline = time.monotonic() + 120
    while not unfinished.exists() or len(json.loads(unfinished.read_text())["history"]["step"]) < 3:
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()
        time.sleep(0.01)
    os.kill(running.pid, signum)
    _, told = running.communicate(timeout=60)
    assert running.returncode == (-signal.SIGKILL if signum == signal.SIGKILL else 143), told
    assert "Traceback" not in told
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "beta=0,seed=0 goes on after " in again.stderr
    assert files(Results(experiment).folder) == undisturbed(toy(num_epochs=4, beta_vals=[0]), tmp_path)


def test_a_checkpoint_holds_the_time_that_was_spent(toy, monkeypatch):
    experiment = toy(beta_vals=[0])
    run_stopped(experiment, monkeypatch, after_steps=8)
    path = Results(experiment).unfinished_path(experiment.cells[0], ".pt")
    content = torch.load(path, weights_only=True)
    torch.save(content | {"seconds": 1000.0}, path)
    (record,) = jointens.run(experiment, progress=False).records()
    assert 1000 < record.provenance["stack_seconds"] < 1600


def test_checkpoints_can_be_rarer(toy, monkeypatch):
    experiment = toy(checkpoint_seconds=3600)
    run_stopped(experiment, monkeypatch, after_steps=11)
    assert not any(Results(experiment).folder.glob("unfinished/*.pt"))


def test_runs_that_train_side_by_side_have_none(tiny, monkeypatch):
    experiment = tiny(checkpoint_seconds=0, num_epochs=5)
    run_stopped(experiment, monkeypatch, after_steps=4)
    assert not any(Results(experiment).folder.glob("unfinished/*.pt"))


def spoilt(path, how, other):
    if how == "another experiment":
        path.write_bytes(other.read_bytes())
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        path.write_bytes(b"" if how == "empty" else b"a text")


@pytest.mark.parametrize("how", ["another experiment", "cut off", "empty", "a text"])
def test_a_checkpoint_that_does_not_fit_is_one_line_and_stays(toy, tmp_path, monkeypatch, how):
    experiment, other = toy(beta_vals=[0]), toy(beta_vals=[0], learning_rate=0.01, out=str(tmp_path / "other"))
    for of in (experiment, other):
        run_stopped(of, monkeypatch, after_steps=5)
    path, of_other = (Results(of).unfinished_path(of.cells[0], ".pt") for of in (experiment, other))
    spoilt(path, how, of_other)
    before = path.read_bytes()
    with pytest.raises(InputError) as told:
        jointens.run(experiment, progress=False)
    message = str(told.value)
    assert str(path) in message and message.endswith("remove it to begin anew") and "\n" not in message
    assert ("it is damaged" in message) == (how != "another experiment")
    assert (
        how != "another experiment"
        or f"{other.hash} beta=0,seed=0 cpu stacked there and {experiment.hash} beta=0" in message
    )
    assert path.read_bytes() == before
    path.unlink()
    assert len(jointens.run(experiment, progress=False).records()) == 1


def test_a_signal_or_a_full_disk_while_a_checkpoint_is_written_is_what_it_is(toy, monkeypatch):
    """And the last checkpoint stays whole: the run goes on from it."""
    experiment = toy(beta_vals=[0])
    write, error = checkpoint.write_atomically, OSError(28, "No space left on device")

    def failing(path, content):
        if path.suffix == ".pt" and path.exists():
            raise error
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", failing)
    with pytest.raises(InputError, match=r"cannot write a checkpoint to .*unfinished: No space left on device"):
        jointens.run(experiment, progress=False)
    error = Stopped()
    with pytest.raises(Stopped):
        jointens.run(experiment, progress=False)
    monkeypatch.undo()
    assert len(jointens.run(experiment, progress=False).records()) == 1


def test_what_a_killed_process_left_of_a_finished_cell_is_removed(toy):
    experiment = toy(beta_vals=[0], num_epochs=1)
    results = jointens.run(experiment, progress=False)
    left = results.unfinished_path(experiment.cells[0], ".pt")
    left.parent.mkdir()
    left.write_bytes(b"")
    jointens.run(experiment, progress=False)
    assert not left.parent.exists()


def test_damaged_images_that_were_left_out_are_counted_and_such_a_run_is_not_published(
    toy, toy_root, tmp_path, monkeypatch
):
    root = tmp_path / "data"
    shutil.copytree(toy_root / "toy-imagenet", root / "toy-imagenet")
    experiment = toy(beta_vals=[0], data_root=str(root), skip_damaged=True, num_epochs=2)
    train = load_data(experiment, 0).train
    for row in (3, 20):
        train.path(row).write_bytes(b"no image")
    with pytest.warns(UserWarning, match="skipped: .* is damaged") as told:
        run_stopped(experiment, monkeypatch, after_steps=9)  # of the second epoch
        results = jointens.run(experiment, progress=False)
    assert results.records()[0].provenance["skipped"] == 2
    assert len({str(of.message) for of in told}) == 2
    profile = {name: getattr(experiment, name) for name in Experiment.names()}
    (tmp_path / "profile.yml").write_text(json.dumps(profile))
    monkeypatch.setattr(published, "settings", lambda: [published.Setting("profile", experiment.average)])
    monkeypatch.setattr(published, "profiles_root", lambda: tmp_path)
    with pytest.raises(InputError, match="was trained without the images that were damaged"):
        publish.publish_folder(results.folder)
