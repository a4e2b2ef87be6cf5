"""Many learners as one tensor program: their weights have leading axes `(M, ...)` or `(R, M, ...)`.

    weights (M, ...)       inputs (B, ...)       → outputs (M, B, K)
    weights (R, M, ...)    inputs (R, B, ...)    → outputs (R, M, B, K)        runs=True

`forward_any` takes every learner whose forward `torch.func.vmap` understands. `forward_perceptrons` writes out the
matrix products of multi-layer perceptrons, because that is where small sweeps spend their time: a training step takes
about two thirds of the time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap


def forward_any(learner: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor, *, runs: bool) -> Tensor:
    """`learner` with each of the stacked weights, on the inputs of their run."""

    def one(own: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(learner, own, (x,))

    over_learners = vmap(one, in_dims=(0, None), randomness="different")  # → (M, B, K)
    over_runs = vmap(over_learners, in_dims=(0, 0), randomness="different")  # → (R, M, B, K)
    return (over_runs if runs else over_learners)(weights, inputs)


def perceptron_layers(learner: nn.Module) -> list[str] | None:
    """The names of its linear layers if it is what `learners.mlp` builds and nothing else, or None.

    That is: Flatten, then Linear and ReLU in turn, a Linear last; no weights used twice, no hooks, no changed forward.
    """
    if type(learner) is not nn.Sequential or len(learner) < 2:
        return None
    (_, flatten), *layers = learner.named_children()
    alternating = [(nn.Linear, nn.ReLU)[index % 2] for index in range(len(learner) - 1)]
    tensors = [tensor for _, layer in layers for tensor in layer.parameters()]
    fits = (
        type(flatten) is nn.Flatten
        and (flatten.start_dim, flatten.end_dim) == (1, -1)
        and [type(layer) for _, layer in layers] == alternating
        and alternating[-1] is nn.Linear
        and len({id(tensor) for tensor in tensors}) == len(tensors) == len(list(learner.parameters()))
        and not any(map(_does_more, learner.modules()))
    )
    return [name for name, layer in layers if type(layer) is nn.Linear] if fits else None


def _does_more(module: nn.Module) -> bool:
    """Whether calling the module does more than its class says: hooks, or a forward of its own."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return "forward" in vars(module) or any(getattr(module, name) for name in hooks)


def forward_perceptrons(layers: Sequence[str], weights: Mapping[str, Tensor], inputs: Tensor, *, runs: bool) -> Tensor:
    """All learners' linear layers as batched products W h, with the batch as the *last* axis.

    layers: the names of the linear layers, as `perceptron_layers` gives them.

    That order pays: the learners of a run share their input without a copy, as one tall matrix `(M·H, fan_in)`; no
    gradient has to be transposed to fit its weight; and bias and ReLU are written into the product in place.
    """
    h = (inputs if runs else inputs.unsqueeze(0)).flatten(2).mT  # (R, fan_in, B)
    for name in layers:
        weight, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias")  # (R, M, H, fan_in), (R, M, H)
        *lead, width, fan_in = weight.shape
        h = torch.bmm(weight.reshape(len(h), -1, fan_in), h)  # R tall products at first, then R·M
        if bias is not None:
            h = h.add_(bias.reshape(len(h), -1, 1))
        if name != layers[-1]:
            h = h.relu_()
        h = h.reshape(math.prod(lead), width, h.shape[-1])  # (R·M, H, B)
    return h.reshape(*lead, *h.shape[1:]).mT  # (R, M, K, B) → (R, M, B, K)
