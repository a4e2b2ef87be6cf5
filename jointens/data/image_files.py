"""Images from their files, in batches: decoded, cropped and flipped by worker processes, or on the GPU.

    rows and draws ── workers: bytes ── decode ── transform ──▶ images (B, 3, S, S), uint8, and targets (B,)

What chance does to an image follows from a number that the batch brings along, not from the worker that reads it: so
an epoch is the same with any number of workers, and can be begun in its midst.
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

# From bytes to images of another size, still uint8: takes `(3, H, W)`.
Transform = Callable[[Tensor], Tensor]


class Reading(NamedTuple):
    """How images are read from files: where and how it runs, not what comes of it."""

    workers: int = 0
    """Processes; 0: none but this one."""
    device: torch.device = torch.device("cpu")
    """Where the images go."""
    decode: str = "cpu"
    """"cpu": by the workers; "gpu": on the device."""
    skip_damaged: bool = False
    skipped: set[str] | frozenset[str] = frozenset()
    """What was left out so far is added here, and told once; nothing is added to a frozen one."""


class At(NamedTuple):
    """One image of a batch."""

    row: int
    draw: int  # seeds what chance does to it


@dataclass(frozen=True)
class Places:
    """The images of an epoch, batch by batch: rows and draws, `(N,)` each."""

    rows: Tensor
    draws: Tensor
    size: int
    """Images in a batch; the last one may have fewer."""

    def __iter__(self) -> Iterator[list[At]]:
        for batch in zip(self.rows.split(self.size), self.draws.split(self.size), strict=True):
            yield [At(int(row), int(draw)) for row, draw in zip(*(of.tolist() for of in batch), strict=True)]

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.size)


def training_transform(size: int) -> Transform:
    """A random part of the image, 8 to 100 % of its area, scaled to `size` pixels, and with even chances a flip."""
    from torchvision.transforms import v2  # takes a while to import

    return v2.Compose([v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()])


def evaluation_transform(size: int) -> Transform:
    """The centre of the image, scaled so that its shorter side is a seventh longer, 256 pixels for 224, but not
    beyond 256: there, and for larger sizes, the centre is all of the shorter side."""
    from torchvision.transforms import v2

    return v2.Compose([v2.Resize(max(size, min(round(size * 8 / 7), 256)), antialias=True), v2.CenterCrop(size)])


def batches(
    files: ImageFiles, places: Iterable[list[At]], transform: Transform, reading: Reading
) -> Iterator[tuple[Tensor, Tensor]]:
    """The images and targets of each batch: `(B, 3, S, S)`, uint8, and `(B,)`, on the device.

    Damaged images are left out if `reading` says so, and a warning names them; so a batch can be smaller, or empty.

    Raises:
        InputError: an image is damaged; the message says which.
    """
    decode_here = reading.decode == "gpu"
    loader = DataLoader(
        _Opened(files, None if decode_here else transform),
        batch_sampler=places,
        num_workers=reading.workers,
        collate_fn=_bytes_together if decode_here else _images_together,
        pin_memory=reading.device.type == "cuda" and not decode_here,
        generator=torch.Generator(),  # or each epoch would draw from the stream that dropout masks come from
        worker_init_fn=_leave_signals,
    )
    for at, batch in zip(places, _living(loader), strict=True):
        if decode_here:
            batch = _decoded_on(reading.device, batch, at, transform)
        for position, reason in batch.damaged.items():
            told = f"{files.path(at[position].row)} is damaged ({reason})"
            if not reading.skip_damaged:
                raise InputError(f"{told}; replace it, or give skip_damaged=true to go on without such images")
            if told not in reading.skipped:
                warnings.warn(f"skipped: {told}", stacklevel=2)
                if isinstance(reading.skipped, set):
                    reading.skipped.add(told)
        rows = [image.row for position, image in enumerate(at) if position not in batch.damaged]
        yield tuple(of.to(reading.device, non_blocking=True) for of in (batch.content, files.targets[rows]))


def _living(loader: DataLoader) -> Iterator[_Batch]:
    """The loader's batches; a worker that is killed, for want of memory as a rule, is told in one line."""
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
    """What workers hand over: one tensor, since each takes a file descriptor, of which there are few."""

    content: Tensor  # images (B, 3, S, S), or the bytes of all files
    damaged: dict[int, str]  # positions in the batch, and why
    sizes: tuple[int, ...] = ()  # of the files, in bytes


class _Opened(Dataset):
    """An image by its place in a batch: its bytes, or if there is a transform the image itself, or what is wrong."""

    def __init__(self, files: ImageFiles, transform: Transform | None):
        self.files, self.transform = files, transform

    def __getitem__(self, at: At) -> Tensor | str:
        try:
            content = torch.from_numpy(np.fromfile(self.files.path(at.row), dtype=np.uint8))
            return content if self.transform is None else _image(content, at, self.transform)
        except (RuntimeError, OSError) as error:
            return _reason(error)


def _image(content: Tensor, at: At, transform: Transform) -> Tensor:
    """A file's bytes → an image; grey and CMYK ones become RGB as Pillow makes them."""
    image = _decoder("decode_image")(content, mode="RGB")
    if image.ndim != 3:
        raise RuntimeError("it holds several images")
    if image.dtype != torch.uint8:
        raise RuntimeError("its channels have 16 bits")
    return _transformed(image, at, transform)


def _decoder(name: str) -> Callable:
    """One of torchvision's, without its warning from 0.29 on that TorchCodec, which few have yet, will replace it."""
    from torchvision import io

    def decode(*arguments, **keys):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The image decoding", DeprecationWarning)
            return getattr(io, name)(*arguments, **keys)

    return decode


def _transformed(image: Tensor, at: At, transform: Transform) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(at.draw)
        return transform(image)


def _images_together(images: Sequence[Tensor | str]) -> _Batch:
    whole = [image for image in images if not isinstance(image, str)]
    damaged = {position: image for position, image in enumerate(images) if isinstance(image, str)}
    return _Batch(torch.stack(whole) if whole else torch.empty(0), damaged)


def _bytes_together(contents: Sequence[Tensor | str]) -> _Batch:
    whole = [content for content in contents if not isinstance(content, str)]
    damaged = {position: content for position, content in enumerate(contents) if isinstance(content, str)}
    together = torch.cat(whole) if whole else torch.empty(0)
    return _Batch(together, damaged, tuple(len(content) for content in whole))


def _decoded_on(device: torch.device, batch: _Batch, at: Sequence[At], transform: Transform) -> _Batch:
    """The images of a batch of bytes: decoded all at once, or one by one where the device cannot do that."""
    places = {position: place for position, place in enumerate(at) if position not in batch.damaged}
    contents, damaged, images = batch.content.split(batch.sizes), dict(batch.damaged), []
    try:
        decoded = _decoder("decode_jpeg")(list(contents), mode="RGB", device=device) if contents else []
        images = [_transformed(*of, transform) for of in zip(decoded, places.values(), strict=True)]
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # a kind of JPEG that only the CPU knows, a PNG, a damaged file
        images = []
        for content, (position, place) in zip(contents, places.items(), strict=True):
            try:
                images.append(_image(content, place, transform).to(device))
            except RuntimeError as error:
                damaged[position] = _reason(error)
    return _Batch(torch.stack(images) if images else torch.empty(0), damaged)


def _reason(error: Exception) -> str:
    """What is wrong; torchvision tells before it in which line of which of its sources it was found, and more after."""
    first = re.sub(r"^.*\.cpp:\d+\W*", "", str(error).strip().partition("\n")[0])
    return getattr(error, "strerror", None) or first.partition(". ")[0] or type(error).__name__


def _leave_signals(worker: int) -> None:
    """A signal for the whole process group is for the parent, whose end the workers notice."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for signum in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(signum, signal.SIG_DFL)
