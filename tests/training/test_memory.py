"""A finished cell gives its memory back at once: nothing of it waits for the garbage collector.

Memory is measured in a process of its own (this file run as a script), so that other tests do not blur it.
"""

import ctypes
import gc
import os
import resource
import subprocess
import sys
import tempfile
import weakref
from collections import Counter
from pathlib import Path

import pytest
import torch
from checkout import ROOT
from recording import record

import jointens
from jointens import Experiment
from jointens.data import Data, Split
from jointens.sweeps import build, worker
from jointens.training import Trainer

NUMBER = 6  # of cells
WITHIN = 0.15  # memory after the last cell may be that much above or below memory after the first


# ---- memory of a process


class Enough(Exception):
    """All cells that are to be measured are trained."""


def resident() -> float:
    """Return the memory of this process in MiB, without what malloc keeps for later."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def random_images(experiment, seed):
    """The data set of the measurement, in place of `load_data`."""
    rng = torch.Generator().manual_seed(seed)
    sizes = (experiment.train_size, experiment.val_size, experiment.test_size)
    images = [torch.randint(256, (number, 3, 32, 32), dtype=torch.uint8, generator=rng) for number in sizes]
    return Data(*(Split(inputs, torch.randint(10, (len(inputs),), generator=rng)) for inputs in images))


def measure_cells(recorder, *, steps):
    """Train ResNet18 cells in one sweep with the collector off, and print the memory after each cell, in MiB."""
    gc.disable()
    make, started = worker.make_trainer, []

    def measured(experiment, cells, **options):
        if started:
            print(resident(), flush=True)
        if len(started) == NUMBER:
            raise Enough
        started.extend(cells)
        trainer = make(experiment, cells, **options)
        trainer.step.record = recorder
        return trainer

    worker.make_trainer, worker.load_data, build.load_data = measured, random_images, random_images
    with tempfile.TemporaryDirectory() as out:
        experiment = Experiment(
            dataset="CIFAR-10", base_learner="ResNet18", num_learners=2, train_size=4 * steps, val_size=4, test_size=4,
            measured_size=0, batch_size=4, num_epochs=1, beta_vals=[n / 10 for n in range(NUMBER + 1)], seeds=[0],
            learning_rate=0.001, store_outputs=False, save_weights=False, checkpoint_seconds=99, device="cpu", out=out,
        )  # fmt: skip
        try:
            jointens.run(experiment, progress=False)
        except Enough:
            return


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and calls glibc")
@pytest.mark.slow
@pytest.mark.parametrize("execution", ["eager", "graph"])
def test_memory_after_the_sixth_cell_is_that_after_the_first(execution):
    """Each cell has 90 MB of weights, and four times as much with gradients, momentum and the best checkpoint."""
    support = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    done = subprocess.run(
        [sys.executable, __file__, execution], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": support}
    )
    assert done.returncode == 0, done.stderr
    memory = [float(line) for line in done.stdout.splitlines()]
    assert len(memory) == NUMBER
    assert memory[-1] == pytest.approx(memory[0], rel=WITHIN), memory


# ---- weak references


@pytest.fixture
def kept(monkeypatch):
    """Train a sweep with the collector off; returns how many cells it had, and which of their objects are left."""

    def kept(experiment, recorder=None):
        make, references = worker.make_trainer, []

        def noted(experiment, cells, **options):
            trainer = make(experiment, cells, **options)
            if recorder is not None:
                trainer.step.record = recorder
            objects = (trainer, trainer.ensemble, trainer.optimiser, trainer.loader, trainer.step, trainer.schedule)
            references.append([weakref.ref(part) for part in objects])
            return trainer

        monkeypatch.setattr(worker, "make_trainer", noted)
        gc.collect()
        gc.disable()
        try:
            results = jointens.run(experiment, progress=False)
            alive = [part() for own in references for part in own]
            assert results.records()
            return len(references), Counter(type(part).__name__ for part in alive if part is not None)
        finally:
            gc.enable()

    return kept


def test_nothing_of_stacked_cells_is_kept(tiny, kept):
    assert kept(tiny()) == (1, {})


def test_nothing_of_looped_cells_and_their_checkpoints_is_kept(tiny, kept):
    assert kept(tiny(stack=False, checkpoint_seconds=0)) == (4, {})


def test_nothing_of_recorded_steps_is_kept(tiny, kept):
    recorded = []

    def counted(function):
        recorded.append(1)
        return record(function)

    assert kept(tiny(num_epochs=6, stack=False), counted) == (4, {})
    assert recorded


def test_nothing_of_residual_nets_is_kept(small_sets, tiny, kept):
    keys = {"dataset": "CIFAR-10", "base_learner": "ResNet18", "data_root": str(small_sets), "num_learners": 1}
    sizes = {"train_size": 4, "val_size": 4, "test_size": 4, "batch_size": 4, "num_epochs": 1, "seeds": [0]}
    assert kept(tiny(**keys, **sizes, save_weights=False)) == (2, {})


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_of_images_in_files_is_kept(toy_root, tiny, kept, workers):
    keys = {"dataset": "toy-imagenet", "base_learner": "CNN", "image_size": 32, "data_root": str(toy_root)}
    sizes = {"train_size": 24, "val_size": 12, "batch_size": 12, "num_epochs": 1, "seeds": [0], "validate_every": 1}
    assert kept(tiny(**keys, **sizes, average="probabilities", workers=workers)) == (2, {})


def test_a_circle_through_the_trainer_would_be_noticed(tiny, kept, monkeypatch):
    make = Trainer.__init__

    def with_circle(self, *arguments, **options):
        make(self, *arguments, **options)
        self.step.function = self._train_step

    monkeypatch.setattr(Trainer, "__init__", with_circle)
    number, alive = kept(tiny())
    assert number == 1 and alive["Trainer"] == alive["Ensemble"] == alive["MemoryLoader"] == 1


if __name__ == "__main__":
    eager = sys.argv[1] == "eager"
    measure_cells(None if eager else record, steps=2 if eager else 4)
