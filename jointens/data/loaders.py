"""What a training run is fed: batches of its training part, and the parts it is evaluated on.

Data that fit lie on the device: a batch is a list of row numbers, and gathering, augmenting and preparing it are part
of the training step. ImageNet stays in its files: a batch is what the workers have read.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..common.errors import InputError
from ..common.seeding import generator
from .image_files import Places, Reading, batches, evaluation_transform, training_transform
from .imagenet import ImageFiles
from .splits import Split

if TYPE_CHECKING:
    from ..experiment.config import Experiment

# Forwards without gradients take at least a training batch of each run. On a CPU, so many examples over all runs that
# the layers' outputs stay in its cache; on a GPU, so many numbers that it is busy: 2,730 images of 3×32×32.
EVALUATED_EXAMPLES, EVALUATED_NUMBERS = 1000, 2**23
EVALUATED_FILES = 64  # at once; each worker holds several such batches in shared memory
MOST_WORKERS = 16


def make_feed(experiment: Experiment, seeds: Sequence[int], device: torch.device, runs: int) -> MemoryFeed | FileFeed:
    """The feed of an experiment for S distinct seeds and R runs; images in files are for one run at a time."""
    if experiment.about_data.files:
        (seed,) = seeds
        return FileFeed(experiment, seed, device)
    return MemoryFeed(experiment, seeds, device, runs)


class MemoryFeed:
    """Data on the device: those of each seed side by side, `(S, N, ...)`.

    `train`, `val` and `test` are the parts, `measured` is the training examples whose losses are measured in evaluation
    mode, or None.
    """

    skipped: frozenset[str] = frozenset()  # damaged images, of which there are none

    def __init__(self, experiment: Experiment, seeds: Sequence[int], device: torch.device, runs: int):
        self.experiment, self.device, self.runs = experiment, device, runs
        self.dataset = experiment.about_data
        data = [experiment.load_data(seed) for seed in seeds]
        self.train, self.val, self.test = (
            _side_by_side([getattr(of, part) for of in data], device) for part in ("train", "val", "test")
        )
        self.num_train = self.train.inputs.shape[1]
        number = self.val.inputs.shape[1] if experiment.measured_size is None else experiment.measured_size
        measured = Split(*(part[:, :number] for part in (self.train.inputs, self.train.targets)))
        self.measured = measured if number else None
        self.rows = torch.arange(len(seeds), device=device).unsqueeze(1)  # (S, 1)
        self.orders = [generator(seed, "order") for seed in seeds]
        self.chances = [generator(seed, "augmentation") for seed in seeds]
        self._begun = self._streams()

    def epoch(self, skip: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The next epoch's batches but the first `skip`: what `batch` takes."""
        self._begun = self._streams()
        drawn = [torch.stack([torch.randperm(self.num_train, generator=order) for order in self.orders])]  # (S, N)
        if augment := self.dataset.augmentation:
            drawn.append(torch.stack([augment.draw(self.num_train, chance) for chance in self.chances]))  # (S, N, 4)
        drawn = [of.to(self.device) for of in drawn]  # the epoch's at once: a copy in each step would wait for it
        size = self.experiment.batch_size
        # Drawn at the call, not when the first batch is asked for: that may be none.
        return (tuple(of[:, at : at + size] for of in drawn) for at in range(skip * size, self.num_train, size))

    def batch(self, columns: Tensor, draws: Tensor | None = None) -> Split:
        """The examples `(S, B)` of each seed, augmented as `draws`, `(S, B, 4)`, say. Nothing waits for it."""
        batch = self.train[self.rows, columns]  # (S, B, ...)
        if draws is not None:
            images = self.dataset.augmentation(batch.inputs.flatten(0, 1), draws.flatten(0, 1))
            batch = Split(images.view(batch.inputs.shape), batch.targets)
        return batch

    def groups(self, part: Split) -> Iterator[Iterator[Split]]:
        """All of a part, in chunks of `(S, B, ...)` that a forward takes at once: one group, measured as a whole."""
        inputs = part.inputs
        room = EVALUATED_NUMBERS // inputs[0, 0].numel() if inputs.is_cuda else EVALUATED_EXAMPLES
        size = max(self.experiment.batch_size, room // self.runs)
        number = math.ceil(inputs.shape[1] / size)  # of one size, for which cuDNN chooses once
        chunks = zip(inputs.chunk(number, dim=1), part.targets.chunk(number, dim=1), strict=True)
        yield itertools.starmap(Split, chunks)

    def state(self) -> dict[str, Any]:
        """The random streams as they were before the epoch that was begun last."""
        return self._begun

    def load_state(self, state: dict[str, Any]) -> None:
        for name, streams in (("order", self.orders), ("augmentation", self.chances)):
            for stream, of in zip(streams, state[name], strict=True):
                stream.set_state(of)

    def _streams(self) -> dict[str, Any]:
        named = {"order": self.orders, "augmentation": self.chances}
        return {name: [stream.get_state() for stream in streams] for name, streams in named.items()}


class FileFeed:
    """Images in files, for the runs of one seed; the same attributes and methods, and S is 1."""

    def __init__(self, experiment: Experiment, seed: int, device: torch.device):
        self.experiment, self.dataset = experiment, experiment.about_data
        data = experiment.load_data(seed)
        self.train, self.val, self.test = data.train, data.val, data.test
        self.num_train = len(self.train)
        number = min(self.num_train, len(self.val) if experiment.measured_size is None else experiment.measured_size)
        # Evenly from all classes: the files are in the order of their classes.
        evenly = np.linspace(0, self.num_train, number, endpoint=False).astype(int)
        self.measured = self.train[evenly] if number else None
        if experiment.decode == "gpu" and device.type != "cuda":
            raise InputError(f"decode is gpu, and the device is {device.type}; use decode=cpu")
        self.reading = Reading(_workers(experiment, device), device, experiment.decode, experiment.skip_damaged, set())
        size = experiment.input_shape[-1]
        self.transforms = {"train": training_transform(size), "evaluate": evaluation_transform(size)}
        self.order, self.chance = generator(seed, "order"), generator(seed, "augmentation")
        self._begun = self._streams()

    def epoch(self, skip: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The next epoch's batches but the first `skip`: images `(1, B, 3, S, S)`, uint8, and targets `(1, B)`.

        A batch of which every image is damaged is empty: a tuple of nothing.
        """
        self._begun = self._streams()
        rows = torch.randperm(self.num_train, generator=self.order)
        draws = torch.randint(2**62, (self.num_train,), generator=self.chance)
        size = self.experiment.batch_size
        places = Places(rows[skip * size :], draws[skip * size :], size)
        read = batches(self.train, places, self.transforms["train"], self.reading)
        return ((images.unsqueeze(0), targets.unsqueeze(0)) if len(targets) else () for images, targets in read)

    def batch(self, images: Tensor, targets: Tensor) -> Split:
        """What the workers have read, as a batch."""
        return Split(images, targets)

    def groups(self, part: ImageFiles) -> Iterator[Iterator[Split]]:
        """All of a part, in groups that are measured one after the other: all outputs may be too many."""
        size = max(self.experiment.batch_size, EVALUATED_FILES)
        places = Places(torch.arange(len(part)), torch.zeros(len(part)), size)
        empty = True
        for images, targets in batches(part, places, self.transforms["evaluate"], self.reading):
            if len(targets):
                empty = False
                yield iter([Split(images.unsqueeze(0), targets.unsqueeze(0))])
        if empty:
            raise InputError(f"no image of {len(part)} in {part.folder} can be read")

    @property
    def skipped(self) -> set[str]:
        """The damaged images that were left out, and what was wrong with them."""
        return self.reading.skipped

    def state(self) -> dict[str, Any]:
        return self._begun | {"skipped": sorted(self.skipped)}

    def load_state(self, state: dict[str, Any]) -> None:
        self.skipped.update(state["skipped"])
        self.order.set_state(state["order"])
        self.chance.set_state(state["augmentation"])

    def _streams(self) -> dict[str, Any]:
        return {"order": self.order.get_state(), "augmentation": self.chance.get_state()}


def _workers(experiment: Experiment, device: torch.device) -> int:
    if experiment.workers is not None:
        return experiment.workers
    # On a CPU training takes all cores, and workers would take turns with it.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(MOST_WORKERS, cores) if device.type == "cuda" else 0


def _side_by_side(splits: Sequence[Split], device: torch.device) -> Split:
    """The same part of the data of S seeds as one `(S, N, ...)`; what they share is there once."""

    def joined(tensors: list[Tensor]) -> Tensor:
        first = tensors[0]
        if all(tensor.data_ptr() == first.data_ptr() or torch.equal(tensor, first) for tensor in tensors):
            return first.to(device).expand(len(tensors), *first.shape)
        return torch.stack(tensors).to(device)

    return Split(joined([split.inputs for split in splits]), joined([split.targets for split in splits]))
