"""The one place where an experiment becomes data, learners, an ensemble, a loader, a schedule and a trainer.

Everything below takes plain values and objects; nothing below knows what an experiment is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from .. import data, models
from ..common import InputError, choose_device, derived_seed, float32_on_cpu
from ..data import Data, FileLoader, MemoryLoader
from ..experiment import Cell, Experiment
from ..models import Ensemble, SharedEnsemble, seeded_learners
from ..training import EXECUTION_MODES, Schedule, Trainer, choose_execution, make_optimiser

# Parameters, over all runs and learners, that one stack may hold: with gradients, momentum and the best checkpoint
# four times as many numbers are kept, so this is about half a gigabyte.
STACK_PARAMETERS = 32_000_000
# Floating-point operations of a grid's training above which it is divided into two stacks at least, so that two
# processes can train it: some ten seconds of one core. Below, starting processes takes longer than they save.
WORTH_DIVIDING = 3e11


@float32_on_cpu()
def load_data(experiment: Experiment, seed: int) -> Data:
    """Load the data as one seed sees them, on the CPU.

    Raises:
        InputError: they are missing or damaged.
    """
    return data.load_data(
        experiment.dataset,
        target=experiment.target,
        seed=seed,
        train_size=experiment.train_size,
        val_size=experiment.val_size,
        test_size=experiment.test_size,
        label_noise=experiment.label_noise,
        data_root=experiment.data_root,
        download=experiment.download,
    )


def make_learner(experiment: Experiment) -> nn.Module:
    """Make a base learner with fresh weights from torch's global generator."""
    name = experiment.base_learner
    options = {key: getattr(experiment, key) for key in experiment.about_learner.options}
    return models.make_learner(name, experiment.input_shape, experiment.about_data.num_outputs, **options)


def num_parameters(experiment: Experiment) -> int:
    """Count the weights of all learners together, those that they share once."""
    learner, about = _without_weights(make_learner, experiment), experiment.about_learner
    shared = about.shared(learner) if about.shared else ()
    sizes = {name: value.numel() for name, value in learner.named_parameters()}
    return sum(size if name in shared else experiment.num_learners * size for name, size in sizes.items())


def _without_weights(make: Callable[[Experiment], nn.Module], experiment: Experiment) -> nn.Module:
    """Make a module on the meta device, which draws no weights, or for real where one of the user's own needs that."""
    try:
        with torch.device("meta"):
            return make(experiment)
    except Exception:  # if it is another mistake it is raised again
        with torch.random.fork_rng(devices=[]):
            return make(experiment)


@float32_on_cpu()
def make_ensemble(experiment: Experiment, seeds: Sequence[int] | None = None, *, execution: str = "eager") -> Ensemble:
    """Make an ensemble with fresh weights, on the CPU.

    Args:
        experiment: its learners.
        seeds: one run for each; they may repeat. None: a single ensemble, without the axis of runs, of seed 0.
        execution: the name of the execution mode.

    Raises:
        InputError: learners that share weights, and a mode that calls them one by one.
    """
    drawn = {
        seed: seeded_learners(lambda: make_learner(experiment), experiment.num_learners, seed)
        for seed in set(seeds or [0])
    }
    learners = [learner for seed in (seeds or [0]) for learner in drawn[seed]]
    mode, shared = EXECUTION_MODES[execution], experiment.about_learner.shared
    runs = len(seeds) if seeds else None
    if shared:
        if mode.compiled or mode.streams:
            raise InputError(f"execution is {execution}; {experiment.base_learner} allows eager and graph")
        return SharedEnsemble(learners, shared(learners[0]), runs=runs)
    return Ensemble(learners, runs=runs, stack=experiment.stack, compiled=mode.compiled, streams=mode.streams)


@float32_on_cpu()
def make_loader(
    experiment: Experiment, seeds: Sequence[int], device: torch.device, *, runs: int = 1
) -> MemoryLoader | FileLoader:
    """Make the loader of S distinct seeds for R runs; images in files are for one seed at a time."""
    dataset = experiment.about_data.augmented(experiment.augmentation)
    parts = [load_data(experiment, seed) for seed in seeds]
    common = {
        "batch_size": experiment.batch_size,
        "device": device,
        "train_probe_size": experiment.measured_size,
    }
    if not dataset.files:
        return MemoryLoader(dataset, parts, seeds, runs=runs, **common)
    (seed,), (files,) = seeds, parts
    return FileLoader(
        dataset,
        files,
        seed,
        image_size=experiment.input_shape[-1],
        workers=experiment.workers,
        decode=experiment.decode,
        skip_damaged=experiment.skip_damaged,
        **common,
    )


def make_schedule(experiment: Experiment) -> Schedule:
    """Make the schedule of the learning rate."""
    return Schedule(
        experiment.learning_rate,
        kind=experiment.scheduler,
        switches=experiment.switches,
        gamma=experiment.gamma,
        decrement=experiment.fall,
        max_patience=experiment.max_patience,
    )


def stack_size(experiment: Experiment) -> int:
    """Return how many runs train as one tensor program, at most: at most half of the grid where that takes long.

    The last bits of a run can depend on the others in its stack. So this is decided by the experiment alone, and never
    by the number of processes or cores.
    """
    if make_schedule(experiment).depends_on_validation:  # then each run has a rate of its own
        return 1
    # Of image learners it is the activations that are large, not the weights: one run at a time.
    if experiment.about_data.files or experiment.about_learner.smallest:
        return 1
    if not _without_weights(make_ensemble, experiment).stacked:
        return 1
    parameters, cells = num_parameters(experiment), len(experiment.cells)
    work = 6 * parameters * experiment.sizes[0] * experiment.num_epochs * cells
    size = cells if work < WORTH_DIVIDING else math.ceil(cells / 2)
    return max(1, min(size, STACK_PARAMETERS // parameters))


@float32_on_cpu()
def make_trainer(experiment: Experiment, cells: Sequence[Cell], **options: Any) -> Trainer:
    """Make the trainer of some cells of the grid, which train as one program.

    Args:
        experiment: the setting.
        cells: which of its runs. Where a schedule depends on validation, or images stay in files, a single one.
        options: further arguments of `Trainer`, such as `on_validation`.
    """
    device = choose_device(experiment.device)
    execution = choose_execution(experiment.execution, device)
    seeds = list(dict.fromkeys(cell.seed for cell in cells))  # S distinct ones, S ≤ R
    loader = make_loader(experiment, seeds, device, runs=len(cells))
    ensemble = make_ensemble(experiment, [cell.seed for cell in cells], execution=execution).to(device)
    optimiser = make_optimiser(
        experiment.optimiser,
        ensemble.parameters(),
        learning_rate=experiment.learning_rate,
        momentum=experiment.momentum,
        weight_decay=experiment.weight_decay,
    )
    return Trainer(
        ensemble,
        loader,
        beta=[cell.beta for cell in cells],
        num_epochs=experiment.num_epochs,
        loss=experiment.loss,
        average=experiment.average,
        kept_learners=experiment.kept_learners,
        diversity_cap=experiment.diversity_cap,
        warm_start=experiment.warm_start,
        optimiser=optimiser,
        schedule=make_schedule(experiment),
        data_of_run=[seeds.index(cell.seed) for cell in cells],
        rate_per_learner=experiment.rate_per_learner,
        validate_every=experiment.validate_every,
        measure_test=experiment.measure_test,
        keep_outputs=experiment.store_outputs,
        precision=experiment.precision,
        graph=EXECUTION_MODES[execution].graph,
        dropout_seed=derived_seed(seeds[0], "dropout"),
        **options,
    )
