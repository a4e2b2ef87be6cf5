"""Build the base learners of the authors' ImageNet experiment, and models of timm by name.

With 1,000 classes ResNet18_IN has 11,689,512 parameters, ResNet34_IN 21,797,672, SqueezeNet_IN 1,235,496, DenseNet_IN
7,978,856, ShuffleNet_IN 2,278,604, MobileNet_IN 2,542,856 and MobileViT_IN 2,382,944. All start from scratch, with
weights as their library draws them.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence

import torch
from torch import nn

from ..common import InputError

TIMM = "timm:"  # prefix of timm's model names

TORCHVISION = {
    "ResNet18_IN": "resnet18",
    "ResNet34_IN": "resnet34",
    "SqueezeNet_IN": "squeezenet1_1",
    "DenseNet_IN": "densenet121",
    "ShuffleNet_IN": "shufflenet_v2_x1_0",
    "MobileNet_IN": "mobilenet_v3_small",
}


def from_torchvision(name: str, input_shape: Sequence[int], num_outputs: int) -> nn.Module:
    """Build one of `TORCHVISION`, for colour images."""
    from torchvision import models  # takes a while to import

    return getattr(models, TORCHVISION[name])(num_classes=num_outputs)


def mobile_vit(input_shape: Sequence[int], num_outputs: int) -> nn.Module:
    """Build MobileViT as the authors do, about the size XS; images are squares of a multiple of 64 pixels.

    Raises:
        InputError: vit-pytorch is not installed.
    """
    try:
        from vit_pytorch.mobile_vit import MobileViT
    except ImportError as error:
        raise InputError("base_learner is MobileViT_IN, which needs the package vit-pytorch; it is not here") from error
    channels = [16, 32, 48, 48, 64, 64, 80, 80, 96, 96, 384]
    return MobileViT(image_size=input_shape[1:], dims=[96, 120, 144], channels=channels, num_classes=num_outputs)


def from_timm(name: str, input_shape: Sequence[int], num_outputs: int) -> nn.Module:
    """Build the model of timm of that name for images of a shape.

    Raises:
        InputError: timm does not have it or is not installed, or the model does not take such images.
    """
    try:
        import timm
    except ImportError as error:
        raise InputError(f"base_learner is {TIMM}{name}, which needs the package timm; it is not here") from error
    if not timm.is_model(name):
        near = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0))
        raise InputError(f"base_learner is {TIMM}{name}, a name that timm does not know; the nearest are {near}")
    channels, *size = input_shape
    config = timm.get_pretrained_cfg(name)
    sized = {"img_size": tuple(size)} if config and config.fixed_input_size else {}
    try:
        return timm.create_model(name, num_classes=num_outputs, in_chans=channels, **sized)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        shape = "×".join(map(str, input_shape))
        raise InputError(f"base_learner is {TIMM}{name}, which does not take images of {shape}: {error}") from error


@functools.lru_cache(maxsize=64)
def check_timm(name: str, input_shape: tuple[int, ...], num_outputs: int) -> None:
    """Check that timm has a model of that name and that it takes such images; raises InputError if not."""
    with torch.device("meta"), torch.no_grad():  # shapes alone
        learner = from_timm(name, input_shape, num_outputs).eval()
        try:
            outputs = learner(torch.zeros(2, *input_shape))
            fault = None if outputs.shape == (2, num_outputs) else f"it gives {tuple(outputs.shape)}"
        except Exception as error:  # of many kinds, from a shape that does not fit to an operation without shapes
            fault = str(error).partition("\n")[0] or type(error).__name__
    if fault:
        shape = "×".join(map(str, input_shape))
        raise InputError(f"base_learner is {TIMM}{name}, which does not take images of {shape}: {fault}")
