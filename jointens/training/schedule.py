"""When the learning rate decays and when training stops: both are decided after a validation.

With a list of switches the rate decays after those validations, whatever they show. With a single number it is the
authors' rule for ImageNet: a counter is 1 at a validation with a new best ensemble loss and goes up by one at every
other; whenever it is a multiple of that number the rate decays, and when it is more than `max_patience`, training
stops. (torch.optim.lr_scheduler.ReduceLROnPlateau is another rule.) The rate is a function of the number of decays
alone: so a run resumes with the same bits, and recorded steps are dropped only when it changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LOWEST_RATE = 1e-8  # below it patience is over as well
SCHEDULERS = ("ExponentialLR", "Linear", "none")


class Schedule:
    """The learning rate from validation to validation.

    Args:
        learning_rate: at the start.
        kind: "ExponentialLR" multiplies the rate by `gamma` at each switch; "Linear" takes the share `decrement` of
            the first rate off; "none" keeps the rate.
        switches: the validations, from 1, after which the rate decays; or a single number by which the counter of
            validations since a new best is divided.
        gamma: factor of "ExponentialLR".
        decrement: share of "Linear".
        max_patience: validations in a row without a new best after which training stops; None: it never stops early.
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        *,
        kind: str = "none",
        switches: Sequence[int] | int = (),
        gamma: float = 0.2,
        decrement: float | None = None,
        max_patience: int | None = None,
    ):
        if kind not in SCHEDULERS:
            raise ValueError(f"unknown schedule {kind!r}; allowed are {', '.join(SCHEDULERS)}")
        if kind == "Linear" and decrement is None:
            raise ValueError("decrement is None; Linear needs the share of the first rate that each switch takes off")
        self.learning_rate, self.kind, self.gamma, self.decrement = learning_rate, kind, gamma, decrement
        self.switches = switches if isinstance(switches, int) else tuple(switches)
        self.max_patience = max_patience
        self.validations = 0  # so far
        self.num_decays = 0  # of the rate
        self.counter = 0  # validations since the best one, which counts as 1

    @property
    def rate(self) -> float:
        """The rate with which training goes on."""
        return self.rate_after(self.num_decays)

    def rate_after(self, num_decays: int) -> float:
        """Return the learning rate after so many decays."""
        if self.kind == "none":
            return self.learning_rate
        if self.kind == "Linear":  # PyTorch ends it after 1 / decrement switches, or at the last one before that
            return self.learning_rate * (1 - self.decrement * min(num_decays, math.floor(1 / self.decrement)))
        return self.learning_rate * self.gamma**num_decays

    def rate_before(self, validation: int) -> float:
        """Return the rate on the way to a validation, from 1: a switch at 30 lowers it after thirty.

        Only for a list of switches: otherwise it depends on what the validations show.
        """
        if self.kind == "none":
            return self.learning_rate
        return self.rate_after(sum(switch < validation for switch in self.switches))

    @property
    def is_plateau_rule(self) -> bool:
        """Whether the rate decays when validations do not get better."""
        return isinstance(self.switches, int) and self.kind == "ExponentialLR"

    @property
    def depends_on_validation(self) -> bool:
        """Whether it matters if a validation was the best so far; runs then have schedules of their own."""
        return self.is_plateau_rule or self.max_patience is not None

    def after_validation(self, is_best: bool) -> bool:
        """Count a validation, and let the rate decay if it is time to; returns whether training goes on."""
        self.validations += 1
        self.counter = 1 if is_best else self.counter + 1
        patience = self.max_patience
        if patience is not None and not is_best and (self.counter > patience or self.rate < LOWEST_RATE):
            return False
        if self.is_plateau_rule:
            self.num_decays += self.counter % self.switches == 0
        elif self.kind != "none":
            self.num_decays += self.switches.count(self.validations)
        return True

    def state(self) -> dict[str, int]:
        # "falls": as checkpoints have named it from the start
        return {"validations": self.validations, "falls": self.num_decays, "counter": self.counter}

    def load_state(self, state: dict[str, int]) -> None:
        self.validations, self.num_decays, self.counter = (state[name] for name in ("validations", "falls", "counter"))


def switches_of(lr_switch: Sequence[int] | int | None, scheduler: str, validations: int) -> tuple[int, ...] | int:
    """Return what the key `lr_switch` stands for in a run of so many validations.

    None is 40, 65 and 90 % of them, for Linear every one but the last. A number is kept, as what the counter is divided
    by; for Linear it is the distance between switches.
    """
    if isinstance(lr_switch, int):
        return tuple(range(lr_switch, validations + 1, lr_switch)) if scheduler == "Linear" else lr_switch
    if lr_switch is not None:
        return tuple(lr_switch)
    if scheduler == "Linear":
        return tuple(range(1, validations))
    return tuple(max(1, round(share * validations)) for share in (0.4, 0.65, 0.9))


def best_validation(losses: Sequence[float], *, last: bool) -> int:
    """Return the validation, from 1, with the lowest loss: the `last` or the first of several; 0 if none is finite."""
    lowest, best = math.inf, 0
    for number, loss in enumerate(losses, 1):
        if loss < lowest or (last and loss == lowest):
            lowest, best = loss, number
    return best
