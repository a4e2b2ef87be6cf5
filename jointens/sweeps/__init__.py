"""A grid of β × seed: trained cell by cell or stack by stack, and never twice.

build.py        an experiment becomes data, ensemble, loader, schedule and trainer
sweep.py        run what is missing
local.py        by several processes of this machine
slurm.py        by a Slurm job array
worker.py       what each of them does: train stacks that nobody else trains
claims.py       which cells are in work, and by whom
plan.py         which cells are trained together
stack.py        train them, and write what they go on from
grids.py        which grids were asked for
progress.py     how far a sweep is
precision.py    is bfloat16 worth it here?
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
from .progress import describe_diverged, describe_progress
from .saved import load, predict
from .stack import OutOfTime
from .sweep import run

__all__ = [
    "OutOfTime", "describe_diverged", "describe_progress", "load", "load_data", "make_ensemble", "make_learner",
    "make_loader", "make_schedule", "make_trainer", "num_parameters", "predict", "run", "stack_size",
]  # fmt: skip
