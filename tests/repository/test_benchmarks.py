"""The benchmarks compare like with like: the plain loop, written without the library's training, reaches its losses."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from checkout import ROOT

from jointens import Experiment


def script(name, *arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_the_plain_loop_and_the_sweep_reach_the_same_losses():
    done = script("sweep_speed.py", "--rounds", "1", "--epochs", "2", "--seeds", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the losses agree" in done.stdout
    assert "12 runs, M = 5, 2 epochs, 1000 images" in done.stdout


@pytest.mark.slow
def test_a_sweep_that_computes_something_else_is_told(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import sweep_speed

    import jointens

    experiment = jointens.Experiment(num_epochs=2, seeds=[0, 1], beta_vals=[0, 1], device="cpu")
    theirs, ours = sweep_speed.by_plain_loop(experiment), sweep_speed.by_sweep(experiment)
    assert sweep_speed.compared(theirs, ours)[1]
    for change in ({"beta_vals": [0, 0.9]}, {"learning_rate": 0.101}, {"batch_size": 63}, {"lr_switch": [1]}):
        other = sweep_speed.by_sweep(dataclasses.replace(experiment, **change))
        assert not sweep_speed.compared(theirs, other)[1], change


@pytest.mark.realdata
@pytest.mark.slow
def test_the_plain_loop_for_images_and_the_trainer_reach_the_same_losses(cifar10_root):
    sizes = ["--rounds", "1", "--train-size", "512", "--val-size", "100"]
    done = script("images.py", "--data-root", str(cifar10_root), *sizes)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the losses agree" in done.stdout and "CNN, M = 5, 512 images and 100 for validation" in done.stdout


def test_images_that_are_not_there_are_told_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import images

    threads = str(torch.get_num_threads())
    monkeypatch.setattr(sys, "argv", ["images.py", "--data-root", str(tmp_path), "--threads", threads])
    assert images.main() == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("images.py: CIFAR-10 cannot be read: ") and err.count("\n") == 1


def test_other_image_losses_are_told(small_sets, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import images

    keys = {"base_learner": "CNN", "average": "probabilities", "num_learners": 2, "batch_size": 40, "num_epochs": 1}
    experiment = Experiment(dataset="CIFAR-10", data_root=small_sets, beta_vals=[0.5], seeds=[0], device="cpu", **keys)
    theirs, ours = images.undisturbed(experiment)
    assert images.compared(theirs, ours, allowed=2e-5)[1]
    assert not images.compared(theirs, images.by_jointens(experiment)[1], allowed=2e-5)[
        1
    ]  # with dropout, shifted images
    for change in ({"beta_vals": [1]}, {"learning_rate": 0.09}, {"batch_size": 50}):
        _, other = images.undisturbed(dataclasses.replace(experiment, **change))
        assert not images.compared(theirs, other, allowed=2e-5)[1], change


def test_a_way_that_fails_or_differs_is_told_and_not_taken(small_sets, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import ways

    keys = {"base_learner": "CNN", "num_learners": 2, "batch_size": 40, "train_size": 160, "val_size": 40}
    experiment = Experiment(
        dataset="CIFAR-10", data_root=small_sets, beta_vals=[0.5], seeds=[0], device="cpu", learning_rate=0.05, **keys
    )
    measured = ways._measured

    def broken(experiment, peak):
        if experiment.execution == "graph":
            raise RuntimeError("no graph\nand more")
        row = measured(dataclasses.replace(experiment, execution="eager"), peak)
        if experiment.execution == "streams":
            row = row._replace(objective=0.8 * row.objective, images=10 * row.images)
        return row._replace(execution=experiment.execution)

    monkeypatch.setattr(ways, "_measured", broken)
    rows = ways.compare(experiment, ["graph", "streams", "compiled"], rate=1e12)
    assert [row.execution for row in rows] == ["eager", "streams", "compiled"]
    assert "float32, execution=graph fails: RuntimeError: no graph\n" in capsys.readouterr().out
    assert ways.fastest(rows) == "compiled" and ways.fastest(rows[:2]) is None
    assert [line.endswith("DIFFERS") for line in ways.table(rows).splitlines()] == [False, False, True, False]
    assert all(0 < row.share < 1 for row in rows)


def test_hours_on_imagenet_are_arithmetic_and_reading(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import imagenet_hours

    monkeypatch.setattr(imagenet_hours, "IMAGES", 4)
    monkeypatch.setattr(imagenet_hours, "IMAGENET", ("imagenet_resnet18", "imagenet_mobilevit"))
    rows = imagenet_hours.main(["--validations", "100", "--tflops", "1000", "--share", "0.1", "--cores", "2"])
    resnet, _ = rows
    assert resnet.forward == pytest.approx(3.63, abs=0.01)  # twice torchvision's 1.814 GMAC
    images = 100 * (3 * 2000 * 32 + 50_000 + 10_000)
    assert resnet.exaflop == pytest.approx(3 * resnet.forward * images / 1e9)
    assert resnet.computing == pytest.approx(resnet.exaflop * 1e18 / 1e14 / 3600)
    told = capsys.readouterr().out
    rate = float(told.partition("one core reads ")[2].partition(" ")[0])
    assert resnet.reading == pytest.approx(100 * 124_000 / (2 * rate) / 3600, rel=0.05)
    assert f"{max(resnet.computing, resnet.reading):.1f}\n" in told and "nothing was trained" in told
    for row, name in zip(rows, imagenet_hours.IMAGENET, strict=True):
        profile = (ROOT / "notebooks" / "profiles" / f"{name}.yml").read_text()
        assert row.learner in profile and "Estimated, not measured" in profile


@pytest.mark.slow
def test_workers_are_counted_and_drawn_and_leave_the_same_cells(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import workers

    small = {"dataset": "digits", "hidden": [8], "num_learners": 2, "max_patience": 9, "num_epochs": 1}
    monkeypatch.setattr(workers, "KEYS", small | {"train_size": 64, "beta_vals": [1], "seeds": [0, 1], "device": "cpu"})
    figure = tmp_path / "figure.png"
    words = ["workers.py", "--data-root", str(tmp_path), "--rounds", "1", "--figure", str(figure)]
    monkeypatch.setattr(sys, "argv", words)
    assert workers.main() == 0
    told = capsys.readouterr().out
    assert "round 1: all threads" in told and "the same cells, bit for bit" in told and figure.exists()
    monkeypatch.setattr(workers, "run", lambda keys, jobs: (1.0, {"a cell": {"loss": jobs}}))
    assert workers.main() == 1
    assert "THE CELLS DIFFER" in capsys.readouterr().out
