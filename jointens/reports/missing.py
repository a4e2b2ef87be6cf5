"""Train what `results/` lacks: the next cell of its list, published as soon as it is finished, and so on."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..common.errors import InputError
from ..experiment.config import Experiment
from ..experiment.fields import check_names
from ..sweeps.sweep import OutOfTime, run
from .published import batches, publish

# Which of a published setting's keys may be given: those that say where and how it runs, not what is trained.
FREE = tuple(
    field.name
    for field in dataclasses.fields(Experiment)
    if not field.metadata["numbers"] and field.name not in ("beta_vals", "seeds", "tag")
)


def train_missing(*, minutes: float | None = None, **keys: Any) -> Iterator[Path]:
    """Train and publish one missing cell after the other; yields the file of each once it is there.

    Settings whose data set is not here are passed over, which standard error tells.

    Args:
        minutes: for how long. A cell that cannot be finished in time is given up after a few epochs, and nothing is
            begun after it. None: until nothing is missing.
        keys: where and how it runs: data_root, device, out, …

    Raises:
        InputError: a key that would change what is trained, or nothing that is missing can be trained here.
    """
    check_names(keys, Experiment.names())
    for name in keys:
        if name not in FREE:
            raise InputError(
                f"--missing trains published settings, in which {name} is fixed; free are {', '.join(FREE)}"
            )
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    missing, experiments = [], []
    for batch in batches():
        if cells := batch.missing:
            # Without outputs and weights, which are not published.
            whole = dataclasses.replace(
                batch.setting.experiment, **{"store_outputs": False, "save_weights": False, **keys}
            )
            missing += [(batch.setting, cell) for cell in cells]
            experiments += [dataclasses.replace(whole, beta_vals=[cell.beta], seeds=[cell.seed]) for cell in cells]
    absent = _absent(experiments)
    if experiments and all(experiment.dataset in absent for experiment in experiments):
        raise InputError(f"nothing that is missing can be trained here: {next(iter(absent.values()))}")
    for error in absent.values():
        print(f"jointens: passed over: {error}", file=sys.stderr)
    for (setting, cell), experiment in zip(missing, experiments, strict=True):
        if experiment.dataset in absent:
            continue
        try:
            publish(run(experiment, deadline=deadline).folder)
        except OutOfTime as stop:
            print(f"jointens: {setting}, {cell}: {stop}", file=sys.stderr)
            return
        yield setting.results.path(cell)


def _absent(experiments: list[Experiment]) -> dict[str, InputError]:
    """The data sets that cannot be read, with what is wrong."""
    wrong = {}
    for experiment in {of.dataset: of for of in experiments}.values():
        try:
            experiment.load_data(experiment.seeds[0])
        except InputError as error:
            wrong[experiment.dataset] = error
    return wrong
