"""Training an ensemble on plain values and objects: any `Ensemble`, any loader, no experiment.

trainer.py          the loop
objective.py        what a step goes down on
trained.py          what a run leaves
schedule.py         when the learning rate decays and when training stops
optimiser.py        the optimisers by name
random_streams.py   where draws come from
take_step.py        gradients and a step of the optimiser, with autograd or without
metrics.py          losses and accuracies
execution.py        how a step is handed to the device
graphed_step.py     a step recorded as a CUDA graph
checkpoint.py       saving a run and going on from it
"""

from .checkpoint import Checkpoint
from .execution import EXECUTION_MODES, ExecutionMode, choose_execution
from .graphed_step import GraphedStep, cuda_graph
from .metrics import measure
from .objective import Objective
from .optimiser import OPTIMISERS, make_optimiser
from .schedule import SCHEDULERS, Schedule, best_validation, switches_of
from .trained import TrainedRun
from .trainer import Trainer

__all__ = [
    "EXECUTION_MODES", "OPTIMISERS", "SCHEDULERS", "Checkpoint", "ExecutionMode", "GraphedStep", "Objective",
    "Schedule", "TrainedRun", "Trainer", "best_validation", "choose_execution", "cuda_graph", "make_optimiser",
    "measure", "switches_of",
]  # fmt: skip
