"""The plain reference: one run of the sweep, written as one would write it first.

M learners called one by one; a DataLoader; float32; four losses read with `.item()` at every step; a full validation
after every epoch; the best weights kept. This is how the authors' published code trains, without its detours.

It shares with jointens what decides *which* numbers come out (the split, the initial weights, the order of examples,
the schedule) and nothing of how they are computed: both must reach the same losses.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from jointens import Experiment
from jointens.common import generator
from jointens.data import Data, Split
from jointens.sweeps import make_schedule


def train(experiment: Experiment, beta: float, seed: int, data: Data, learners: list[nn.Module]) -> dict:
    """Train one ensemble; ensemble losses: `validation` of every epoch, test at the `best` and at the `last` epoch."""
    parameters = [parameter for learner in learners for parameter in learner.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=experiment.learning_rate, momentum=experiment.momentum)
    order, schedule = generator(seed, "order"), make_schedule(experiment)
    validation, lowest, best = [], float("inf"), learners
    device = parameters[0].device
    for epoch in range(1, experiment.num_epochs + 1):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_before(epoch)
        for learner in learners:
            learner.train()
        sums = dict.fromkeys(("objective", "individual", "ensemble", "diversity"), 0.0)
        for inputs, targets in batches(data.train, experiment.batch_size, order):
            inputs, targets = inputs.to(device), targets.to(device)
            individual, ensemble = losses(torch.stack([learner(inputs) for learner in learners]), targets)
            diversity = individual - ensemble
            objective = individual - beta * diversity
            optimiser.zero_grad()
            objective.backward()
            optimiser.step()
            sums["objective"] += objective.item()
            sums["individual"] += individual.item()
            sums["ensemble"] += ensemble.item()
            sums["diversity"] += diversity.item()
        validation.append(evaluate(learners, data.val, experiment.batch_size)["ensemble"])
        if validation[-1] < lowest:
            lowest, best = validation[-1], copy.deepcopy(learners)
    test = {"best": best, "last": learners}
    size = experiment.batch_size
    return {"validation": validation} | {when: evaluate(of, data.test, size)["ensemble"] for when, of in test.items()}


def losses(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Individual and ensemble loss of a batch with score averaging: outputs `(M, B, K)`, targets `(B,)`."""
    individual = torch.stack([cross_entropy(own, targets) for own in outputs]).mean()
    return individual, cross_entropy(outputs.mean(0), targets)


@torch.no_grad()
def evaluate(learners: list[nn.Module], split: Split, size: int) -> dict[str, float]:
    """Mean losses and accuracies on a split."""
    for learner in learners:
        learner.eval()
    sums = dict.fromkeys(("individual", "ensemble", "accuracy", "individual_accuracy"), 0.0)
    device = next(learners[0].parameters()).device
    for inputs, targets in batches(split, size):
        inputs, targets = inputs.to(device), targets.to(device)
        outputs = torch.stack([learner(inputs) for learner in learners])  # (M, B, K)
        individual, ensemble = losses(outputs, targets)
        sums["individual"] += individual.item() * len(targets)
        sums["ensemble"] += ensemble.item() * len(targets)
        sums["accuracy"] += (outputs.mean(0).argmax(-1) == targets).sum().item()
        sums["individual_accuracy"] += (outputs.argmax(-1) == targets).float().mean(0).sum().item()
    return {name: value / len(split) for name, value in sums.items()}


def batches(split: Split, size: int, order: torch.Generator | None = None) -> DataLoader:
    """A pass over a split: in an order drawn from `order`, or as it lies."""
    rows = range(len(split)) if order is None else torch.randperm(len(split), generator=order).tolist()
    return DataLoader(TensorDataset(split.inputs, split.targets), batch_size=size, sampler=rows)
