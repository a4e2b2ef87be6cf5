"""The benchmarks compare like with like: the plain loop, written without the library's training, reaches its losses."""

import dataclasses
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def script(name, *arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_plain_loop_and_the_sweep_reach_the_same_losses():
    done = script("sweep_speed.py", "--rounds", "1", "--epochs", "2", "--seeds", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the losses agree" in done.stdout
    assert "12 runs, M = 5, 2 epochs, 1000 images" in done.stdout


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
