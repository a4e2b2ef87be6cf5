"""Training on a GPU that is pretended: everything is there, and nothing waits for a value."""

import sys
import warnings

import pytest
import torch
import torchvision.models.resnet  # noqa: F401  not to be imported under the pretended GPU
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from jointens import Cell, Ensemble, Experiment
from jointens.common import device
from jointens.data import Data, Split, augmentation
from jointens.models import comparison, ensemble
from jointens.sweeps import build, make_trainer
from jointens.training import cuda_graph

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
    monkeypatch.setattr(comparison, "deepcopy", lambda module: module)  # a copy would pretend by itself
    for kind in (Ensemble, nn.ModuleList):
        monkeypatch.setattr(kind, "to", lambda self, *place, **layout: self)
    augmentation._byte_values.cache_clear()
    # Without a driver autocast("cuda") warns that it does nothing.
    with FakeTensorMode(), warnings.catch_warnings(action="ignore"):
        yield begin
    augmentation._byte_values.cache_clear()


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"optimiser": "Adam", "average": "probabilities"},
        {"kept_learners": 1, "diversity_cap": 0.1, "warm_start": 1},
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
