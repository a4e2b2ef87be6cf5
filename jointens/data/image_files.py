"""Read images from files in batches: decoded, cropped and flipped by worker processes, or on the GPU.

    rows and seeds ── workers: bytes ── decode ── transform ──▶ images (B, 3, S, S), uint8, and targets (B,)

The random crop and flip of an image follow from a seed that comes with its row, not from the worker that reads it: so
an epoch is the same with any number of workers, and can be resumed in its middle.
"""

from __future__ import annotations

import math
import re
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..common import InputError
from .imagenet import ImageFiles

# An image `(3, H, W)`, uint8 → an image of another size, still uint8.
Transform = Callable[[Tensor], Tensor]


class ReadOptions(NamedTuple):
    """Where and how images are read; batches are the same with all of these."""

    workers: int = 0
    """Processes that read; 0: this process reads."""
    device: torch.device = torch.device("cpu")
    """Where the images go."""
    decode: str = "cpu"
    """"cpu": by the workers; "gpu": on the device."""
    skip_damaged: bool = False
    """Leave damaged images out, in place of an error."""
    skipped: set[str] | frozenset[str] = frozenset()
    """The damaged images so far, each of which is warned about once; a frozen set stays empty."""


class SeededIndex(NamedTuple):
    """The index of an image in a batch: its row, and the seed of its random transformations."""

    row: int
    seed: int


@dataclass(frozen=True)
class SeededBatchSampler:
    """A batch sampler for `DataLoader` of given rows, each with the seed of its random transformations."""

    rows: Tensor
    """`(N,)`, in the order of the epoch."""
    seeds: Tensor
    """`(N,)`."""
    batch_size: int
    """Images in a batch; the last one may have fewer."""

    def __iter__(self) -> Iterator[list[SeededIndex]]:
        for rows, seeds in zip(self.rows.split(self.batch_size), self.seeds.split(self.batch_size), strict=True):
            yield [SeededIndex(int(row), int(seed)) for row, seed in zip(rows.tolist(), seeds.tolist(), strict=True)]

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)


def training_transform(size: int) -> Transform:
    """Make the transform for training: crop 8 to 100 % of the area at random, resize it to `size`, flip at random."""
    from torchvision.transforms import v2  # takes a while to import

    return v2.Compose([v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()])


def evaluation_transform(size: int) -> Transform:
    """Make the transform for evaluation: resize and centre crop to `size` pixels.

    The shorter side is resized to `size` and a seventh, 256 pixels for 224, but to no more than 256; from a `size` of
    256 on it is resized to `size`.
    """
    from torchvision.transforms import v2

    return v2.Compose([v2.Resize(max(size, min(round(size * 8 / 7), 256)), antialias=True), v2.CenterCrop(size)])


def batches(
    files: ImageFiles, sampler: Iterable[list[SeededIndex]], transform: Transform, options: ReadOptions
) -> Iterator[tuple[Tensor, Tensor]]:
    """Read images and targets batch by batch: `(B, 3, S, S)`, uint8, and `(B,)`, on the device.

    Damaged images are left out if `options` say so, and a warning names them; so a batch can be smaller, or empty.

    Raises:
        InputError: an image is damaged; the message says which.
    """
    decode_here = options.decode == "gpu"
    loader = DataLoader(
        _FileDataset(files, None if decode_here else transform),
        batch_sampler=sampler,
        num_workers=options.workers,
        collate_fn=_collate_bytes if decode_here else _collate_images,
        pin_memory=options.device.type == "cuda" and not decode_here,
        generator=torch.Generator(),  # or each epoch would draw from the stream that dropout masks come from
        worker_init_fn=_ignore_signals,
    )
    for indices, batch in zip(sampler, _batches_of(loader), strict=True):
        if decode_here:
            batch = _decode_batch(options.device, batch, indices, transform)
        for position, reason in batch.damaged.items():
            message = f"{files.path(indices[position].row)} is damaged ({reason})"
            if not options.skip_damaged:
                raise InputError(f"{message}; replace it, or give skip_damaged=true to go on without such images")
            if message not in options.skipped:
                warnings.warn(f"skipped: {message}", stacklevel=2)
                if isinstance(options.skipped, set):
                    options.skipped.add(message)
        rows = [index.row for position, index in enumerate(indices) if position not in batch.damaged]
        yield tuple(values.to(options.device, non_blocking=True) for values in (batch.content, files.targets[rows]))


def _batches_of(loader: DataLoader) -> Iterator[_Batch]:
    """Iterate over a loader; a worker that is killed, mostly for lack of memory, is an InputError of one line."""
    try:
        yield from loader
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"a process that reads images has ended ({reason}); give fewer workers, or the machine more (shared) memory"
        ) from error


class _Batch(NamedTuple):
    """A batch as workers return it, in one tensor: each tensor takes a file descriptor, of which there are few."""

    content: Tensor  # images (B, 3, S, S), or the bytes of all files
    damaged: dict[int, str]  # positions in the batch, and why
    sizes: tuple[int, ...] = ()  # of the files, in bytes


class _FileDataset(Dataset):
    """Images by `SeededIndex`: with a transform the image, without one the bytes of its file; or what is wrong."""

    def __init__(self, files: ImageFiles, transform: Transform | None):
        self.files, self.transform = files, transform

    def __getitem__(self, index: SeededIndex) -> Tensor | str:
        try:
            content = torch.from_numpy(np.fromfile(self.files.path(index.row), dtype=np.uint8))
            return content if self.transform is None else _decode_image(content, index, self.transform)
        except (RuntimeError, OSError) as error:
            return _reason(error)


def _decode_image(content: Tensor, index: SeededIndex, transform: Transform) -> Tensor:
    """Decode a file's bytes and transform the image; grey and CMYK images become RGB as Pillow makes them."""
    image = _decoder("decode_image")(content, mode="RGB")
    if image.ndim != 3:
        raise RuntimeError("it holds several images")
    if image.dtype != torch.uint8:
        raise RuntimeError("its channels have 16 bits")
    return _transform_seeded(image, index, transform)


def _decoder(name: str) -> Callable:
    """Return a decoder of torchvision without its warning, from 0.29 on, that TorchCodec will replace it."""
    from torchvision import io

    def decode(*arguments, **keys):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The image decoding", DeprecationWarning)
            return getattr(io, name)(*arguments, **keys)

    return decode


def _transform_seeded(image: Tensor, index: SeededIndex, transform: Transform) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(index.seed)
        return transform(image)


def _collate_images(images: Sequence[Tensor | str]) -> _Batch:
    intact = [image for image in images if not isinstance(image, str)]
    damaged = {position: image for position, image in enumerate(images) if isinstance(image, str)}
    return _Batch(torch.stack(intact) if intact else torch.empty(0), damaged)


def _collate_bytes(contents: Sequence[Tensor | str]) -> _Batch:
    intact = [content for content in contents if not isinstance(content, str)]
    damaged = {position: content for position, content in enumerate(contents) if isinstance(content, str)}
    joined = torch.cat(intact) if intact else torch.empty(0)
    return _Batch(joined, damaged, tuple(len(content) for content in intact))


def _decode_batch(device: torch.device, batch: _Batch, indices: Sequence[SeededIndex], transform: Transform) -> _Batch:
    """Decode a batch of bytes: all files at once, or one by one where the device cannot do that."""
    intact = {position: index for position, index in enumerate(indices) if position not in batch.damaged}
    contents, damaged, images = batch.content.split(batch.sizes), dict(batch.damaged), []
    try:
        decoded = _decoder("decode_jpeg")(list(contents), mode="RGB", device=device) if contents else []
        images = [
            _transform_seeded(image, index, transform) for image, index in zip(decoded, intact.values(), strict=True)
        ]
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # a kind of JPEG that only the CPU decodes, a PNG, a damaged file
        images = []
        for content, (position, index) in zip(contents, intact.items(), strict=True):
            try:
                images.append(_decode_image(content, index, transform).to(device))
            except RuntimeError as error:
                damaged[position] = _reason(error)
    return _Batch(torch.stack(images) if images else torch.empty(0), damaged)


def _reason(error: Exception) -> str:
    """Return what is wrong in a few words, without torchvision's source lines before it and advice behind it."""
    first = re.sub(r"^.*\.cpp:\d+\W*", "", str(error).strip().partition("\n")[0])
    return getattr(error, "strerror", None) or first.partition(". ")[0] or type(error).__name__


def _ignore_signals(worker: int) -> None:
    """Leave a signal for the process group to the parent, whose end the workers notice."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for signum in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(signum, signal.SIG_DFL)
