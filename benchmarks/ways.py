"""Which way to run a training step is the fastest on a device, and does each reach the losses of the plainest?

Steps alone, without evaluation. The plainest is float32, launched operation by operation; rounding leads the others
away from it, little by little.
"""

from __future__ import annotations

import dataclasses
import math
from statistics import median
from typing import NamedTuple

import torch
from measured import Memory, seconds, training_flops

import jointens
from jointens.common import choose_device, working_on
from jointens.sweeps import make_learner, make_trainer

# Rounding leads two runs apart, step by step: after some hundred steps their objectives may differ by this share. A
# step that is run wrongly learns nothing, or one batch by heart, and is further away.
ALLOWED = 0.1
PASSES = 5  # timed


class Row(NamedTuple):
    """A way and what was measured of it."""

    precision: str
    execution: str
    images: float  # per second, each seen by all learners
    share: float  # of the rate of matrix products, for all rows in the experiment's precision
    memory: float  # GiB, the most that was held
    objective: float  # mean over the steps of the last pass
    validation: float  # ensemble loss after it


def compare(experiment: jointens.Experiment, ways: list[str], rate: float) -> list[Row]:
    """The plainest way, and each of `ways` in the experiment's precision, all from the same weights.

    Every way trains one pass over the training images that is not timed, in which cuDNN chooses and torch.compile
    compiles, and then `PASSES` that are. rate: FLOP per second of matrix products, which shares are of.
    """
    dataset = experiment.about_data
    flops = experiment.num_learners * training_flops(make_learner(experiment), torch.randn(4, *dataset.input_shape))
    rows = []
    for precision, execution in [("float32", "eager"), *((experiment.precision, way) for way in ways)]:
        of = dataclasses.replace(experiment, precision=precision, execution=execution)
        try:
            rows.append(_measured(of, rate / flops))
        except Exception as error:  # a way that does not work here is a finding, not the end
            if not rows:
                raise
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            print(f"{precision}, execution={execution} fails: {reason}")
    return rows


def _measured(experiment: jointens.Experiment, peak: float) -> Row:
    """peak: images per second that matrix products at the device's rate would make."""
    torch.manual_seed(0)
    memory = Memory(choose_device(experiment.device))
    trainer = make_trainer(experiment, experiment.cells)
    device = trainer.device
    with working_on(device):
        trainer.train_epoch()
        spent = median(seconds(trainer.train_epoch, device) for _ in range(PASSES))
        objective = (trainer.total / trainer.loader.num_train).item()
        validation = trainer.evaluate(trainer.loader.val)["ensemble"].item()
        trainer.step.forget()
    images = trainer.loader.num_train / spent
    return Row(experiment.precision, experiment.execution, images, images / peak, memory.peak(), objective, validation)


def table(rows: list[Row]) -> str:
    told = ["precision  execution          images/s   share of peak    GiB   objective   validation"]
    for row in rows:
        memory = "–" if math.isnan(row.memory) else f"{row.memory:.1f}"
        told.append(
            f"{row.precision:10} {row.execution:17} {row.images:9,.0f} {row.share:15.1%} {memory:>6} "
            f"{row.objective:11.4f} {row.validation:12.4f}{'' if agrees(row, rows) else '   DIFFERS'}"
        )
    return "\n".join(told)


def agrees(row: Row, rows: list[Row]) -> bool:
    """Whether a way reaches the objective of the plainest, the first of the rows, but for rounding."""
    return abs(row.objective / rows[0].objective - 1) <= ALLOWED


def fastest(rows: list[Row]) -> str | None:
    """The way to choose: of those in the experiment's precision that agree; None if none does."""
    fit = [row for row in rows[1:] if agrees(row, rows)]
    return max(fit, key=lambda row: row.images).execution if fit else None
