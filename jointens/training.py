"""The one training loop: a stack of runs, each an ensemble of M learners, trained side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .data import DATASETS, Split
from .decomposition import decompose_unchecked, ensemble_output_unchecked, joint_objective
from .device import WAYS, Step, Way, autocast, choose_device, choose_way, cuda_graph, working_on
from .ensemble import Ensemble, seeded_learners
from .experiment import Cell, Experiment
from .randomness import derived_seed, generator

# Forwards without gradients take at least a training batch of each run. On a CPU, so many examples over all runs that
# the layers' outputs stay in its cache; on a GPU, so many numbers that it is busy: 2,730 images of 3×32×32.
EVALUATED_EXAMPLES, EVALUATED_NUMBERS = 1000, 2**23

# Called after each epoch with its number, from 1, and the stack's mean losses (host numbers).
OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class TrainedCell:
    """What training one cell left: plain numbers and CPU tensors."""

    cell: Cell
    best_epoch: int  # counted from 1; 0: no epoch had a finite validation loss, "best" is the initial weights
    history: dict  # one entry per epoch: learning_rate, objective, train and val with the keys of `measure`
    test: dict  # "best" and "last", each with the keys of `measure`
    outputs: dict[str, Tensor]  # test and validation outputs (M, N, K) at the best and last epoch, and targets (N,)
    weights: dict[str, Tensor]  # (M, ...) at the best epoch


def new_ensemble(experiment: Experiment, seeds: Sequence[int] | None = None, way: Way = WAYS["eager"]) -> Ensemble:
    """A fresh ensemble of the experiment's learners: one run for each of `seeds` (they may repeat), or none."""
    drawn = {
        seed: seeded_learners(experiment.make_learner, experiment.num_learners, seed) for seed in set(seeds or [0])
    }
    learners = [learner for seed in (seeds or [0]) for learner in drawn[seed]]
    runs = len(seeds) if seeds else None
    return Ensemble(learners, runs=runs, stack=experiment.stack, compiled=way.compiled, streams=way.streams)


def measure(outputs: Tensor, targets: Tensor, *, loss: str, average: str) -> dict[str, Tensor]:
    """Mean losses over the examples, and accuracies for classification.

    outputs `(R, M, N, K)`, targets `(R, N)` → individual, ensemble, diversity, accuracy: `(R,)`;
    learner_accuracy: `(R, M)`. Losses in nats or squared target units, accuracies as fractions.
    """
    parts = decompose_unchecked(outputs, targets, loss=loss, average=average)
    means = {name: part.mean(-1) for name, part in parts._asdict().items()}
    if loss == "cross_entropy":
        joint = ensemble_output_unchecked(outputs, loss=loss, average=average)  # (R, N, K)
        # The index of the maximum, not argmax: over few classes that is several times slower on a CPU.
        means["accuracy"] = (joint.max(-1).indices == targets).float().mean(-1)
        means["learner_accuracy"] = (outputs.max(-1).indices == targets.unsqueeze(-2)).float().mean(-1)
    return means


class Trainer:
    """Trains R cells of one experiment at once; `run()` gives their results.

    The runs share nothing but the program: the loss is the sum over runs, so each run's gradient is its own.
    """

    def __init__(self, experiment: Experiment, cells: Sequence[Cell], *, on_epoch: OnEpoch | None = None):
        self.experiment, self.cells, self.on_epoch = experiment, list(cells), on_epoch
        self.device = choose_device(experiment.device)
        way = WAYS[choose_way(experiment.execution, self.device)]
        self.seeds = list(dict.fromkeys(cell.seed for cell in cells))  # S distinct ones, S ≤ R
        self.dataset = DATASETS[experiment.dataset]
        data = [experiment.load_data(seed) for seed in self.seeds]
        # The data of each seed, (S, N, ...); runs of the same seed pick the same ones.
        self.train, self.val, self.test = (
            _side_by_side([getattr(of, part) for of in data], self.device) for part in ("train", "val", "test")
        )
        self.run_seed = torch.tensor([self.seeds.index(cell.seed) for cell in cells], device=self.device)  # (R,)
        self.rows = torch.arange(len(self.seeds), device=self.device).unsqueeze(1)  # (S, 1)
        self.betas = torch.tensor([cell.beta for cell in cells], device=self.device)  # (R,)
        self.orders = [generator(seed, "order") for seed in self.seeds]
        self.chances = [generator(seed, "augmentation") for seed in self.seeds]
        self.ensemble = new_ensemble(experiment, [cell.seed for cell in cells], way).to(self.device)
        self.optimiser = _optimiser(experiment, self.ensemble)
        self.total = torch.zeros(len(cells), device=self.device)  # (R,), the objective summed over an epoch's examples
        self.step = Step(self._train_step, record=cuda_graph if way.graph and self.device.type == "cuda" else None)

    def run(self) -> list[TrainedCell]:
        """Train every epoch; the best checkpoint is the one with the lowest validation *ensemble* loss."""
        gpus = [self.device] if self.device.type == "cuda" else []
        with working_on(self.device), torch.random.fork_rng(devices=gpus):
            torch.manual_seed(derived_seed(self.seeds[0], "dropout"))
            try:
                return self._run()
            finally:
                self.step.forget()  # its memory, which would be held until Python looks for circles

    def _run(self) -> list[TrainedCell]:
        num_runs, history = len(self.cells), []
        best_loss = torch.full((num_runs,), torch.inf, device=self.device)
        best_epoch = torch.zeros(num_runs, dtype=torch.int64, device=self.device)
        best_weights = {name: value.clone() for name, value in self.ensemble.weights().items()}
        # What the training loss is read off: as many training examples as there are validation examples.
        seen = Split(*(part[:, : self.val.inputs.shape[1]] for part in (self.train.inputs, self.train.targets)))

        for epoch in range(1, self.experiment.num_epochs + 1):
            rate = learning_rate(self.experiment, epoch)
            self._set_rate(rate)
            objective = self.train_epoch()
            train, val = self.evaluate(seen), self.evaluate(self.val)
            history.append({"learning_rate": rate, "objective": objective, "train": train, "val": val})

            better = val["ensemble"] < best_loss  # (R,); never true for NaN
            best_loss = torch.where(better, val["ensemble"], best_loss)
            best_epoch = torch.where(better, epoch, best_epoch)
            for name, value in self.ensemble.weights().items():  # (R, M, ...)
                best = best_weights[name]
                torch.where(better.view(-1, *[1] * (value.ndim - 1)), value, best, out=best)
            if self.on_epoch:  # the epoch's only wait for the device
                self.on_epoch(epoch, {name: val[name].mean().item() for name in ("ensemble", "individual")})

        outputs = {"last": self._final_outputs()}
        self.ensemble.load_weights(best_weights)
        outputs["best"] = self._final_outputs()
        return self._results(best_epoch, history, outputs, best_weights)

    def _set_rate(self, rate: float) -> None:
        if any(group["lr"] != rate for group in self.optimiser.param_groups):
            self.step.forget()
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def train_epoch(self) -> Tensor:
        """One pass over the training part; returns the mean objective of each run, `(R,)`."""
        self.ensemble.train()
        num_examples, size = self.train.inputs.shape[1], self.experiment.batch_size
        drawn = [torch.stack([torch.randperm(num_examples, generator=order) for order in self.orders])]  # (S, N)
        if augment := self.dataset.augmentation:
            drawn.append(torch.stack([augment.draw(num_examples, chance) for chance in self.chances]))  # (S, N, 4)
        drawn = [of.to(self.device) for of in drawn]  # the epoch's at once: a copy in each step would wait for it
        self.total.zero_()
        for start in range(0, num_examples, size):
            self.step(*(of[:, start : start + size] for of in drawn))
        return self.total / num_examples

    def _train_step(self, columns: Tensor, draws: Tensor | None = None) -> None:
        """Train on the examples `(S, B)` of each seed, augmented as `draws`, `(S, B, 4)`, say. Nothing waits for it."""
        batch = self.train[self.rows, columns]  # (S, B, ...)
        if draws is not None:
            images = self.dataset.augmentation(batch.inputs.flatten(0, 1), draws.flatten(0, 1))
            batch = Split(images.view(batch.inputs.shape), batch.targets)
        objective = self._objective(self._of_runs(batch))  # (R, B)
        loss = objective.mean(-1).sum()
        if self.experiment.rate_per_learner:
            loss = loss * self.experiment.num_learners
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.total += objective.detach().sum(-1)

    def _of_runs(self, batch: Split) -> Split:
        """What each run's learners are given: a batch of each seed `(S, B, ...)` → of each run `(R, B, ...)`."""
        return Split(self.dataset.prepare(batch.inputs)[self.run_seed], batch.targets[self.run_seed])

    def _objective(self, batch: Split) -> Tensor:
        parts = decompose_unchecked(self._forward(batch.inputs), batch.targets, **self._theory)
        return joint_objective(parts, self.betas)

    def _forward(self, inputs: Tensor) -> Tensor:
        """inputs `(R, B, ...)` → outputs `(R, M, B, K)`, float32 in every precision."""
        with autocast(self.experiment.precision, self.device):
            outputs = self.ensemble(inputs)
        return outputs.float()

    @property
    def _theory(self) -> dict[str, str]:
        return {"loss": self.experiment.loss, "average": self.experiment.average}

    def evaluate(self, split: Split) -> dict[str, Tensor]:
        """`measure` of the learners on a part of the data."""
        return self._measure(self._outputs(split), split)

    @torch.no_grad()
    def _outputs(self, split: Split) -> Tensor:
        """The learners' outputs on a part of the data, `(R, M, N, K)`."""
        self.ensemble.eval()
        inputs = split.inputs
        room = EVALUATED_NUMBERS // inputs[0, 0].numel() if inputs.is_cuda else EVALUATED_EXAMPLES
        size = max(self.experiment.batch_size, room // len(self.cells))
        chunks = inputs.chunk(math.ceil(inputs.shape[1] / size), dim=1)  # of one size, for which cuDNN chooses once
        # Joined along the examples as the last axis in memory, which is how stacked perceptrons leave them.
        outputs = [self._forward(self.dataset.prepare(chunk)[self.run_seed]).mT for chunk in chunks]
        return torch.cat(outputs, dim=-1).mT

    @torch.no_grad()
    def _measure(self, outputs: Tensor, split: Split) -> dict[str, Tensor]:
        return measure(outputs, split.targets[self.run_seed], **self._theory)

    def _final_outputs(self) -> dict[str, Tensor]:
        return {"test": self._outputs(self.test), "val": self._outputs(self.val)}

    def _results(self, best_epoch: Tensor, history: list[dict], outputs: dict, weights: dict) -> list[TrainedCell]:
        """Everything to the host, and apart by run."""
        test = {when: _to_host(self._measure(parts["test"], self.test)) for when, parts in outputs.items()}
        history, outputs, weights, epochs = _to_host([history, outputs, weights, best_epoch])
        targets = {part: _to_host(getattr(self, part).targets[self.run_seed]) for part in ("test", "val")}
        trained = []
        for r, cell in enumerate(self.cells):
            stored = {f"{part}_outputs_{when}": of[part][r] for when, of in outputs.items() for part in of}
            trained.append(
                TrainedCell(
                    cell=cell,
                    best_epoch=int(epochs[r]),
                    history=_of_run(_transposed(history), r),
                    test=_of_run(test, r),
                    outputs=stored | {f"{part}_targets": of[r] for part, of in targets.items()},
                    weights={name: value[r] for name, value in weights.items()},
                )
            )
        return trained


def learning_rate(experiment: Experiment, epoch: int) -> float:
    """The learning rate during `epoch`, counted from 1: a switch at 30 lowers it after thirty epochs."""
    switches = sum(switch < epoch for switch in experiment.switches)
    if experiment.scheduler == "none":
        return experiment.learning_rate
    if experiment.scheduler == "Linear":  # which PyTorch ends after 1 / factor switches, or at the last before that
        return experiment.learning_rate * (1 - experiment.fall * min(switches, math.floor(1 / experiment.fall)))
    return experiment.learning_rate * experiment.gamma**switches


def _optimiser(experiment: Experiment, ensemble: Ensemble) -> torch.optim.Optimizer:
    """One optimiser over all members: its arithmetic is elementwise, so members do not see each other in it."""
    options = {"lr": experiment.learning_rate, "weight_decay": experiment.weight_decay}
    on_gpu = next(ensemble.parameters()).is_cuda
    if on_gpu and experiment.optimiser != "RMSprop":
        options["fused"] = True  # all parameters in a few kernels; RMSprop has none such
    if on_gpu and experiment.optimiser != "SGD":
        options["capturable"] = True  # its count of steps is on the device, so that a graph counts on; SGD has none
    if experiment.optimiser == "Adam":
        return torch.optim.Adam(ensemble.parameters(), **options)
    kind = {"SGD": torch.optim.SGD, "RMSprop": torch.optim.RMSprop}[experiment.optimiser]
    return kind(ensemble.parameters(), momentum=experiment.momentum, **options)


def _side_by_side(splits: Sequence[Split], device: torch.device) -> Split:
    """The same part of the data of S seeds as one `(S, N, ...)`; what they share is there once."""

    def joined(tensors: list[Tensor]) -> Tensor:
        first = tensors[0]
        if all(tensor.data_ptr() == first.data_ptr() or torch.equal(tensor, first) for tensor in tensors):
            return first.to(device).expand(len(tensors), *first.shape)
        return torch.stack(tensors).to(device)

    return Split(joined([split.inputs for split in splits]), joined([split.targets for split in splits]))


def _to_host(tree):
    """The same nest of lists and dicts with every tensor on the CPU."""
    if isinstance(tree, dict):
        return {name: _to_host(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_to_host(value) for value in tree]
    return tree.cpu() if isinstance(tree, Tensor) else tree


def _transposed(epochs: list[dict]) -> dict:
    """A list of (nested) dicts, one per epoch → one (nested) dict of lists."""
    return {
        name: _transposed([epoch[name] for epoch in epochs])
        if isinstance(first, dict)
        else [epoch[name] for epoch in epochs]
        for name, first in epochs[0].items()
    }


def _of_run(tree, run: int):
    """What run `run` owns of a nest whose tensors have the leading axis R, in plain numbers.

    float32 values become the shortest decimals that name them: 0.1, not 0.10000000149011612.
    """
    if isinstance(tree, dict):
        return {name: _of_run(value, run) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_of_run(value, run) for value in tree]
    if not isinstance(tree, Tensor):
        return tree
    own = tree[run].numpy()
    return [float(str(value)) for value in own] if own.ndim else float(str(own))
