"""The training loop: R ensembles at once on the objective of β, the best checkpoint of each, and what they predict."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..common import autocast, working_on
from ..data import Split
from ..models import Ensemble
from .best_checkpoint import BestCheckpoint
from .graphed_step import GraphedStep, cuda_graph
from .metrics import mean_over, measure
from .objective import Objective, WarmStart
from .optimiser import make_optimiser
from .random_streams import random_state, random_streams
from .schedule import Schedule
from .take_step import step_down
from .trained import TrainedRun, join_groups, moved, split_runs

# Called after each validation with the trainer, the validation's number, from 1, and the mean losses over the runs.
OnValidation = Callable[["Trainer", int, dict[str, float]], None]


class Trainer:
    """Trains an ensemble, or R ensembles side by side, on (1 − β) · individual + β · ensemble loss.

    The runs share nothing but the program: the loss is the sum over runs, so each run's gradient is its own. After
    `run` the ensemble has the weights of the `BestCheckpoint`. When all runs have diverged, training ends.

    Args:
        ensemble: on the device on which to train. With `runs=R` it holds R ensembles; without, R is 1.
        loader: where batches come from: a `MemoryLoader`, `FileLoader` or `TorchLoader` of jointens.data.
        beta: one value, or one for each run.
        num_epochs: passes over the training data.
        loss: "cross_entropy" or "squared_error".
        average: what the ensemble averages: "scores", "probabilities" or "released".
        kept_learners: learners whose mean the ensemble loss is of, drawn anew in each step; see `Objective`.
        diversity_cap: diversity above which more of it earns nothing; see `Objective`.
        warm_start: epochs at the start in which β is 0.
        optimiser: over the ensemble's parameters; None: SGD with momentum 0.9.
        schedule: of the learning rate; None: a constant rate of 0.1.
        data_of_run: for each run, which of the loader's S seeds it is trained on; None: all on the first.
        rate_per_learner: train M × the loss: each learner then has the rate and decay of a run of its own.
        validate_every: steps from validation to validation, counted anew in each epoch; None: after each epoch.
        measure_test: measure test data at each validation, too.
        keep_outputs: keep the learners' test and validation outputs at the best and the last validation.
        precision: "float32" or "bfloat16".
        graph: on a GPU record the training step as a CUDA graph and replay it.
        dropout_seed: of the masks of dropout and the subsets of learners.
        on_validation: called after each validation, when everything is as `state()` gives it.

    Raises:
        ValueError: the numbers of runs do not fit, or an argument is not allowed.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        loader: Any,
        *,
        beta: float | Sequence[float] = 0.0,
        num_epochs: int = 10,
        loss: str = "cross_entropy",
        average: str = "scores",
        kept_learners: int | None = None,
        diversity_cap: float | None = None,
        warm_start: int = 0,
        optimiser: torch.optim.Optimizer | None = None,
        schedule: Schedule | None = None,
        data_of_run: Sequence[int] | None = None,
        rate_per_learner: bool = False,
        validate_every: int | None = None,
        measure_test: bool = False,
        keep_outputs: bool = True,
        precision: str = "float32",
        graph: bool = False,
        dropout_seed: int = 0,
        on_validation: OnValidation | None = None,
    ):
        self.objective = Objective(loss, average, ensemble.num_learners, kept_learners, diversity_cap)
        runs = ensemble.runs or 1
        betas = [beta] * runs if isinstance(beta, (int, float)) else list(beta)
        data_of_run = [0] * runs if data_of_run is None else list(data_of_run)
        if len(betas) != runs or len(data_of_run) != runs:
            raise ValueError(f"{len(betas)} β and data for {len(data_of_run)} runs; the ensemble has {runs} runs")
        if validate_every is not None and not 1 <= validate_every <= loader.steps_per_epoch:
            raise ValueError(f"validate_every is {validate_every}; allowed is 1..{loader.steps_per_epoch}")
        self.ensemble, self.loader, self.on_validation = ensemble, loader, on_validation
        self.device = next(ensemble.parameters()).device
        self.num_runs, self.num_epochs, self.validate_every = runs, num_epochs, validate_every
        self.measure_test, self.keep_outputs, self.precision = measure_test, keep_outputs, precision
        self.run_data = torch.tensor(data_of_run, device=self.device)  # (R,)
        self.betas = torch.tensor([float(b) for b in betas], device=self.device)  # (R,), those of the epoch
        self.warm_start = WarmStart(self.betas, warm_start)
        self.loss_factor = ensemble.num_learners if rate_per_learner else 1
        self.schedule = schedule or Schedule(0.1)
        weights, rate = ensemble.parameters(), self.schedule.rate
        self.optimiser = optimiser or make_optimiser("SGD", weights, learning_rate=rate, momentum=0.9)
        self.step = GraphedStep(record=cuda_graph if graph and self.device.type == "cuda" else None)
        self._manual = ensemble.manual_backward() if precision == "float32" else None
        self.dropout_seed = dropout_seed
        self.epoch, self.steps, self.goes_on = 1, 0, True  # in which epoch training is, and after how many of its steps
        self.history: list[dict] = []
        self.epoch_objectives: list[Tensor] = []  # (R,) each, of whole epochs
        # The objective summed over examples, since the last validation and since the epoch began, and their numbers.
        self.total, self.seen = torch.zeros(runs, device=self.device), 0  # (R,)
        self.epoch_total, self.epoch_seen = torch.zeros_like(self.total, dtype=torch.float64), 0
        self.best = BestCheckpoint(self._weights(), runs)
        self._val_groups: list | None = None  # outputs and targets of the last validation, if they are kept
        self._random: dict[str, Tensor] | None = None  # where the random streams are to go on

    def run(self) -> list[TrainedRun]:
        """Train to the end; returns what each run left."""
        with working_on(self.device), random_streams(self.device, self.dropout_seed, self._random):
            try:
                self._run()
                return self._finished()
            finally:
                self.step.forget()

    def _run(self) -> None:
        steps_per_epoch = self.loader.steps_per_epoch
        every = self.validate_every or steps_per_epoch
        while self.goes_on and self.epoch <= self.num_epochs:
            self.warm_start.begin(self.epoch)
            with contextlib.closing(self.loader.epoch(skip=self.steps)) as items:  # or workers outlive an exception
                while self.goes_on and self.steps < steps_per_epoch:
                    number = min(every - self.steps % every, steps_per_epoch - self.steps)
                    self._set_rate(self.schedule.rate)
                    self.train_steps(itertools.islice(items, number))
                    self.steps += number
                    if self.steps % every == 0:
                        self._validate()
            if self.goes_on:
                self._end_epoch()

    def train_epoch(self) -> Tensor:
        """Make one pass over the training part; returns the mean objective of each run, `(R,)`."""
        self.total.zero_()
        self.seen = 0
        self.train_steps(self.loader.epoch())
        return self.total / self.seen

    def train_steps(self, items: Iterable[tuple[Tensor, ...]]) -> None:
        """Make a training step for each item of the loader; adds what it sees to `total` and `seen`."""
        self.ensemble.train()
        for item in items:
            if item:  # otherwise all its images are damaged
                self.step(self._train_step, *item)
                self.seen += item[0].shape[1]

    def _validate(self) -> None:
        entry = {"learning_rate": self.schedule.rate, "objective": self.total / self.seen}
        if self.validate_every:
            entry |= {"epoch": self.epoch, "step": (self.epoch - 1) * self.loader.steps_per_epoch + self.steps}
        if self.loader.train_probe is not None:
            entry["train"] = self.evaluate(self.loader.train_probe)
        groups = self._groups(self.loader.val)
        self._val_groups = list(groups) if self.keep_outputs else None
        val = entry["val"] = self._measured(self._val_groups or groups)
        if self.measure_test:
            entry["test"] = self.evaluate(self.loader.test)
        self.history.append(entry)
        self.epoch_total += self.total
        self.epoch_seen += self.seen
        self.total.zero_()
        self.seen = 0

        better = self.best.update(len(self.history), val["ensemble"], self._weights())
        self.goes_on = self.schedule.after_validation(self.schedule.depends_on_validation and bool(better.all()))
        self.goes_on = self.goes_on and not self.best.diverged.all()
        if self.on_validation:
            losses = {name: val[name].mean().item() for name in ("ensemble", "individual")}
            self.on_validation(self, len(self.history), losses)

    def _end_epoch(self) -> None:
        """Share out what was seen since the last validation: to this epoch, and to the next validation."""
        if self.validate_every:
            mean = (self.epoch_total + self.total) / (self.epoch_seen + self.seen)
            self.epoch_objectives.append(mean.float())
        self.epoch_total, self.epoch_seen = -self.total.double(), -self.seen
        self.epoch, self.steps = self.epoch + 1, 0

    def _set_rate(self, rate: float) -> None:
        if any(group["lr"] != rate for group in self.optimiser.param_groups):
            self.step.forget()
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def _train_step(self, *item: Tensor) -> None:
        """Train on an item of the loader. Nothing waits for it."""
        objective = self._objective(self._of_runs(self.loader.batch(*item)))  # (R, B)
        loss = objective.mean(-1).sum() * self.loss_factor
        step_down(loss, self.optimiser, self._manual)
        self.total += objective.detach().sum(-1)

    def _of_runs(self, batch: Split) -> Split:
        """Give each run the batch of its seed: `(S, B, ...)` → `(R, B, ...)`, prepared for the learners."""
        return Split(*(v.index_select(0, self.run_data) for v in (self.loader.prepare(batch.inputs), batch.targets)))

    def _objective(self, batch: Split) -> Tensor:
        return self.objective(self._forward(batch.inputs), batch.targets, self.betas)

    def _forward(self, inputs: Tensor) -> Tensor:
        """Inputs `(R, B, ...)` → outputs `(R, M, B, K)`, float32 in every precision."""
        learners = self._manual or self.ensemble
        with autocast(self.precision, self.device):
            outputs = learners(inputs) if self.ensemble.runs else learners(inputs[0]).unsqueeze(0)
        return outputs.float()

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        """The ensemble's weights, one after the other, with the leading axes (R, M)."""
        for name, value in self.ensemble.named_weights():
            yield name, value if self.ensemble.runs else value.unsqueeze(0)

    def evaluate(self, part: Any) -> dict[str, Tensor]:
        """Measure the learners on a part of the data, one of the loader's; see `measure`."""
        return self._measured(self._groups(part))

    def _groups(self, part: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """The learners' outputs on a part, and its targets, group by group: `(R, M, N, K)` and `(R, N)`."""
        self.ensemble.eval()
        return map(self._outputs, self.loader.groups(part))

    @torch.no_grad()
    def _outputs(self, chunks: Iterable[Split]) -> tuple[Tensor, Tensor]:
        outputs, targets = [], []
        for chunk in chunks:
            batch = self._of_runs(chunk)
            # Joined along the examples as the last axis in memory, which is how stacked perceptrons leave them.
            outputs.append(self._forward(batch.inputs).mT)
            targets.append(batch.targets)
        return torch.cat(outputs, dim=-1).mT, torch.cat(targets, dim=-1)

    @torch.no_grad()
    def _measured(self, groups: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        return mean_over((measure(*group, **self.objective.averaging), group[1].shape[-1]) for group in groups)

    def _tested(self, val: list | None = None) -> tuple[dict[str, Tensor] | None, dict[str, Tensor]]:
        """Test metrics; if kept, outputs and targets of test and validation data, whose groups `val` may be known."""
        if self.loader.test is None or not self.keep_outputs:
            return None if self.loader.test is None else self.evaluate(self.loader.test), {}
        val = val or list(self._groups(self.loader.val))
        groups = val if self.loader.val is self.loader.test else list(self._groups(self.loader.test))  # as ImageNet's
        return self._measured(groups), join_groups(groups, "test") | join_groups(val, "val")

    def _finished(self) -> list[TrainedRun]:
        if self.best.diverged.all():
            return self.so_far()
        test, outputs, validated = {}, {}, not self.seen  # since the last validation no step was taken
        test["last"], kept = self._tested(self._val_groups if validated else None)
        outputs |= {name if "targets" in name else f"{name}_last": value for name, value in kept.items()}
        if validated and bool((self.best.validation == len(self.history)).all()):
            test["best"] = test["last"]
        else:
            own = slice(None) if self.ensemble.runs else 0
            self.ensemble.load_weights({name: value[own] for name, value in self.best.weights.items()})
            test["best"], kept = self._tested()
        outputs |= {f"{name}_best": value for name, value in kept.items() if "targets" not in name}
        return self._runs(test, outputs, self.best.weights)

    def so_far(self) -> list[TrainedRun]:
        """Return the runs as they are now: their history, without tests, outputs and weights."""
        return self._runs({"best": None, "last": None}, {}, {})

    def _runs(self, test: dict, outputs: dict, weights: dict) -> list[TrainedRun]:
        left = {"best_epoch": self.best.validation, "diverged": self.best.diverged}
        left |= {"test": test, "outputs": outputs, "weights": weights}
        objectives = self.epoch_objectives if self.validate_every else None
        return split_runs(self.num_runs, self.history, epoch_objectives=objectives, **left)

    def state(self) -> dict[str, Any]:
        """Return everything that training goes on from, after a validation: nested dicts and lists of tensors."""
        own = {name: getattr(self, name) for name in _STATE} | self.best.state()
        parts = {name: getattr(self, name).state_dict() for name in ("ensemble", "optimiser")}
        others = {"schedule": self.schedule.state(), "feed": self.loader.state(), "random": random_state(self.device)}
        return own | parts | others

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` of an equal trainer returned."""
        for name in _STATE:
            setattr(self, name, moved(state[name], self.device))
        self.best.load_state(state)
        for name in ("ensemble", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.schedule.load_state(state["schedule"])
        self.loader.load_state(state["feed"])  # as checkpoints have named it from the start
        self._random = state["random"]


_STATE = ("epoch", "steps", "goes_on", "history", "epoch_objectives", "epoch_total", "epoch_seen")
