"""The record of one cell of the grid: what its JSON file holds, as plain numbers.

A record is the only form in which a cell's results travel: training makes it, the results folder stores it, tables and
figures read it.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

SPLITS = ("train", "val", "test")
CHECKPOINTS = ("best", "last")


class Cell(NamedTuple):
    """One training run of the grid."""

    beta: float
    seed: int

    def __str__(self) -> str:
        return f"beta={self.beta:.12g},seed={self.seed}"

    @classmethod
    def named(cls, name: str) -> Cell | None:
        """Parse the name of a cell's file, without the ending; returns None if it is not a cell's name."""
        match = re.fullmatch(r"beta=([-+.e\d]+),seed=(\d+)", name)
        return cls(float(match[1]), int(match[2])) if match else None


def canonical_beta(beta: float) -> float:
    """Round β to the twelve digits that its cell's file name has, a float32 to the six that it has; −0 becomes 0.

    So 0.6 of a float32 array, which is 0.60000002384…, is 0.6, and names the same cell.
    """
    rounded = float(f"{beta:.12g}")
    if rounded != beta and beta == float(np.float32(beta)):
        rounded = float(f"{beta:.6g}")
    return rounded + 0.0


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Mean losses over the examples, and for classification accuracies as fractions.

    At one checkpoint each is a number (`learner_accuracy`: a number for each learner); over training each is a list
    with an entry for each validation. A loss that is not finite is NaN.
    """

    individual: Any
    ensemble: Any
    diversity: Any
    accuracy: Any = None
    """Of the ensemble; None for regression, as for the two below."""
    learner_accuracy: Any = None
    """Of each base learner."""
    top5_accuracy: Any = None
    """Of the ensemble; None unless there are more than ten classes."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metrics:
        return cls(**{name: _with_nan(value) for name, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        return _without_none(self)

    def columns(self) -> dict[str, Any]:
        """Return the columns of a table: numbers at a checkpoint, arrays over training.

        `individual_accuracy` is the mean over the learners.
        """
        columns = {name: np.array(value, dtype=float) for name, value in self.to_dict().items()}
        learners = columns.pop("learner_accuracy", None)
        top5 = columns.pop("top5_accuracy", None)
        if learners is not None:
            columns["individual_accuracy"] = learners.mean(-1)
        if top5 is not None:
            columns["top5_accuracy"] = top5
        return {name: value if value.ndim else float(value) for name, value in columns.items()}

    def at(self, validation: int) -> Metrics:
        """Return the metrics of one validation, counted from 1, out of those over training."""
        return Metrics(**{name: values[validation - 1] for name, values in self.to_dict().items()})


@dataclass(frozen=True, kw_only=True)
class History:
    """The course of training: lists with an entry for each validation. None: not measured."""

    learning_rate: list[float]
    objective: list[float] | None = None
    """The mean objective on training batches since the last validation."""
    epoch: list[int] | None = None
    """With `validate_every`, the epoch in which each validation was made."""
    step: list[int] | None = None
    """With `validate_every`, the training steps before it."""
    train: Metrics | None = None
    """In evaluation mode, on as many examples as validation has (or `measured_size`)."""
    val: Metrics
    test: Metrics | None = None
    """With `measure_test`."""
    epoch_objective: list[float] | None = None
    """With `validate_every`, the mean objective of each whole epoch."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> History:
        parts = {name: Metrics.from_dict(values[name]) for name in SPLITS if name in values}
        return cls(**{name: _with_nan(value) for name, value in values.items() if name not in parts}, **parts)

    def to_dict(self) -> dict[str, Any]:
        return _without_none(self)

    @property
    def splits(self) -> dict[str, Metrics]:
        """The parts of the data that were measured, by name."""
        return {name: part for name in SPLITS if (part := getattr(self, name)) is not None}


@dataclass(frozen=True, kw_only=True)
class CellRecord:
    """One finished cell, or one in training.

    Raises (from_dict):
        KeyError, TypeError, AttributeError: the dict is not a record.
    """

    cell: Cell
    best_epoch: int
    """The validation with the lowest ensemble loss, from 1; 0 if there is none (yet), or if the cell diverged."""
    test: dict[str, Metrics | None]
    """At "best" and "last", or None if not known (yet)."""
    history: History
    provenance: dict[str, Any]
    """What may differ between two equal runs, such as time, seconds, commit, host, versions and device."""

    @property
    def beta(self) -> float:
        return self.cell.beta

    @property
    def seed(self) -> int:
        return self.cell.seed

    @property
    def diverged(self) -> int:
        """The validation, from 1, since which the ensemble loss on validation data is not finite; 0 if it is finite."""
        losses, since = self.history.val.ensemble, 0
        for number in range(len(losses), 0, -1):
            if math.isfinite(losses[number - 1]):
                break
            since = number
        return since

    @classmethod
    def of(
        cls,
        cell: Cell,
        *,
        best_epoch: int,
        test: Mapping[str, Any],
        history: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> CellRecord:
        """Build a record from nested dicts of plain numbers."""
        return cls(
            cell=cell,
            best_epoch=best_epoch,
            test={at: values and Metrics.from_dict(values) for at, values in test.items()},
            history=History.from_dict(history),
            provenance=dict(provenance),
        )

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> CellRecord:
        """Build a record from what its JSON file holds."""
        parts = {name: record[name] for name in ("best_epoch", "test", "history", "provenance")}
        return cls.of(Cell(record["beta"], record["seed"]), **parts)

    def to_dict(self, experiment: str) -> dict[str, Any]:
        """Return what its JSON file holds, with null for what is not finite.

        Args:
            experiment: the hash of the experiment to which the cell belongs.
        """
        record = {
            "beta": self.beta,
            "seed": self.seed,
            "experiment": experiment,
            "best_epoch": self.best_epoch,
            **({"diverged": self.diverged} if self.diverged else {}),
            "test": {at: metrics and metrics.to_dict() for at, metrics in self.test.items()},
            "history": self.history.to_dict(),
            "provenance": self.provenance,
        }
        return _without_nan(record)


def _without_none(record: Metrics | History) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return {
        name: value.to_dict() if isinstance(value, Metrics) else value
        for name, value in values.items()
        if value is not None
    }


def _with_nan(value: Any) -> Any:
    """Replace null, as which JSON holds a number that is not finite, by NaN in nested lists."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_with_nan(entry) for entry in value]
    return math.nan if value is None else value


def _without_nan(tree: Any) -> Any:
    """Replace numbers that are not finite, which JSON does not know, by None."""
    if isinstance(tree, dict):
        return {name: _without_nan(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_without_nan(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
