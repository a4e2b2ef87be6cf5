"""A perceptron whose ensemble shares its weights: learners differ in scalings, biases and output layers alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class ScaledLinear(nn.Module):
    """A linear layer whose inputs and outputs are scaled one by one: `s * (W @ (r * x)) + b`.

    In a `SharedEnsemble` the weight W is that of all learners; r, s and b are each learner's own (BatchEnsemble, Wen et
    al. 2020). Weight and bias are initialised as in `torch.nn.Linear`, s with ones.

    Args:
        fan_in: size of the inputs.
        fan_out: size of the outputs.
        random_signs: initialise r with random signs, as in the first layer of TabM, and not with ones.
    """

    def __init__(self, fan_in: int, fan_out: int, *, random_signs: bool = False):
        super().__init__()
        plain = nn.Linear(fan_in, fan_out)
        signs = 2.0 * torch.randint(2, (fan_in,)) - 1
        self.weight, self.bias = plain.weight, plain.bias
        self.input_scale = nn.Parameter(signs if random_signs else torch.ones(fan_in))
        self.output_scale = nn.Parameter(torch.ones(fan_out))

    def forward(self, x: Tensor) -> Tensor:
        return linear(x * self.input_scale, self.weight) * self.output_scale + self.bias


def scaled_mlp(
    input_shape: Sequence[int], num_outputs: int, *, width: float, hidden: Sequence[int] = (64, 64, 64)
) -> nn.Module:
    """Build a perceptron of `ScaledLinear` layers with ReLU, and a plain output layer, which is not shared.

    Args:
        input_shape: shape of one input, which is flattened.
        num_outputs: classes, or 1 for regression.
        width: factor of the hidden widths.
        hidden: widths of the hidden layers.
    """
    widths = [math.prod(input_shape), *(max(1, round(size * width)) for size in hidden)]
    layers: list[nn.Module] = [nn.Flatten()]
    for index, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        layers += [ScaledLinear(fan_in, fan_out, random_signs=index == 0), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], num_outputs))


def shared_names(learner: nn.Module) -> list[str]:
    """List the names of the parameters that learners share: the weights of the `ScaledLinear` layers."""
    modules = learner.named_modules()
    return [f"{name}.weight".removeprefix(".") for name, module in modules if isinstance(module, ScaledLinear)]
