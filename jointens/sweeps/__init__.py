"""A grid of β × seed: trained cell by cell or stack by stack, and never twice.

build.py        an experiment becomes data, ensemble, loader, schedule and trainer
sweep.py        run what is missing
plan.py         which cells are trained together
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
)
from .saved import load
from .sweep import OutOfTime, run

__all__ = [
    "OutOfTime", "load", "load_data", "make_ensemble", "make_learner", "make_loader", "make_schedule", "make_trainer",
    "num_parameters", "run",
]  # fmt: skip
