"""Build base learners by name, `make_learner("CNN", ...)`, with fresh weights from torch's global generator.

Parameters for images of 32×32 pixels with three channels, and ten classes:

    ResNet18 11,173,962    ResNet34 21,282,122    VGG 14,991,946    CNN 31,340    of the authors' sweep
    ResNet8 78,042                                                                small enough for a CPU

Learners for ImageNet are in imagenet.py, functions of the user's own in own_learner.py.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from ..common import IMPORT, InputError, load_function
from .imagenet import TIMM, TORCHVISION, check_timm, from_timm, from_torchvision, mobile_vit
from .own_learner import check_own, from_own
from .scaled_learner import scaled_mlp, shared_names

# With fewer, torch's 1×1 convolution of stride 2 writes beyond its memory on a CPU with AVX2 (torch 2.15).
LEAST_RESNET_CHANNELS = 8


def _scaled(size: int, width: float, least: int = 1) -> int:
    """Scale a number of units or channels by the factor `width`."""
    return max(least, round(size * width))


def mlp(
    input_shape: Sequence[int], num_outputs: int, *, width: float, hidden: Sequence[int] = (64, 64, 64)
) -> nn.Module:
    """Build a multi-layer perceptron with ReLU on flattened inputs; `hidden` holds the widths of its hidden layers."""
    widths = [math.prod(input_shape), *(_scaled(size, width) for size in hidden)]
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], num_outputs))


def cnn(input_shape: Sequence[int], num_outputs: int, *, width: float) -> nn.Module:
    """Build two convolutions of 5×5 and two linear layers, with a little dropout: small enough for a CPU."""
    channels, height, wide = input_shape
    first, second, hidden = (_scaled(size, width) for size in (10, 20, 50))
    left = math.prod(((size - 4) // 2 - 4) // 2 for size in (height, wide))  # pixels after both: 25 of 32×32
    return nn.Sequential(
        nn.Conv2d(channels, first, 5), nn.Dropout2d(0.1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(first, second, 5), nn.Dropout2d(0.1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(second * left, hidden), nn.Dropout(0.1), nn.ReLU(), nn.Linear(hidden, num_outputs),
    )  # fmt: skip


def vgg(input_shape: Sequence[int], num_outputs: int, *, width: float) -> nn.Module:
    """Build VGG-16 with batch normalisation, dropout between the convolutions of a block, and a small head."""
    channels, height, wide = input_shape
    blocks = [(2, 64, 0.3), (2, 128, 0.4), (3, 256, 0.4), (3, 512, 0.4), (3, 512, 0.4)]  # convolutions, channels, rate
    layers: list[nn.Module] = []
    for depth, unscaled, dropout in blocks:
        size = _scaled(unscaled, width)
        for index in range(depth):
            layers += [nn.Conv2d(channels, size, 3, padding=1), nn.BatchNorm2d(size), nn.ReLU()]
            layers.append(nn.Dropout(dropout) if index < depth - 1 else nn.MaxPool2d(2))
            channels = size
    features, hidden = channels * (height // 32) * (wide // 32), _scaled(512, width)
    head = [nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), *head, nn.Linear(hidden, num_outputs))


def resnet(
    channels: int,
    depths: Sequence[int],
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    width: float,
    stem_stride: int = 1,
) -> nn.Module:
    """Build a ResNet for small images: torchvision's basic blocks behind a 3×3 stem without max-pooling.

    Weights are PyTorch's defaults for each layer, as in the authors' ResNets; torchvision's own ResNets differ there.
    The benchmark MLPerf Tiny has a network of the size of ResNet8; its convolutions have biases and its shortcuts no
    batch normalisation, and with the running statistics it is counted as 78,666 parameters.

    Args:
        channels: of the stem and of the first stage; they double from stage to stage.
        depths: blocks in each stage.
        input_shape: shape of one image, `(channels, height, width)`.
        num_outputs: classes.
        width: factor of all channels, of which a layer has at least 8.
        stem_stride: stride of the stem: with 2 all later images are half as high and wide, for a quarter of the work.
    """
    from torchvision.models.resnet import BasicBlock, conv1x1, conv3x3  # takes a while to import

    inside = _scaled(channels, width, LEAST_RESNET_CHANNELS)
    layers: list[nn.Module] = [conv3x3(input_shape[0], inside, stem_stride), nn.BatchNorm2d(inside)]
    layers.append(nn.ReLU(inplace=True))
    for stage, depth in enumerate(depths):
        size, stride = _scaled(channels * 2**stage, width, LEAST_RESNET_CHANNELS), 2 if stage else 1
        for _ in range(depth):
            changes = stride > 1 or inside != size
            shortcut = nn.Sequential(conv1x1(inside, size, stride), nn.BatchNorm2d(size)) if changes else None
            layers.append(BasicBlock(inside, size, stride, shortcut))
            inside, stride = size, 1
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, num_outputs))


@dataclass(frozen=True)
class Learner:
    """A base learner before it is built."""

    build: Callable[..., nn.Module]  # (input_shape, num_outputs, and the options by name)
    options: tuple[str, ...] = ("width",)  # the keys of an experiment that `build` takes
    smallest: int | None = None  # least height and width of its images, in pixels; None: any input
    channels: int | None = None  # of its images; None: any number
    multiple: int = 1  # height and width are multiples of it, in pixels
    image_size: int | None = None  # on ImageNet, in pixels, if it differs from the data set's
    check: Callable[[tuple[int, ...], int], None] | None = None  # raises InputError for (input_shape, num_outputs)
    source: str | None = None  # fingerprint of the source of the user's function
    shared: Callable[[nn.Module], list[str]] | None = None  # names of the parameters that all learners share


def _on_imagenet(name: str) -> Learner:
    return Learner(functools.partial(from_torchvision, name), options=(), smallest=32, channels=3)


def _resnet(channels: int, depths: Sequence[int]) -> Learner:
    return Learner(functools.partial(resnet, channels, depths), options=("width", "stem_stride"), smallest=1)


LEARNERS = {
    "MLP": Learner(mlp, options=("width", "hidden")),
    "CNN": Learner(cnn, smallest=16),
    "ResNet8": _resnet(16, (1, 1, 1)),
    "ResNet18": _resnet(64, (2, 2, 2, 2)),
    "ResNet34": _resnet(64, (3, 4, 6, 3)),
    "VGG": Learner(vgg, smallest=32),
    "TabM": Learner(scaled_mlp, options=("width", "hidden"), shared=shared_names),
    **{name: _on_imagenet(name) for name in TORCHVISION},
    "MobileViT_IN": Learner(mobile_vit, options=(), smallest=64, channels=3, multiple=64, image_size=256),
}


def known_learner(name: str) -> Learner:
    """Look up a base learner by name: one of `LEARNERS`, `timm:NAME` or `import:MODULE:FUNCTION`.

    Raises:
        InputError: an unknown name, or a function that cannot be imported.
    """
    if name.startswith(TIMM):
        model = name.removeprefix(TIMM)
        check = functools.partial(check_timm, model)
        return Learner(functools.partial(from_timm, model), options=(), smallest=1, check=check)
    if name.startswith(IMPORT):
        source = load_function(name)
        check = functools.partial(check_own, source)
        return Learner(functools.partial(from_own, source), options=(), check=check, source=source.fingerprint)
    if name not in LEARNERS:
        known = ", ".join(LEARNERS)
        raise InputError(f"unknown base learner {name!r}; known are {known}, {TIMM}NAME, {IMPORT}MODULE:FUNCTION")
    return LEARNERS[name]


def check_learner(
    name: str,
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    width: float = 1,
    stem_stride: int = 1,
    data_name: str = "the inputs",
) -> None:
    """Check that a base learner takes inputs of a shape.

    Args:
        name: as in the profiles' `base_learner`.
        input_shape: the shape of one input, without the batch.
        num_outputs: classes, or 1 for regression.
        width: factor of all widths, which only the learners for small inputs have.
        stem_stride: stride of the first convolution, which only the ResNets for small images have.
        data_name: what the inputs belong to, for the message.

    Raises:
        InputError: it does not; the message says what it takes.
    """
    learner, shape = known_learner(name), "×".join(map(str, input_shape))
    if width != 1 and "width" not in learner.options:
        raise InputError(f"width is {width}; {name} has fixed widths and allows only 1")
    if stem_stride != 1 and "stem_stride" not in learner.options:
        having = ", ".join(known for known, other in LEARNERS.items() if "stem_stride" in other.options)
        raise InputError(f"stem_stride is {stem_stride}; {name} allows only 1, {having} allow others")
    if learner.smallest and (len(input_shape) != 3 or min(input_shape[1:]) < learner.smallest):
        raise InputError(
            f"base_learner is {name}, which takes images of at least {learner.smallest}×{learner.smallest} pixels; "
            f"{data_name} has inputs of shape {shape}"
        )
    if learner.channels not in (None, input_shape[0]):
        raise InputError(
            f"base_learner is {name}, which takes images of {learner.channels} channels; {data_name} has inputs of "
            f"shape {shape}"
        )
    if any(size % learner.multiple for size in input_shape[1:]):
        raise InputError(
            f"base_learner is {name}, whose images' sides are multiples of {learner.multiple} pixels; "
            f"{data_name} has inputs of shape {shape}"
        )
    if learner.check:
        learner.check(tuple(input_shape), num_outputs)


def make_learner(
    name: str, input_shape: Sequence[int], num_outputs: int, *, width: float = 1, stem_stride: int = 1, **options
) -> nn.Module:
    """Build one base learner: inputs `(B, *input_shape)` → outputs `(B, num_outputs)`, logits for classification.

    Args:
        name: as in the profiles' `base_learner`.
        input_shape: the shape of one input, without the batch; for an image `(channels, height, width)`.
        num_outputs: classes, or 1 for regression.
        width: factor of all widths, of hidden layers and of convolutions; one learner with `width=M` is what an
            ensemble of M is to be compared with. Learners for ImageNet have none but 1.
        stem_stride: stride of the first convolution of ResNet8, ResNet18 and ResNet34.
        options: what the learner of that name takes (`hidden`, the widths, for MLP).

    Raises:
        InputError: an unknown name, or inputs that the learner does not take; the message lists what is allowed.
    """
    scale = {"width": width, "stem_stride": stem_stride}
    check_learner(name, input_shape, num_outputs, **scale)
    learner = known_learner(name)
    options |= {option: value for option, value in scale.items() if option in learner.options}
    return learner.build(input_shape, num_outputs, **options)
