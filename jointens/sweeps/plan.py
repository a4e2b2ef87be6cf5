"""Which cells are trained together: the stacks of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..experiment import Cell, CellRecord, Experiment
from ..models import known_learner
from .build import make_ensemble, make_schedule, num_parameters

# Parameters, over all runs and learners, that one stack may hold: with gradients, momentum and the best checkpoint
# four times as many numbers are kept, so this is about half a gigabyte.
STACK_PARAMETERS = 32_000_000


def plan(missing: Sequence[Cell], finished: Sequence[CellRecord], size: int) -> list[list[Cell]]:
    """Divide cells into stacks, so that every missing cell is in one of them.

    A cell's last bits can depend on the others in its stack. So a stack that was broken while its files were being
    written is trained again whole, finished cells and all, though only the missing files are written.

    Args:
        missing: the cells to train.
        finished: every finished cell of the folder, whose provenance names its stack.
        size: of a stack, at most.
    """
    missing = list(missing)
    named = {tuple(Cell(*cell) for cell in record.provenance["stack"]) for record in finished} if missing else set()
    broken = [list(stack) for stack in sorted(named) if not set(stack).isdisjoint(missing)]
    rest = [cell for cell in missing if not any(cell in stack for stack in broken)]
    return broken + [rest[start : start + size] for start in range(0, len(rest), size)]


def stack_size(experiment: Experiment) -> int:
    """Return how many runs train as one tensor program: decided by the experiment alone, never by the machine."""
    if make_schedule(experiment).depends_on_validation:  # then each run has a rate of its own
        return 1
    # Of image learners it is the activations that are large, not the weights: one run at a time.
    if experiment.about_data.files or known_learner(experiment.base_learner).smallest:
        return 1
    with torch.device("meta"):  # the architecture alone, without the work of drawing weights
        if not make_ensemble(experiment).stacked:
            return 1
    return max(1, STACK_PARAMETERS // num_parameters(experiment))
