"""The one training loop: a stack of runs, each an ensemble of M learners, trained side by side."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..common.device import WAYS, Step, Way, autocast, choose_device, choose_way, cuda_graph, working_on
from ..common.errors import InputError
from ..common.seeding import derived_seed
from ..data.loaders import make_feed
from ..data.splits import Split
from ..experiment.config import Experiment
from ..experiment.record import Cell, TrainedCell
from ..losses.decomposition import decompose_unchecked, joint_objective
from ..models.ensemble import Ensemble, seeded_learners
from .metrics import mean_over, measure, moved, of_run, transposed
from .optimiser import make_optimiser
from .schedule import Schedule

# Called after each validation with its number, from 1, and the stack's mean losses (host numbers).
OnValidation = Callable[[int, dict[str, float]], None]


def new_ensemble(experiment: Experiment, seeds: Sequence[int] | None = None, way: Way = WAYS["eager"]) -> Ensemble:
    """A fresh ensemble of the experiment's learners: one run for each of `seeds` (they may repeat), or none."""
    drawn = {
        seed: seeded_learners(experiment.make_learner, experiment.num_learners, seed) for seed in set(seeds or [0])
    }
    learners = [learner for seed in (seeds or [0]) for learner in drawn[seed]]
    runs = len(seeds) if seeds else None
    return Ensemble(learners, runs=runs, stack=experiment.stack, compiled=way.compiled, streams=way.streams)


class Trainer:
    """Trains R cells of one experiment at once; `run()` gives their results.

    The runs share nothing but the program: the loss is the sum over runs, so each run's gradient is its own. Where a
    schedule looks back at what validations showed, or images stay in files, R is 1.

    Args:
        experiment: the setting.
        cells: which of its runs.
        on_validation: called after each validation, when everything is as `state()` gives it.
    """

    def __init__(self, experiment: Experiment, cells: Sequence[Cell], *, on_validation: OnValidation | None = None):
        self.experiment, self.cells, self.on_validation = experiment, list(cells), on_validation
        self.device = choose_device(experiment.device)
        way = WAYS[choose_way(experiment.execution, self.device)]
        self.seeds = list(dict.fromkeys(cell.seed for cell in cells))  # S distinct ones, S ≤ R
        self._theory = {"loss": experiment.loss, "average": experiment.average}
        self.feed = make_feed(experiment, self.seeds, self.device, len(self.cells))
        self.run_seed = torch.tensor([self.seeds.index(cell.seed) for cell in cells], device=self.device)  # (R,)
        self.betas = torch.tensor([cell.beta for cell in cells], device=self.device)  # (R,)
        self.ensemble = new_ensemble(experiment, [cell.seed for cell in cells], way).to(self.device)
        self.optimiser = make_optimiser(experiment, self.ensemble)
        self.step = Step(self._train_step, record=cuda_graph if way.graph and self.device.type == "cuda" else None)
        self.schedule = Schedule(experiment)
        self.epoch, self.steps = 1, 0  # where training is: in which epoch, and after how many of its steps
        self.goes_on = True
        self.history: list[dict] = []
        self.epoch_objectives: list[Tensor] = []  # (R,) each, of whole epochs
        # The objective summed over examples, since the last validation and since the epoch began, and their numbers.
        self.total, self.seen = torch.zeros(len(cells), device=self.device), 0  # (R,)
        self.epoch_total, self.epoch_seen = torch.zeros_like(self.total, dtype=torch.float64), 0
        self.best_loss = torch.full_like(self.total, torch.inf)
        self.best_epoch = torch.zeros_like(self.run_seed)
        self.best_weights = {name: value.clone() for name, value in self.ensemble.weights().items()}
        self._random: dict[str, Tensor] | None = None  # where the streams of dropout masks are to go on

    def run(self) -> list[TrainedCell]:
        """Train to the end; the best checkpoint is the one with the lowest validation *ensemble* loss."""
        gpus = [self.device] if self.device.type == "cuda" else []
        with working_on(self.device), torch.random.fork_rng(devices=gpus):
            torch.manual_seed(derived_seed(self.seeds[0], "dropout"))
            if self._random:
                torch.set_rng_state(self._random["cpu"])
                if gpus:
                    torch.cuda.set_rng_state(self._random["cuda"], self.device)
            try:
                self._run()
                return self._finished()
            except ValueError as error:
                if "more than 1 value per channel" in str(error):
                    raise InputError(
                        f"a batch of {self.experiment.data_name} has one example, which {self.experiment.base_learner} "
                        "with its batch-norm cannot be trained on; choose another batch_size or train_size"
                    ) from error
                raise
            finally:
                self.step.forget()  # its memory, which would be held until Python looks for circles

    def _run(self) -> None:
        steps_per_epoch = self.experiment.steps_per_epoch
        every = self.experiment.validate_every or steps_per_epoch
        while self.goes_on and self.epoch <= self.experiment.num_epochs:
            with contextlib.closing(self.feed.epoch(skip=self.steps)) as batches:  # or workers outlive an exception
                while self.goes_on and self.steps < steps_per_epoch:
                    number = min(every - self.steps % every, steps_per_epoch - self.steps)
                    self._set_rate(self.schedule.rate)
                    self.train_steps(itertools.islice(batches, number))
                    self.steps += number
                    if self.steps % every == 0:
                        self._validate()
            if self.goes_on:
                self._end_epoch()

    def train_epoch(self) -> Tensor:
        """One pass over the training part; returns the mean objective of each run, `(R,)`."""
        self.total.zero_()
        self.seen = 0
        self.train_steps(self.feed.epoch())
        return self.total / self.seen

    def train_steps(self, batches: Iterable[tuple[Tensor, ...]]) -> None:
        """A training step for each batch of the feed; adds what it sees to `total` and `seen`."""
        self.ensemble.train()
        for batch in batches:
            if batch:  # otherwise all its images are damaged
                self.step(*batch)
                self.seen += batch[0].shape[1]

    def _validate(self) -> None:
        entry = {"learning_rate": self.schedule.rate, "objective": self.total / self.seen}
        if self.experiment.validate_every:
            entry |= {"epoch": self.epoch, "step": (self.epoch - 1) * self.experiment.steps_per_epoch + self.steps}
        if self.feed.measured is not None:
            entry["train"] = self.evaluate(self.feed.measured)
        val = entry["val"] = self.evaluate(self.feed.val)
        if self.experiment.measure_test:
            entry["test"] = self.evaluate(self.feed.test)
        self.history.append(entry)
        self.epoch_total += self.total
        self.epoch_seen += self.seen
        self.total.zero_()
        self.seen = 0

        better = val["ensemble"] < self.best_loss  # (R,); never true for NaN
        self.best_loss = torch.where(better, val["ensemble"], self.best_loss)
        self.best_epoch = torch.where(better, len(self.history), self.best_epoch)
        for name, value in self.ensemble.weights().items():  # (R, M, ...)
            best = self.best_weights[name]
            torch.where(better.view(-1, *[1] * (value.ndim - 1)), value, best, out=best)
        self.goes_on = self.schedule.after_validation(self.schedule.looks_back and bool(better.all()))
        if self.on_validation:  # the only wait for the device on the way, but for a schedule that looks back
            losses = {name: val[name].mean().item() for name in ("ensemble", "individual")}
            self.on_validation(len(self.history), losses)

    def _end_epoch(self) -> None:
        """What was seen since the last validation is this epoch's, and the next validation's."""
        if self.experiment.validate_every:
            mean = (self.epoch_total + self.total) / (self.epoch_seen + self.seen)
            self.epoch_objectives.append(mean.float())
        self.epoch_total, self.epoch_seen = -self.total.double(), -self.seen
        self.epoch, self.steps = self.epoch + 1, 0

    def _set_rate(self, rate: float) -> None:
        if any(group["lr"] != rate for group in self.optimiser.param_groups):
            self.step.forget()
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def _train_step(self, *batch: Tensor) -> None:
        """Train on a batch of the feed. Nothing waits for it."""
        objective = self._objective(self._of_runs(self.feed.batch(*batch)))  # (R, B)
        loss = objective.mean(-1).sum()
        if self.experiment.rate_per_learner:
            loss = loss * self.experiment.num_learners
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.total += objective.detach().sum(-1)

    def _of_runs(self, batch: Split) -> Split:
        """What each run's learners are given: a batch of each seed `(S, B, ...)` → of each run `(R, B, ...)`."""
        return Split(self.feed.dataset.prepare(batch.inputs)[self.run_seed], batch.targets[self.run_seed])

    def _objective(self, batch: Split) -> Tensor:
        parts = decompose_unchecked(self._forward(batch.inputs), batch.targets, **self._theory)
        return joint_objective(parts, self.betas)

    def _forward(self, inputs: Tensor) -> Tensor:
        """inputs `(R, B, ...)` → outputs `(R, M, B, K)`, float32 in every precision."""
        with autocast(self.experiment.precision, self.device):
            outputs = self.ensemble(inputs)
        return outputs.float()

    # ---- evaluation

    def evaluate(self, part) -> dict[str, Tensor]:
        """`measure` of the learners on a part of the data, one of the feed's."""
        return mean_over((self._measure(*group), group[1].shape[-1]) for group in self._groups(part))

    def _groups(self, part) -> Iterator[tuple[Tensor, Tensor]]:
        """The learners' outputs on a part, and its targets, group by group: `(R, M, N, K)` and `(R, N)`."""
        self.ensemble.eval()
        return map(self._outputs, self.feed.groups(part))

    @torch.no_grad()
    def _outputs(self, chunks: Iterable[Split]) -> tuple[Tensor, Tensor]:
        outputs, targets = [], []
        for chunk in chunks:
            of_runs = self._of_runs(chunk)
            # Joined along the examples as the last axis in memory, which is how stacked perceptrons leave them.
            outputs.append(self._forward(of_runs.inputs).mT)
            targets.append(of_runs.targets)
        return torch.cat(outputs, dim=-1).mT, torch.cat(targets, dim=-1)

    @torch.no_grad()
    def _measure(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return measure(outputs, targets, **self._theory)

    def _tested(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Test metrics, and if they are stored the outputs on test and validation data with their targets."""
        if not self.experiment.store_outputs:
            return self.evaluate(self.feed.test), {}
        told, kept = {}, {}
        for part in ("test", "val"):
            if part == "val" and self.feed.val is self.feed.test:  # ImageNet's
                kept |= {name.replace("test", "val"): value for name, value in kept.items()}
                continue
            groups = list(self._groups(getattr(self.feed, part)))
            told[part] = mean_over((self._measure(*group), group[1].shape[-1]) for group in groups)
            for name, tensors, axis in zip(("outputs", "targets"), zip(*groups, strict=True), (-2, -1), strict=True):
                kept[f"{part}_{name}"] = torch.cat(tensors, dim=axis) if len(tensors) > 1 else tensors[0]
        return told["test"], kept

    # ---- results

    def _finished(self) -> list[TrainedCell]:
        test, outputs = {}, {}
        test["last"], kept = self._tested()
        outputs |= {name if "targets" in name else f"{name}_last": value for name, value in kept.items()}
        self.ensemble.load_weights(self.best_weights)
        test["best"], kept = self._tested()
        outputs |= {f"{name}_best": value for name, value in kept.items() if "targets" not in name}
        return self._cells(test, outputs, self.best_weights)

    def so_far(self) -> list[TrainedCell]:
        """The cells as they are now: their history, without tests, outputs and weights."""
        return self._cells({"best": None, "last": None}, {}, {})

    def _cells(self, test: dict, outputs: dict, weights: dict) -> list[TrainedCell]:
        """Everything to the host, and apart by run."""
        history = transposed(self.history)
        if self.experiment.validate_every:
            history["epoch_objective"] = self.epoch_objectives
        history, test, outputs, weights, epochs = moved([history, test, outputs, weights, self.best_epoch], "cpu")
        return [
            TrainedCell(
                cell=cell,
                best_epoch=int(epochs[r]),
                history=of_run(history, r),
                test=of_run(test, r),
                outputs={name: value[r] for name, value in outputs.items()},
                weights={name: value[r] for name, value in weights.items()},
            )
            for r, cell in enumerate(self.cells)
        ]

    # ---- going on later

    def state(self) -> dict[str, Any]:
        """Everything that training goes on from, after a validation: tensors, numbers, and dicts and lists of them."""
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        own = {name: getattr(self, name) for name in _STATE}
        parts = {name: getattr(self, name).state_dict() for name in ("ensemble", "optimiser")}
        return own | parts | {"schedule": self.schedule.state(), "feed": self.feed.state(), "random": random}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` of a trainer of the same cells gave."""
        for name in _STATE:
            setattr(self, name, moved(state[name], self.device))
        for name in ("ensemble", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.schedule.load_state(state["schedule"])
        self.feed.load_state(state["feed"])
        self._random = state["random"]


_STATE = (
    "epoch", "steps", "goes_on", "history", "epoch_objectives", "epoch_total", "epoch_seen",
    "best_loss", "best_epoch", "best_weights",
)  # fmt: skip
