"""How a step is run: compiled learners, execution modes and precisions."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import warnings

import pytest
import torch
from small_images import CPU, images, same, trained
from torch import nn
from torch._dynamo.utils import counters

import jointens
from jointens import Experiment, InputError, make_learner
from jointens.common import autocast
from jointens.models.learners import resnet
from jointens.sweeps import build
from jointens.sweeps import precision as precision_trial
from jointens.sweeps.precision import warn_if_slow
from jointens.training import choose_execution

# ----------------------------------------------------------------------------------------------- compiled learners


def small_net():
    return nn.Sequential(
        nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(196, 10)
    )


@pytest.mark.parametrize("make", [small_net, lambda: make_learner("MLP", (3, 32, 32), 10, hidden=[16])])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.slow
def test_compiled_learners_train_as_plain_ones_and_compile_once(small_sets, monkeypatch, make, precision):
    """Looped with batch-norm, and stacked. The smaller last batch and evaluation go without torch.compile."""
    monkeypatch.setattr(build, "make_learner", lambda experiment: make())
    if not (shutil.which("c++") or shutil.which("g++")):
        pytest.skip("torch.compile needs a C++ compiler")
    experiment = images(small_sets, precision=precision, num_learners=3, num_epochs=3)
    plain = trained(experiment)[1]
    choose_execution("compiled", CPU)  # which compiles something to see whether that works
    torch._dynamo.reset()
    counters.clear()
    fused = trained(dataclasses.replace(experiment, execution="compiled"))[1]
    assert counters["stats"]["unique_graphs"] == 1
    same(plain, fused, tolerance={"float32": 1e-5, "bfloat16": 0.02}[precision])


@pytest.mark.slow
def test_without_a_compiler_one_line_tells(tmp_path):
    command = [sys.executable, "-m", "jointens", "run", "notebooks/profiles/digits.yml"]
    broken = {"CXX": "/nowhere/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    keys = ["execution=compiled", "device=cpu", f"out={tmp_path / 'runs'}"]
    done = subprocess.run([*command, *keys], capture_output=True, text=True, env={**os.environ, **broken})
    assert done.returncode == 2 and done.stdout == ""
    assert "torch.compile does not work on this machine (" in done.stderr and "use execution=eager" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "runs").exists()


# ------------------------------------------------------------------------------ execution modes and precisions


def test_execution_modes_that_a_device_does_not_have():
    gpu = torch.device("cuda")
    assert [choose_execution(None, place) for place in (CPU, gpu)] == ["eager", "graph"]
    assert choose_execution("eager", gpu) == "eager" and choose_execution("streams", gpu) == "streams"
    for execution in ("graph", "streams", "compiled_streams"):
        with pytest.raises(
            InputError, match=f"execution is {execution}, which needs a GPU; a CPU allows eager and compiled"
        ):
            choose_execution(execution, CPU)
    with pytest.raises(
        InputError, match="execution is 'fast'; known are eager, graph, streams, compiled, compiled_streams"
    ):
        Experiment(execution="fast")
    with pytest.raises(InputError, match="precision is 'half'; known are float32, bfloat16"):
        Experiment(precision="half")


def test_precision_is_part_of_the_identity_and_execution_is_not(tiny):
    assert tiny().hash == tiny(execution="compiled").hash != tiny(precision="bfloat16").hash
    assert tiny().hash == tiny(precision="float32").hash


@pytest.mark.parametrize("name", ["MLP", "CNN", "ResNet18"])
@pytest.mark.slow
def test_bfloat16_reaches_the_losses_of_float32(small_sets, name, monkeypatch):
    """Ten steps; weights, losses and outputs stay float32, and only products are rounded."""
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, x: x)
    monkeypatch.setattr(torch.nn.Dropout2d, "forward", lambda self, x: x)
    keys = {"base_learner": name, "train_size": 16, "num_epochs": 5, "beta_vals": [0.5], "learning_rate": 0.02}
    if name == "ResNet18":
        monkeypatch.setattr(build, "make_learner", lambda experiment: resnet(64, (1, 1), (3, 32, 32), 10, width=1))
    results = []
    for precision in ("float32", "bfloat16"):
        trainer, (run,) = trained(images(small_sets, precision=precision, **keys))
        assert {value.dtype for value in trainer.ensemble.parameters()} == {torch.float32}
        assert {run.outputs[key].dtype for key in run.outputs if "outputs" in key} == {torch.float32}
        results.append(run)
    exact, rounded = ([*run.history["objective"], *run.history["val"]["ensemble"]] for run in results)
    assert rounded == pytest.approx(exact, rel=0.03)
    assert rounded != pytest.approx(exact, rel=1e-6)


def test_what_is_emulated_is_told(monkeypatch, tiny):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    with pytest.warns(UserWarning, match="it is emulated"):
        jointens.run(tiny(precision="bfloat16"), progress=False)
    with pytest.warns(UserWarning, match="precision is bfloat16, which this cpu does not have: it is emulated"):
        warn_if_slow(tiny(precision="bfloat16"), CPU)


@pytest.mark.parametrize(("bfloat16", "told"), [(0.3, True), (0.05, False)])
def test_bfloat16_that_a_trial_finds_slower_is_told(bfloat16, told, monkeypatch, tiny):
    seconds = {"float32": 0.1, "bfloat16": bfloat16}
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(precision_trial, "step_seconds", lambda experiment, name: seconds[name])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warn_if_slow(tiny(precision="bfloat16"), CPU)
        warn_if_slow(tiny(), CPU)
    message = "precision is bfloat16, which this cpu computes slower: a step takes 3.0 times as long as in float32"
    assert [str(of.message) for of in warned] == ([message] if told else [])


def test_the_trial_takes_the_time_of_a_step_in_each_precision(monkeypatch, tiny):
    used, clock = [], iter(range(100))
    monkeypatch.setattr(precision_trial, "autocast", lambda name, device: used.append(name) or autocast(name, device))
    monkeypatch.setattr(precision_trial.time, "perf_counter", lambda: float(next(clock)))
    assert [precision_trial.step_seconds(tiny(), name) for name in ("bfloat16", "float32")] == [1.0, 1.0]
    assert used == ["bfloat16"] * 6 + ["float32"] * 6


def test_provenance_names_the_execution_mode(tiny, tmp_path):
    experiment = tiny(out=str(tmp_path), beta_vals=[0], seeds=[0], num_epochs=1)
    folder = jointens.run(experiment, progress=False).folder
    (cell,) = (folder / "cells").glob("*.json")
    assert json.loads(cell.read_text())["provenance"]["execution"] == "eager"
