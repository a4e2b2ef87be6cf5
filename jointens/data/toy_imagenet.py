"""Draw a small ImageNet: twelve classes of coloured shapes and textures, in Kaggle's layout.

Everything that reads ImageNet can be tried with it in a minute. Each image shows a disc or a cross, stripes or a
chequerboard, in shades of red, green or blue, of any size, turned and placed at random, over soft colours, with noise.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor

from ..common import InputError, generator, whole_folder
from .imagenet import IMAGES, INDEX, LABELS, ImageFiles, read_folders

COLOURS, FORMS = ("red", "green", "blue"), ("disc", "cross", "stripes", "chequerboard")
CLASSES = tuple(f"{colour}_{form}" for form in FORMS for colour in COLOURS)
NUM_TRAIN, NUM_VAL = 960, 240  # images, of all classes together
SIDE = 80  # pixels
QUALITY = 90  # of the JPEG files


def read_toy_imagenet(root: Path, num_classes: int = len(CLASSES)) -> tuple[ImageFiles, ImageFiles]:
    """List the training and validation images, which are drawn into `root/toy-imagenet` if they are not there.

    Raises:
        InputError: the folder cannot be written, or what is there is not what was drawn.
    """
    folder = root / "toy-imagenet"
    if not folder.exists():
        try:
            with whole_folder(folder) as new_folder:
                _draw_all(new_folder)
        except OSError as error:
            if not (folder / INDEX).exists():  # nor was another process faster
                raise InputError(f"cannot draw toy-imagenet in {folder}: {error.strerror}") from error
    return read_folders(folder, num_classes)


def _draw_all(folder: Path) -> None:
    from PIL import Image

    wnids = [f"t{number:08}" for number in range(len(CLASSES))]
    (folder / IMAGES / "val").mkdir(parents=True)
    for wnid in wnids:
        (folder / IMAGES / "train" / wnid).mkdir(parents=True)
    labels = {}
    rng = generator(0, "toy-imagenet")
    for number in range(NUM_TRAIN + NUM_VAL):
        kind = number % len(CLASSES)
        if number < NUM_TRAIN:
            name = f"train/{wnids[kind]}/{wnids[kind]}_{number:04}.JPEG"
        else:
            name = f"val/toy_val_{number - NUM_TRAIN:04}.JPEG"
            labels[Path(name).name] = wnids[kind]
        image = draw(kind, rng).permute(1, 2, 0).numpy()
        Image.fromarray(image).save(folder / IMAGES / name, quality=QUALITY)
    index = {number: [wnid, word] for number, (wnid, word) in enumerate(zip(wnids, CLASSES, strict=True))}
    for file, content in {INDEX: index, LABELS: labels}.items():
        (folder / file).write_text(json.dumps(content), encoding="utf-8")


def draw(kind: int, rng: torch.Generator) -> Tensor:
    """Draw an image of class `kind`, a row of `CLASSES`; returns `(3, SIDE, SIDE)`, uint8."""
    form, colour = divmod(kind, len(COLOURS))

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=rng).item()

    angle, size = uniform(0, 2 * math.pi), uniform(0.3, 0.45) * SIDE
    x, y = (uniform(size, SIDE - size) for _ in range(2))
    rows, columns = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    across = ((columns - x) * math.cos(angle) + (rows - y) * math.sin(angle)) / size
    along = ((rows - y) * math.cos(angle) - (columns - x) * math.sin(angle)) / size
    shown = _mask(FORMS[form], across, along)
    own = torch.tensor([uniform(0.0, 0.45) for _ in COLOURS])  # that channel is the brightest, in nearly all images
    own[colour] = uniform(0.4, 1.0)
    # From one colour in each corner to the others, half as bright.
    corners = torch.rand(1, 3, 2, 2, generator=rng)
    around = torch.nn.functional.interpolate(corners, size=(SIDE, SIDE), mode="bilinear", align_corners=True)[0]
    image = torch.where(shown, own.view(3, 1, 1), 0.3 + 0.4 * around)
    image = image + 0.04 * torch.randn(image.shape, generator=rng)
    return (255 * image.clamp(0, 1)).round().byte()


def _mask(form: str, across: Tensor, along: Tensor) -> Tensor:
    """Mark the pixels with the colour of the class: `(SIDE, SIDE)`, as the coordinates are, in units of the size."""
    if form == "disc":
        return across**2 + along**2 < 0.9
    if form == "cross":
        return (torch.minimum(across.abs(), along.abs()) < 0.3) & (torch.maximum(across.abs(), along.abs()) < 1)
    stripes = (4 * across).sin() > 0
    return stripes if form == "stripes" else stripes ^ ((4 * along).sin() > 0)
