"""How a device is driven: recorded, compiled and side-by-side steps train as plain ones, and nothing waits for a GPU.

No GPU is needed: a CUDA graph has a stand-in that replays on the CPU (recording.py), and tensors that only pretend to
lie on a GPU tell whether anything does not.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import warnings

import pytest
import torch
import torchvision.models.resnet  # noqa: F401  not to be imported under the pretended GPU
from recording import record
from torch import nn
from torch._dynamo.utils import counters
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

import jointens
from jointens import Cell, Ensemble, Experiment, InputError, make_learner
from jointens.common import device, warn_if_emulated
from jointens.data import Data, Split, augmentation
from jointens.models import ensemble
from jointens.models.learners import resnet
from jointens.sweeps import build, make_trainer
from jointens.training import GraphedStep, choose_execution, cuda_graph
from jointens.training.graphed_step import WARM_UP

CPU = torch.device("cpu")


def images(root, **keys):
    small = {"train_size": 20, "val_size": 10, "test_size": 10, "batch_size": 8, "num_epochs": 5, "num_learners": 2}
    return Experiment(
        dataset="CIFAR-10", data_root=root, device="cpu",
        **{"base_learner": "CNN", "beta_vals": [0, 1], "seeds": [0], "learning_rate": 0.01, **small, **keys},
    )  # fmt: skip


def trained(experiment, recorder=None):
    trainer = make_trainer(experiment, experiment.cells)
    trainer.step.record = recorder
    return trainer, trainer.run()


def same(ours, theirs, tolerance=0.0):
    for one, other in zip(ours, theirs, strict=True):
        for name, weight in one.weights.items():
            torch.testing.assert_close(weight, other.weights[name], rtol=0, atol=tolerance)
        assert one.history["val"]["ensemble"] == pytest.approx(other.history["val"]["ensemble"], abs=tolerance or 1e-12)
        assert one.history["objective"] == pytest.approx(other.history["objective"], abs=tolerance or 1e-12)


# ------------------------------------------------------------------------------------------------ recorded steps


@pytest.mark.parametrize("average", ["scores", "probabilities", "released"])
def test_replayed_steps_train_bit_for_bit_as_plain_ones(tiny, average):
    """Rates that fall in between, two paired seeds, and a last batch of another shape: 64 is 3 × 20 and 4."""
    experiment = tiny(average=average, num_epochs=9, lr_switch=[5, 7], batch_size=20, rate_per_learner=True)
    replays = []

    def counted(function):
        replay = record(function)
        return lambda: (replays.append(1), replay())

    same(trained(experiment, counted)[1], trained(experiment)[1])
    assert len(replays) == 9 * 4 - 2 * WARM_UP  # of 9 epochs with 3 batches of 20 and one of 4


@pytest.mark.parametrize("stack", [True, False])
def test_replayed_steps_on_images_are_augmented_and_dropped_anew(small_sets, stack):
    experiment = images(small_sets, stack=stack, lr_switch=[3])
    same(trained(experiment, record)[1], trained(experiment)[1])


@pytest.mark.slow
def test_replayed_steps_keep_the_statistics_of_batch_norm(small_sets, monkeypatch):
    def small(experiment):
        return resnet((1, 1), (3, 32, 32), 10, width=1)

    monkeypatch.setattr(build, "make_learner", small)
    experiment = images(small_sets, base_learner="ResNet18", beta_vals=[0.5], num_epochs=3)
    same(trained(experiment, record)[1], trained(experiment)[1])


def test_a_number_that_python_computes_in_each_step_would_be_noticed(tiny):
    """Adam's count of steps is on the host where there is no GPU: replayed, it stands still."""
    experiment = tiny(optimiser="Adam", learning_rate=0.01, num_epochs=8)
    with pytest.raises(AssertionError):
        same(trained(experiment, record)[1], trained(experiment)[1])


def test_a_step_is_recorded_once_for_each_shape_and_again_after_forget():
    seen, kept = [], torch.zeros(())

    def recorder(function):
        seen.append("recorded")
        return record(function)

    def add(values):
        kept.add_(values.sum())

    step = GraphedStep(recorder)
    for _ in range(WARM_UP + 2):
        step(add, torch.ones(4))
        step(add, torch.ones(2))
    assert seen == ["recorded"] * 2 and kept == 6 * (WARM_UP + 2)
    step.forget()
    step(add, torch.full((4,), 2.0))
    assert seen == ["recorded"] * 3 and kept == 6 * (WARM_UP + 2) + 8


def test_a_step_that_cannot_be_recorded_is_told_in_one_line(monkeypatch):
    class Graph:
        def __init__(self, *of, **options):
            pass

        __enter__ = __exit__ = lambda self, *error: None

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", Graph)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)

    def waits():
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    with pytest.raises(
        InputError, match=r"CUDA graph \(operation not permitted when .* capturing\); use execution=eager"
    ):
        cuda_graph(waits)


def test_nothing_recorded_is_left_after_a_run(tiny):
    trainer, recorded = make_trainer(tiny(num_epochs=6), [Cell(0.0, 0)]), []
    trainer.step.record = lambda function: recorded.append(1) or record(function)
    trainer.run()
    assert recorded and not trainer.step._recorded


def test_a_new_rate_is_recorded_anew(tiny):
    trainer = make_trainer(tiny(), [Cell(0.0, 0)])
    forgotten = []
    trainer.step.forget = lambda: forgotten.append(1)
    for rate in (0.1, 0.1, 0.02):
        trainer._set_rate(rate)
    assert len(forgotten) == 1 and trainer.optimiser.param_groups[0]["lr"] == 0.02


# ------------------------------------------------------------------------------------- on a GPU that is pretended


@pytest.fixture
def pretended_gpu(monkeypatch):
    """Tensors say that they lie on a GPU, have shapes and no values; one that lies elsewhere, or whose value is asked
    for, is an error. Gradients are left out: autograd's threads for a GPU need one."""
    gpu, make, trainers = torch.device("cuda:0"), build.make_learner, []

    def learner(experiment):
        with gpu:
            return make(experiment)

    def load(experiment, seed):
        shape, dtype = ((3, 32, 32), torch.uint8) if experiment.dataset == "CIFAR-10" else ((1, 8, 8), torch.float32)
        parts = [Split(torch.zeros(n, *shape, dtype=dtype), torch.zeros(n, dtype=torch.int64)) for n in (20, 10, 10)]
        return Data(*parts)

    def backward(loss):
        assert loss.is_cuda and loss.requires_grad
        for parameter in trainers[-1].ensemble.parameters():
            parameter.grad = torch.empty_like(parameter)

    def fused(parameters, gradients, *others, **options):
        assert {tensor.device for tensor in (*parameters, *gradients)} == {gpu}

    def begin(experiment, cells):
        trainers.append(make_trainer(experiment, cells))
        return trainers[-1]

    monkeypatch.setattr(build, "make_learner", learner)
    monkeypatch.setattr(build, "load_data", load)
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    monkeypatch.setattr(sys.modules["torch.optim.sgd"], "_fused_sgd", fused)  # knows no tensors without values
    monkeypatch.setattr(build, "choose_device", lambda name: gpu)
    monkeypatch.setattr(ensemble.copy, "deepcopy", lambda module: module)  # a copy would pretend by itself
    for kind in (Ensemble, nn.ModuleList):
        monkeypatch.setattr(kind, "to", lambda self, *place, **layout: self)
    augmentation._bytes_of_channels.cache_clear()
    # Without a driver autocast("cuda") warns that it does nothing.
    with FakeTensorMode(), warnings.catch_warnings(action="ignore"):
        yield begin
    augmentation._bytes_of_channels.cache_clear()


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"optimiser": "Adam", "average": "probabilities"},
        {"optimiser": "RMSprop", "average": "released"},
        {"dataset": "CIFAR-10", "base_learner": "CNN"},
        {"dataset": "CIFAR-10", "base_learner": "CNN", "stack": False, "precision": "bfloat16"},
        {"dataset": "CIFAR-10", "base_learner": "ResNet18", "average": "probabilities"},
        {"dataset": "CIFAR-10", "base_learner": "ResNet18", "stack": True},
        {"dataset": "CIFAR-10", "base_learner": "VGG", "average": "released"},
    ],
)
def test_an_epoch_on_a_gpu_has_everything_there_and_asks_for_no_value(pretended_gpu, keys):
    experiment = Experiment(**{"seeds": [0, 1], "batch_size": 8, "num_learners": 2, **keys})
    trainer = pretended_gpu(experiment, [Cell(0.0, 0), Cell(1.0, 0), Cell(0.5, 1)])
    assert trainer.step.record is cuda_graph
    trainer.step.record = None
    objective = trainer.train_epoch()
    told = trainer.evaluate(trainer.loader.val)
    assert objective.shape == told["ensemble"].shape == (3,) and told["learner_accuracy"].shape == (3, 2)
    assert all(tensor.is_cuda for tensor in (objective, *told.values()))
    (group,) = trainer.optimiser.param_groups
    assert bool(group.get("fused")) == (experiment.optimiser != "RMSprop")
    assert experiment.optimiser == "SGD" or group["capturable"]


def test_a_value_that_is_asked_for_and_a_tensor_on_the_host_would_be_noticed(pretended_gpu):
    trainer = pretended_gpu(Experiment(seeds=[0], batch_size=8, num_learners=2), [Cell(0.0, 0)])
    objective = trainer._objective
    trainer._objective = lambda batch: objective(batch) * (2 if objective(batch).sum() > 0 else 1)
    with pytest.raises(DataDependentOutputException):
        trainer.train_epoch()
    trainer._objective = lambda batch: objective(batch) * torch.ones(8)
    with pytest.raises(RuntimeError, match="device"):
        trainer.train_epoch()


def test_streams_begin_behind_the_work_before_and_end_before_the_work_behind(monkeypatch):
    log = []

    class Stream:
        device = torch.device("cuda:0")

        def __init__(self, name):
            self.name = name

        def wait_stream(self, other):
            log.append(f"{self.name} waits for {other.name}")

        def __enter__(self):
            log.append(f"on {self.name}")

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream("main"))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(device, "_streams", lambda place, number: [Stream(f"s{i}") for i in range(number)])
    monkeypatch.setattr(device, "STREAMS", 2)
    assert device.side_by_side([lambda i=i: i for i in range(3)]) == [0, 1, 2]
    assert log == [
        "s0 waits for main", "s1 waits for main", "on s0", "on s1", "on s0", "main waits for s0", "main waits for s1"
    ]  # fmt: skip


def test_streams_are_for_training_looped_learners_on_a_gpu(pretended_gpu, monkeypatch):
    calls = []
    monkeypatch.setattr(ensemble, "side_by_side", lambda todo: calls.append(len(todo)) or [call() for call in todo])
    for stack, expected in ((False, [4] * 3), (True, [])):
        keys = {"dataset": "CIFAR-10", "base_learner": "CNN", "stack": stack, "execution": "streams"}
        trainer = pretended_gpu(Experiment(seeds=[0], batch_size=8, num_learners=4, **keys), [Cell(0.0, 0)])
        trainer.step.record = None
        trainer.train_epoch()
        trainer.evaluate(trainer.loader.val)
        assert calls == expected
        calls.clear()


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
        monkeypatch.setattr(build, "make_learner", lambda experiment: resnet((1, 1), (3, 32, 32), 10, width=1))
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
        warn_if_emulated("bfloat16", CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_emulated("float32", CPU)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
        warn_if_emulated("bfloat16", CPU)


def test_provenance_names_the_execution_mode(tiny, tmp_path):
    experiment = tiny(out=str(tmp_path), beta_vals=[0], seeds=[0], num_epochs=1)
    folder = jointens.run(experiment, progress=False).folder
    (cell,) = (folder / "cells").glob("*.json")
    assert json.loads(cell.read_text())["provenance"]["execution"] == "eager"
