"""Base learners by name: `make_learner("MLP", ...)` builds one, with fresh weights from torch's global generator."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from torch import nn

from .errors import InputError


def mlp(input_shape: Sequence[int], num_outputs: int, *, hidden: Sequence[int] = (64, 64, 64)) -> nn.Module:
    """A multi-layer perceptron with ReLU: inputs are flattened, `hidden` holds the widths of its hidden layers."""
    widths = [math.prod(input_shape), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], num_outputs))


LEARNERS: dict[str, Callable[..., nn.Module]] = {"MLP": mlp}


def make_learner(name: str, input_shape: Sequence[int], num_outputs: int, **options) -> nn.Module:
    """One base learner: inputs `(B, *input_shape)` → outputs `(B, num_outputs)`, logits for classification.

    Args:
        name: as in the profiles' `base_learner`.
        input_shape: the shape of one input, without the batch.
        num_outputs: classes, or 1 for regression.
        options: what the learner of that name takes (`hidden`, the widths, for MLP).

    Raises:
        InputError: an unknown name; the message lists the known ones.
    """
    if name not in LEARNERS:
        raise InputError(f"unknown base learner {name!r}; known are {', '.join(LEARNERS)}")
    return LEARNERS[name](input_shape, num_outputs, **options)
