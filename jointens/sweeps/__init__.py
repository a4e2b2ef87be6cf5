"""A grid of β × seed: trained cell by cell or stack by stack, and never twice.

build.py        an experiment becomes data, ensemble, loader, schedule and trainer
sweep.py        run what is missing
plan.py         which cells are trained together
stack.py        train them, and write what they go on from
provenance.py   where, when and from what a cell came
saved.py        trained ensembles from a results folder
"""

from .build import (
    load_data,
    make_ensemble,
    make_learner,
    make_loader,
    make_schedule,
    make_trainer,
    num_parameters,
    stack_size,
)
from .saved import load
from .stack import OutOfTime
from .sweep import run

__all__ = [
    "OutOfTime", "load", "load_data", "make_ensemble", "make_learner", "make_loader", "make_schedule", "make_trainer",
    "num_parameters", "run", "stack_size",
]  # fmt: skip
