"""`Trainer` without an experiment: modules and DataLoaders of the user's own."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from jointens import Ensemble
from jointens.data import TorchLoader
from jointens.training import Schedule, Trainer, make_optimiser


class Net(nn.Module):
    """No chain of layers: the hidden layer is added to its input."""

    def __init__(self, num_outputs):
        super().__init__()
        self.first, self.hidden, self.last = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, num_outputs)

    def forward(self, inputs):
        first = torch.tanh(self.first(inputs))
        return self.last(first + torch.tanh(self.hidden(first)))


class WithBatchNorm(Net):
    def __init__(self, num_outputs):
        super().__init__(num_outputs)
        self.hidden = nn.Sequential(self.hidden, nn.BatchNorm1d(8))


def own_data(loss):
    """DataLoaders for training, which shuffles, for validation and for test; 3 classes, or a value."""
    rng = torch.Generator().manual_seed(0)
    parts = []
    for number in (44, 24, 20):
        inputs = torch.randn(number, 5, generator=rng)
        value = inputs[:, 0] * inputs[:, 1] + 0.3 * torch.randn(number, generator=rng)
        parts.append(TensorDataset(inputs, value if loss == "squared_error" else value.gt(-0.5).long() + value.gt(0.5)))
    train, val, test = parts
    order = torch.Generator().manual_seed(7)
    return (
        DataLoader(train, batch_size=16, shuffle=True, generator=order),  # the last batch is smaller
        DataLoader(val, batch_size=10),
        DataLoader(test, batch_size=20),
    )


def plain_losses(outputs, targets, loss):
    """Individual and ensemble loss over a batch: outputs `(M, B, K)`."""
    if loss == "squared_error":
        return ((outputs[..., 0] - targets) ** 2).mean(), ((outputs.mean(0)[:, 0] - targets) ** 2).mean()
    individual = torch.stack([nn.functional.cross_entropy(own, targets) for own in outputs]).mean()
    return individual, nn.functional.cross_entropy(outputs.mean(0), targets)


def plain_loop(learners, beta, loss, num_epochs, rates):
    """What the trainer is to reach: SGD with momentum, and a validation after each epoch."""
    learners = copy.deepcopy(learners)
    train, val, test = own_data(loss)
    weights = [parameter for learner in learners for parameter in learner.parameters()]
    optimiser = torch.optim.SGD(weights, lr=0.1, momentum=0.9)

    @torch.no_grad()
    def measured(batches):
        for learner in learners:
            learner.eval()
        sums, number = torch.zeros(2), 0
        for inputs, targets in batches:
            parts = plain_losses(torch.stack([learner(inputs) for learner in learners]), targets, loss)
            sums += torch.stack(parts) * len(inputs)
            number += len(inputs)
        return (sums / number).tolist()

    objectives, validations, tests = [], [], []
    for epoch in range(num_epochs):
        optimiser.param_groups[0]["lr"] = rates[epoch]
        total, number = 0.0, 0
        for learner in learners:
            learner.train()
        for inputs, targets in train:
            outputs = torch.stack([learner(inputs) for learner in learners])
            individual, ensemble = plain_losses(outputs, targets, loss)
            objective = (1 - beta) * individual + beta * ensemble
            optimiser.zero_grad()
            objective.backward()
            optimiser.step()
            total += objective.item() * len(inputs)
            number += len(inputs)
        objectives.append(total / number)
        validations.append(measured(val))
        tests.append(measured(test))
    return objectives, validations, tests


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("make", [Net, WithBatchNorm])
@pytest.mark.parametrize("runs", [None, 2])
def test_own_modules_on_own_data_loaders_train_as_in_a_plain_loop(runs, make, loss):
    torch.manual_seed(0)
    learners = [make(1 if loss == "squared_error" else 3) for _ in range(3 * (runs or 1))]
    train, val, test = own_data(loss)
    betas, calls = [0.75] if runs is None else [0.0, 1.0], []
    trainer = Trainer(
        Ensemble(learners, runs=runs),
        TorchLoader(train, val, test=test),
        beta=betas[0] if runs is None else betas,
        num_epochs=4,
        loss=loss,
        schedule=Schedule(0.1, kind="ExponentialLR", switches=[2], gamma=0.5),
        on_validation=lambda *arguments: calls.append(arguments),
    )
    found = trainer.run()
    assert len(found) == (runs or 1)
    for index, (run, beta) in enumerate(zip(found, betas, strict=True)):
        own = learners[3 * index : 3 * index + 3]
        objectives, validations, tests = plain_loop(own, beta, loss, 4, rates=(0.1, 0.1, 0.05, 0.05))
        assert run.history["learning_rate"] == pytest.approx([0.1, 0.1, 0.05, 0.05])
        assert run.history["objective"] == pytest.approx(objectives, abs=1e-5)
        individual, ensemble = zip(*validations, strict=True)
        assert run.history["val"]["individual"] == pytest.approx(individual, abs=1e-5)
        assert run.history["val"]["ensemble"] == pytest.approx(ensemble, abs=1e-5)
        assert "train" not in run.history  # no probe was given
        assert run.best_epoch == 1 + ensemble.index(min(ensemble))
        for checkpoint, epoch in (("best", run.best_epoch), ("last", 4)):
            reached = [run.test[checkpoint][name] for name in ("individual", "ensemble")]
            assert reached == pytest.approx(tests[epoch - 1], abs=1e-5)
            assert run.outputs[f"test_outputs_{checkpoint}"].shape[:2] == (3, 20)
        assert run.outputs["val_targets"].tolist() == val.dataset.tensors[1].tolist()
    assert [(by, number) for by, number, _ in calls] == [(trainer, number) for number in (1, 2, 3, 4)]
    mean = sum(run.history["val"]["ensemble"][-1] for run in found) / len(found)
    assert calls[-1][2]["ensemble"] == pytest.approx(mean, abs=1e-6)
    weights = trainer.ensemble.weights()  # those of the best checkpoint, afterwards
    for name, value in found[0].weights.items():
        torch.testing.assert_close(weights[name] if runs is None else weights[name][0], value, rtol=0, atol=0)


def test_own_loaders_are_measured_with_a_probe_and_without_a_test():
    train, val, _ = own_data("cross_entropy")
    loader = TorchLoader(train, val, train_probe=val)
    ensemble = Ensemble([Net(3) for _ in range(2)])
    optimiser = make_optimiser("Adam", ensemble.parameters(), learning_rate=0.01)
    (run,) = Trainer(ensemble, loader, beta=1, num_epochs=2, optimiser=optimiser, validate_every=2).run()
    assert run.history["train"] == run.history["val"] and run.history["step"] == [2, 5]
    assert run.test == {"best": None, "last": None} and run.outputs == {}


def test_one_beta_is_that_of_all_runs():
    train, val, _ = own_data("cross_entropy")
    ensemble = Ensemble([Net(3) for _ in range(4)], runs=2)
    assert Trainer(ensemble, TorchLoader(train, val), beta=0.5).betas.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("runs", "options", "message"),
    [
        (None, {"beta": [0, 1]}, "2 β and data for 1 runs; the ensemble has 1 runs"),
        (2, {"beta": [0, 0.5, 1]}, "3 β and data for 2 runs; the ensemble has 2 runs"),
        (2, {"beta": [0, 1], "data_of_run": [0]}, "2 β and data for 1 runs; the ensemble has 2 runs"),
        (None, {"validate_every": 0}, "validate_every is 0; allowed is 1..3"),
        (None, {"validate_every": 4}, "validate_every is 4; allowed is 1..3"),
        (None, {"loss": "hinge"}, "unknown loss .hinge.; allowed are "),
        (None, {"average": "median"}, "unknown average .median.; allowed are "),
    ],
)
def test_wrong_arguments_of_a_trainer_are_found_when_it_is_made(runs, options, message):
    train, val, _ = own_data("cross_entropy")
    ensemble = Ensemble([Net(3) for _ in range(2 * (runs or 1))], runs=runs)
    with pytest.raises(ValueError, match=message):
        Trainer(ensemble, TorchLoader(train, val), **options)


def test_wrong_arguments_of_a_schedule_are_found_when_it_is_made():
    with pytest.raises(ValueError, match="unknown schedule 'cosine'; allowed are ExponentialLR, Linear, none"):
        Schedule(0.1, kind="cosine")
    with pytest.raises(ValueError, match="decrement is None; Linear needs"):
        Schedule(0.1, kind="Linear", switches=[1])
