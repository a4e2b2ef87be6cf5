"""Batch sources for training and evaluation: data that lie on the device, images in files, or torch's own loaders.

Each kind of loader has the same attributes and methods, which are those that `Trainer` uses:

    train, val, test, train_probe    the parts of the data; `train_probe` are training examples whose losses are
                                     measured in evaluation mode, or None; `test` may be None
    steps_per_epoch                  training steps in an epoch
    epoch(skip) → batch(*item)       the next epoch, item by item, and an item's examples `(S, B, ...)`
    groups(part)                     all of a part in chunks, for evaluation
    prepare(inputs)                  what learners are given
    state(), load_state(state)       the random streams, so that an interrupted epoch goes on with the same batches

S is the number of seeds: each has its own split, order and augmentation. Data that fit lie on the device: an item is a
list of row numbers, and gathering, augmenting and preparing the batch is part of the training step. ImageNet stays in
its files: an item is what the workers have read.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common import InputError, generator
from .image_files import ReadOptions, SeededBatchSampler, batches, evaluation_transform, training_transform
from .imagenet import ImageFiles
from .registry import Dataset
from .splits import Data, Split

# Forwards without gradients take at least a training batch of each run. On a CPU, so many examples over all runs that
# the layers' outputs stay in its cache; on a GPU, so many numbers that it is busy: 2,730 images of 3×32×32.
EVALUATED_EXAMPLES, EVALUATED_NUMBERS = 1000, 2**23
EVALUATED_FILES = 64  # at once; each worker holds several such batches in shared memory
MOST_WORKERS = 16


class MemoryLoader:
    """Data that lie on the device, those of each seed side by side: `(S, N, ...)`.

    Args:
        dataset: what is known of the data set.
        data: as each seed has them, S in all.
        seeds: the S distinct seeds, of the order of examples and of augmentation.
        batch_size: examples of each seed in a training step; a smaller last batch is kept.
        device: where the data are to lie.
        runs: how many runs evaluate a chunk at once, R.
        train_probe_size: training examples that are measured; None: as many as validation has.
    """

    skipped: frozenset[str] = frozenset()  # damaged images, of which there are none

    def __init__(
        self,
        dataset: Dataset,
        data: Sequence[Data],
        seeds: Sequence[int],
        *,
        batch_size: int,
        device: torch.device,
        runs: int,
        train_probe_size: int | None = None,
    ):
        self.dataset, self.batch_size, self.device, self.runs = dataset, batch_size, device, runs
        self.train, self.val, self.test = (
            _side_by_side([getattr(own, part) for own in data], device) for part in ("train", "val", "test")
        )
        self.num_train = self.train.inputs.shape[1]
        self.steps_per_epoch = math.ceil(self.num_train / batch_size)
        size = self.val.inputs.shape[1] if train_probe_size is None else train_probe_size
        self.train_probe = Split(self.train.inputs[:, :size], self.train.targets[:, :size]) if size else None
        self.rows = torch.arange(len(seeds), device=device).unsqueeze(1)  # (S, 1)
        self.orders = [generator(seed, "order") for seed in seeds]
        self.augmentations = [generator(seed, "augmentation") for seed in seeds]
        self._begun = self._streams()

    def epoch(self, skip: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Begin the next epoch; returns its items without the first `skip`: what `batch` takes."""
        self._begun = self._streams()
        drawn = [torch.stack([torch.randperm(self.num_train, generator=order) for order in self.orders])]  # (S, N)
        if augment := self.dataset.augmentation:
            drawn.append(torch.stack([augment.draw(self.num_train, rng) for rng in self.augmentations]))  # (S, N, 4)
        drawn = [values.to(self.device) for values in drawn]  # all at once: a copy in each step would wait for it
        size = self.batch_size
        # Drawn at the call, not when the first item is asked for: that may be none.
        return (tuple(v[:, at : at + size] for v in drawn) for at in range(skip * size, self.num_train, size))

    def batch(self, columns: Tensor, draws: Tensor | None = None) -> Split:
        """Gather the examples `(S, B)` of each seed and augment them by `draws`, `(S, B, 4)`. Nothing waits for it."""
        batch = self.train[self.rows, columns]  # (S, B, ...)
        if draws is not None:
            images = self.dataset.augmentation(batch.inputs.flatten(0, 1), draws.flatten(0, 1))
            batch = Split(images.view(batch.inputs.shape), batch.targets)
        return batch

    def prepare(self, inputs: Tensor) -> Tensor:
        """Turn bytes into standardised float32 inputs; others stay as they are."""
        return self.dataset.prepare(inputs)

    def groups(self, part: Split) -> Iterator[Iterator[Split]]:
        """Iterate over a part in chunks `(S, B, ...)` that a forward takes at once: one group, measured together."""
        inputs = part.inputs
        room = EVALUATED_NUMBERS // inputs[0, 0].numel() if inputs.is_cuda else EVALUATED_EXAMPLES
        size = max(self.batch_size, room // self.runs)
        number = math.ceil(inputs.shape[1] / size)  # of one size, for which cuDNN chooses once
        chunks = zip(inputs.chunk(number, dim=1), part.targets.chunk(number, dim=1), strict=True)
        yield itertools.starmap(Split, chunks)

    def state(self) -> dict[str, Any]:
        """Return the random streams as they were before the epoch that was begun last."""
        return self._begun

    def load_state(self, state: dict[str, Any]) -> None:
        for name, streams in self._named().items():
            for stream, value in zip(streams, state[name], strict=True):
                stream.set_state(value)

    def _named(self) -> dict[str, list[torch.Generator]]:
        return {"order": self.orders, "augmentation": self.augmentations}

    def _streams(self) -> dict[str, Any]:
        return {name: [stream.get_state() for stream in streams] for name, streams in self._named().items()}


class FileLoader:
    """Images in files, for the runs of one seed: S is 1.

    Args:
        dataset: what is known of the data set.
        data: as the seed has them.
        seed: of the order of examples and of augmentation.
        batch_size: examples in a training step; a smaller last batch is kept.
        image_size: height and width to which images are cropped, in pixels.
        device: where the images go.
        train_probe_size: training examples that are measured; None: as many as validation has.
        workers: processes that read images, 0: none; None: one for each core, at most 16, with a GPU, else none.
        decode: "cpu": files are decoded by the workers; "gpu": on the device.
        skip_damaged: go on without images that cannot be read.

    Raises:
        InputError: `decode` is "gpu" and the device is not.
    """

    def __init__(
        self,
        dataset: Dataset,
        data: Data,
        seed: int,
        *,
        batch_size: int,
        image_size: int,
        device: torch.device,
        train_probe_size: int | None = None,
        workers: int | None = None,
        decode: str = "cpu",
        skip_damaged: bool = False,
    ):
        if decode == "gpu" and device.type != "cuda":
            raise InputError(f"decode is gpu, and the device is {device.type}; use decode=cpu")
        self.dataset, self.batch_size = dataset, batch_size
        self.train, self.val, self.test = data.train, data.val, data.test
        self.num_train = len(self.train)
        self.steps_per_epoch = math.ceil(self.num_train / batch_size)
        size = min(self.num_train, len(self.val) if train_probe_size is None else train_probe_size)
        # Evenly from all classes: the files are in the order of their classes.
        evenly = np.linspace(0, self.num_train, size, endpoint=False).astype(int)
        self.train_probe = self.train[evenly] if size else None
        self.reading = ReadOptions(_num_workers(workers, device), device, decode, skip_damaged, set())
        self.transforms = {"train": training_transform(image_size), "evaluate": evaluation_transform(image_size)}
        self.order, self.augmentation = generator(seed, "order"), generator(seed, "augmentation")
        self._begun = self._streams()

    def epoch(self, skip: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Begin the next epoch; returns its items without the first `skip`: uint8 images `(1, B, 3, S, S)` and targets.

        A batch of which every image is damaged is an empty item.
        """
        self._begun = self._streams()
        rows = torch.randperm(self.num_train, generator=self.order)
        draws = torch.randint(2**62, (self.num_train,), generator=self.augmentation)
        size = self.batch_size
        sampler = SeededBatchSampler(rows[skip * size :], draws[skip * size :], size)
        read = batches(self.train, sampler, self.transforms["train"], self.reading)
        return ((images.unsqueeze(0), targets.unsqueeze(0)) if len(targets) else () for images, targets in read)

    def batch(self, images: Tensor, targets: Tensor) -> Split:
        """Return what the workers have read as a batch."""
        return Split(images, targets)

    def prepare(self, inputs: Tensor) -> Tensor:
        """Turn bytes into standardised float32 inputs."""
        return self.dataset.prepare(inputs)

    def groups(self, part: ImageFiles) -> Iterator[Iterator[Split]]:
        """Iterate over a part in groups that are measured one after the other: all outputs may be too many."""
        size = max(self.batch_size, EVALUATED_FILES)
        sampler = SeededBatchSampler(torch.arange(len(part)), torch.zeros(len(part)), size)
        empty = True
        for images, targets in batches(part, sampler, self.transforms["evaluate"], self.reading):
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
        self.augmentation.set_state(state["augmentation"])

    def _streams(self) -> dict[str, Any]:
        return {"order": self.order.get_state(), "augmentation": self.augmentation.get_state()}


class TorchLoader:
    """torch's own DataLoaders, or any iterables with a length, for one run: S is 1.

    Each gives batches of inputs `(B, ...)` and targets, `(B,)` classes or values. Only `train` may shuffle: outputs on
    the others are kept in their order. An interrupted epoch goes on with other batches.

    Args:
        train: batches to train on, again and again.
        val: batches on which the best checkpoint is chosen.
        test: batches that are measured at the best checkpoint and at the end, or None.
        train_probe: training batches that are measured in evaluation mode at each validation, or None.
        device: where batches go.
    """

    skipped: frozenset[str] = frozenset()

    def __init__(
        self,
        train: Iterable,
        val: Iterable,
        *,
        test: Iterable | None = None,
        train_probe: Iterable | None = None,
        device: str | torch.device = "cpu",
    ):
        self.train, self.val, self.test, self.train_probe = train, val, test, train_probe
        self.device, self.steps_per_epoch = torch.device(device), len(train)

    def epoch(self, skip: int = 0) -> Iterator[tuple[Tensor, ...]]:
        return (self._of_one_run(batch) for batch in itertools.islice(self.train, skip, None))

    def batch(self, inputs: Tensor, targets: Tensor) -> Split:
        return Split(inputs, targets)

    def prepare(self, inputs: Tensor) -> Tensor:
        return inputs

    def groups(self, part: Iterable) -> Iterator[Iterator[Split]]:
        return (iter([Split(*self._of_one_run(batch))]) for batch in part)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        pass

    def _of_one_run(self, batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        inputs, targets = (values.to(self.device, non_blocking=True).unsqueeze(0) for values in batch)
        return inputs, targets


def _num_workers(workers: int | None, device: torch.device) -> int:
    if workers is not None:
        return workers
    # On a CPU training takes all cores, and workers would take turns with it.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(MOST_WORKERS, cores) if device.type == "cuda" else 0


def _side_by_side(splits: Sequence[Split], device: torch.device) -> Split:
    """Join the same part of the data of S seeds as `(S, N, ...)`; what they share is held once."""

    def joined(tensors: list[Tensor]) -> Tensor:
        first = tensors[0]
        if all(tensor.data_ptr() == first.data_ptr() or torch.equal(tensor, first) for tensor in tensors):
            return first.to(device).expand(len(tensors), *first.shape)
        return torch.stack(tensors).to(device)

    return Split(joined([split.inputs for split in splits]), joined([split.targets for split in splits]))
