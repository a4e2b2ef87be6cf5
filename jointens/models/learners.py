"""Base learners by name: `make_learner("CNN", ...)` builds one, with fresh weights from torch's global generator.

The convolutional ones here are those of the authors' sweep, for images of 32×32 pixels; with three channels and ten
classes ResNet18 has 11,173,962 parameters, ResNet34 21,282,122, VGG 14,991,946 and CNN 31,340. Those for ImageNet are
in imagenet_learners.py.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from ..common import InputError
from .imagenet import TIMM, TORCHVISION, check_timm, from_timm, from_torchvision, mobile_vit


def mlp(input_shape: Sequence[int], num_outputs: int, *, width: int, hidden: Sequence[int] = (64, 64, 64)) -> nn.Module:
    """A multi-layer perceptron with ReLU: inputs are flattened, `hidden` holds the widths of its hidden layers."""
    widths = [math.prod(input_shape), *(width * size for size in hidden)]
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], num_outputs))


def cnn(input_shape: Sequence[int], num_outputs: int, *, width: int) -> nn.Module:
    """Two convolutions of 5×5 and two linear layers, with a little dropout: small enough for a CPU."""
    channels, height, wide = input_shape
    first, second, hidden = 10 * width, 20 * width, 50 * width
    left = math.prod(((size - 4) // 2 - 4) // 2 for size in (height, wide))  # pixels after both: 25 of 32×32
    return nn.Sequential(
        nn.Conv2d(channels, first, 5), nn.Dropout2d(0.1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(first, second, 5), nn.Dropout2d(0.1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(second * left, hidden), nn.Dropout(0.1), nn.ReLU(), nn.Linear(hidden, num_outputs),
    )  # fmt: skip


def vgg(input_shape: Sequence[int], num_outputs: int, *, width: int) -> nn.Module:
    """VGG-16 with batch normalisation, dropout between the convolutions of a block, and a small head."""
    channels, height, wide = input_shape
    blocks = [(2, 64, 0.3), (2, 128, 0.4), (3, 256, 0.4), (3, 512, 0.4), (3, 512, 0.4)]  # convolutions, channels, rate
    layers: list[nn.Module] = []
    for depth, size, dropout in blocks:
        for index in range(depth):
            layers += [nn.Conv2d(channels, size * width, 3, padding=1), nn.BatchNorm2d(size * width), nn.ReLU()]
            layers.append(nn.Dropout(dropout) if index < depth - 1 else nn.MaxPool2d(2))
            channels = size * width
    features, hidden = channels * (height // 32) * (wide // 32), 512 * width
    head = [nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), *head, nn.Linear(hidden, num_outputs))


def resnet(depths: Sequence[int], input_shape: Sequence[int], num_outputs: int, *, width: int) -> nn.Module:
    """A ResNet for small images: torchvision's basic blocks behind a 3×3 stem without max-pooling.

    Weights start as PyTorch draws them for each layer, as in the authors' ResNets; torchvision's own start otherwise.
    depths: blocks in each of the four stages.
    """
    from torchvision.models.resnet import BasicBlock, conv1x1, conv3x3  # takes a while to import

    channels = 64 * width
    layers: list[nn.Module] = [conv3x3(input_shape[0], channels), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
    for stage, depth in enumerate(depths):
        size, stride = 64 * width * 2**stage, 2 if stage else 1
        for _ in range(depth):
            changes = stride > 1 or channels != size
            shortcut = nn.Sequential(conv1x1(channels, size, stride), nn.BatchNorm2d(size)) if changes else None
            layers.append(BasicBlock(channels, size, stride, shortcut))
            channels, stride = size, 1
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_outputs))


@dataclass(frozen=True)
class Learner:
    """What is known of a base learner before it is built."""

    build: Callable[..., nn.Module]  # (input_shape, num_outputs, width=, and the options)
    options: tuple[str, ...] = ("width",)  # the keys of an experiment that it takes
    smallest: int | None = None  # images it takes are at least so high and wide, in pixels; None: any input
    channels: int | None = None  # that its images have; None: any number
    multiple: int = 1  # of that many pixels are height and width
    image_size: int | None = None  # on ImageNet, in pixels, if it is another than of the other learners


def _on_imagenet(name: str) -> Learner:
    return Learner(functools.partial(from_torchvision, name), options=(), smallest=32, channels=3)


LEARNERS = {
    "MLP": Learner(mlp, options=("width", "hidden")),
    "CNN": Learner(cnn, smallest=16),
    "ResNet18": Learner(lambda *of, **keys: resnet((2, 2, 2, 2), *of, **keys), smallest=1),
    "ResNet34": Learner(lambda *of, **keys: resnet((3, 4, 6, 3), *of, **keys), smallest=1),
    "VGG": Learner(vgg, smallest=32),
    **{name: _on_imagenet(name) for name in TORCHVISION},
    "MobileViT_IN": Learner(mobile_vit, options=(), smallest=64, channels=3, multiple=64, image_size=256),
}


def known_learner(name: str) -> Learner:
    """What is known of the learner of that name, one of `LEARNERS` or `timm:NAME`; raises InputError for any other."""
    if name.startswith(TIMM):
        return Learner(functools.partial(from_timm, name.removeprefix(TIMM)), options=(), smallest=1)
    if name not in LEARNERS:
        raise InputError(f"unknown base learner {name!r}; known are {', '.join(LEARNERS)} and {TIMM}NAME")
    return LEARNERS[name]


def check_learner(name: str, input_shape: Sequence[int], *, width: int = 1, of: str = "the inputs") -> None:
    """Whether the learner of that name takes inputs of that shape; raises InputError (a ValueError) if not.

    width: the factor of its widths, which only the small ones have.
    of: whose inputs they are, for the message.
    """
    learner, has = known_learner(name), "×".join(map(str, input_shape))
    if width != 1 and "width" not in learner.options:
        raise InputError(f"width is {width}; {name} has fixed widths and allows only 1")
    if learner.smallest and (len(input_shape) != 3 or min(input_shape[1:]) < learner.smallest):
        raise InputError(
            f"base_learner is {name}, which takes images of at least {learner.smallest}×{learner.smallest} pixels; "
            f"{of} has inputs of shape {has}"
        )
    if learner.channels not in (None, input_shape[0]):
        raise InputError(
            f"base_learner is {name}, which takes images of {learner.channels} channels; {of} has inputs of shape {has}"
        )
    if any(size % learner.multiple for size in input_shape[1:]):
        raise InputError(
            f"base_learner is {name}, whose images' sides are multiples of {learner.multiple} pixels; "
            f"{of} has inputs of shape {has}"
        )
    if name.startswith(TIMM):
        check_timm(name.removeprefix(TIMM), tuple(input_shape))


def make_learner(name: str, input_shape: Sequence[int], num_outputs: int, *, width: int = 1, **options) -> nn.Module:
    """One base learner: inputs `(B, *input_shape)` → outputs `(B, num_outputs)`, logits for classification.

    Args:
        name: as in the profiles' `base_learner`.
        input_shape: the shape of one input, without the batch; of an image `(channels, height, width)`.
        num_outputs: classes, or 1 for regression.
        width: all widths, of hidden layers and of convolutions, times this; one learner with `width=M` is what an
            ensemble of M is to be compared with. Learners for ImageNet have none but 1.
        options: what the learner of that name takes (`hidden`, the widths, for MLP).

    Raises:
        InputError: an unknown name, or inputs that the learner does not take; the message lists what is allowed.
    """
    check_learner(name, input_shape, width=width)
    learner = known_learner(name)
    if "width" in learner.options:
        options["width"] = width
    return learner.build(input_shape, num_outputs, **options)
