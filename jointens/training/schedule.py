"""When the learning rate falls and when training stops: both are decided after a validation.

With a list as `lr_switch` the rate falls after those validations, whatever they show. With a single number it is the
authors' rule for ImageNet: a counter is 1 at a validation with a new best ensemble loss and goes up by one at every
other; whenever it is a multiple of that number the rate falls, and when it is more than `max_patience`, training stops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..experiment.config import Experiment

LOWEST_RATE = 1e-8  # below it patience is over, too


class Schedule:
    """The learning rate of one experiment from validation to validation.

    Args:
        experiment: the keys scheduler, learning_rate, gamma, factor, lr_switch and max_patience are looked at.
    """

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.validations = 0  # so far
        self.falls = 0  # of the rate
        self.counter = 0  # validations since a best one, which counts as 1

    @property
    def rate(self) -> float:
        return rate_after(self.experiment, self.falls)

    @property
    def looks_back(self) -> bool:
        """Whether it matters if a validation was the best so far; runs then have schedules of their own."""
        return looks_back(self.experiment)

    def after_validation(self, is_best: bool) -> bool:
        """Count a validation, and let the rate fall if it is time to; returns whether training goes on."""
        experiment = self.experiment
        self.validations += 1
        self.counter = 1 if is_best else self.counter + 1
        patience = experiment.max_patience
        if patience is not None and not is_best and (self.counter > patience or self.rate < LOWEST_RATE):
            return False
        if waits_for_better(experiment):
            self.falls += self.counter % experiment.lr_switch == 0
        elif experiment.scheduler != "none":
            self.falls += experiment.switches.count(self.validations)
        return True

    def state(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("validations", "falls", "counter")}

    def load_state(self, state: dict[str, int]) -> None:
        self.validations, self.falls, self.counter = (state[name] for name in ("validations", "falls", "counter"))


def rate_after(experiment: Experiment, falls: int) -> float:
    """The learning rate after it has fallen so many times."""
    if experiment.scheduler == "none":
        return experiment.learning_rate
    if experiment.scheduler == "Linear":  # which PyTorch ends after 1 / factor switches, or at the last before that
        return experiment.learning_rate * (1 - experiment.fall * min(falls, math.floor(1 / experiment.fall)))
    return experiment.learning_rate * experiment.gamma**falls


def learning_rate(experiment: Experiment, number: int) -> float:
    """The rate on the way to validation `number`, from 1: a switch at 30 lowers it after thirty.

    Only for a list of switches: otherwise it depends on what the validations show.
    """
    if experiment.scheduler == "none":
        return experiment.learning_rate
    return rate_after(experiment, sum(switch < number for switch in experiment.switches))


def waits_for_better(experiment: Experiment) -> bool:
    """Whether the rate falls when validations do not get better."""
    return isinstance(experiment.lr_switch, int) and experiment.scheduler == "ExponentialLR"


def looks_back(experiment: Experiment) -> bool:
    return waits_for_better(experiment) or experiment.max_patience is not None


def switches(lr_switch: Sequence[int] | int | None, scheduler: str, validations: int) -> tuple[int, ...] | int:
    """`lr_switch` as it is meant for so many validations: those after which the rate falls, or what the counter is
    divided by. Linear with a number has its switches that far apart."""
    if isinstance(lr_switch, int):
        return tuple(range(lr_switch, validations + 1, lr_switch)) if scheduler == "Linear" else lr_switch
    if lr_switch is not None:
        return tuple(lr_switch)
    if scheduler == "Linear":
        return tuple(range(1, validations))
    return tuple(max(1, round(share * validations)) for share in (0.4, 0.65, 0.9))


def best_validation(losses: Sequence[float], *, last: bool) -> int:
    """The validation, from 1, with the lowest loss, the `last` or the first of several; 0 if none was ever kept."""
    lowest, best = math.inf, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < lowest or (last and loss == lowest):
            lowest, best = loss, epoch
    return best
