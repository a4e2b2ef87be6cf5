"""Evaluate many learners as one tensor program: weights have leading axes `(M, ...)` or `(R, M, ...)`.

    weights (M, ...)       inputs (B, ...)       → outputs (M, B, K)
    weights (R, M, ...)    inputs (R, B, ...)    → outputs (R, M, B, K)        runs=True

`forward_any` takes every learner whose forward `torch.func.vmap` supports. `forward_chain` evaluates plain chains of
layers, multi-layer perceptrons and small convolutional nets (see `chain_layers`): a training step of small perceptrons
takes about two thirds of the time, one of the convolutional learner half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import conv2d

Layers = Sequence[tuple[str, nn.Module]]  # by name, in the order in which they are evaluated

# On a CPU images are evaluated in pieces of so many examples that the first convolution, if its output were as large as
# its input, would return this many numbers: 16 MB. The results of a piece stay in the cache and its memory is reused;
# larger blocks come anew from the operating system each time, page by page. Without gradients that halves the time.
PIECE = 2**22


def tensors_of(learner: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and buffers by name, those that are used twice once."""
    return {**dict(learner.named_parameters()), **dict(learner.named_buffers())}


def forward_any(learner: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor, *, runs: bool) -> Tensor:
    """Evaluate `learner` with each of the stacked weights, on the inputs of their run."""

    def call(own: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(learner, own, (x,))

    over_learners = vmap(call, in_dims=(0, None), randomness="different")  # → (M, B, K)
    over_runs = vmap(over_learners, in_dims=(0, 0), randomness="different")  # → (R, M, B, K)
    return (over_runs if runs else over_learners)(weights, inputs)


def chain_layers(learner: nn.Module) -> list[tuple[str, nn.Module]] | None:
    """Return the layers by name if the learner is a chain that `forward_chain` can evaluate, else None.

    A chain is an `nn.Sequential` of layers on images, if any, Conv2d first; then Flatten; then layers on features,
    Linear last, and first where there are no images. No weights used twice, no hooks, no changed forward.

    Dropout2d is moved behind the MaxPool2d and ReLU that follow it: it scales channels by factors that are not
    negative, which commutes with both, and behind the pooling there are fewer pixels to scale.
    """
    if type(learner) is not nn.Sequential:
        return None
    layers = list(learner.named_children())
    kinds = [type(layer) for _, layer in layers]
    at = kinds.index(nn.Flatten) if nn.Flatten in kinds else 0
    images, features = kinds[:at], kinds[at + 1 :]
    tensors = [tensor for _, layer in layers for tensor in layer.parameters()]
    fits = (
        nn.Flatten in kinds
        and set(images) <= {nn.Conv2d, nn.Dropout, nn.Dropout2d, nn.MaxPool2d, nn.ReLU}
        and set(features) <= {nn.Linear, nn.Dropout, nn.ReLU}
        and (images or features)[:1] == [nn.Conv2d if images else nn.Linear]
        and features[-1:] == [nn.Linear]
        and len(layers) == len(learner)  # named_children gives a layer that is used twice but once
        and len({id(tensor) for tensor in tensors}) == len(tensors) == len(list(learner.parameters()))
        and all(_is_common(layer) for _, layer in layers)
        and not any(map(does_more, learner.modules()))
    )
    if not fits:
        return None
    for index, _ in enumerate(layers[:-1]):
        here, following = (type(layer) for _, layer in layers[index : index + 2])
        if here is nn.Dropout2d and following in (nn.MaxPool2d, nn.ReLU):
            layers[index], layers[index + 1] = layers[index + 1], layers[index]
    return layers


def _is_common(layer: nn.Module) -> bool:
    """Check that a layer's options are those that `forward_chain` supports; strides, paddings and sizes are free."""
    if type(layer) is nn.Flatten:
        return (layer.start_dim, layer.end_dim) == (1, -1)
    if type(layer) is nn.Conv2d:
        return layer.groups == 1 and layer.dilation in (1, (1, 1)) and layer.padding_mode == "zeros"
    if type(layer) is nn.MaxPool2d:
        return not layer.return_indices
    return type(layer) is nn.ReLU or not getattr(layer, "inplace", False)


HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")  # that a call runs


def hooks_of(module: nn.Module) -> list[Callable]:
    """Return the hooks that a call of the module runs."""
    return [hook for kind in HOOKS for hook in getattr(module, kind).values()]


def does_more(module: nn.Module) -> bool:
    """Check for hooks, or a forward of the module's own, with which a call does more than the class says."""
    return "forward" in vars(module) or any(getattr(module, kind) for kind in HOOKS)


class Chain:
    """The layers of a learner that is a chain, as they are now: whoever reaches them may replace one, or hook it.

    Args:
        learner: whose layers to follow. `chain_layers` takes a while and is asked anew only where something changed.
    """

    def __init__(self, learner: nn.Module):
        self._learner = learner
        self._look()

    def __reduce__(self):
        return Chain, (self._learner,)

    def layers(self) -> Layers | None:
        """Return what `chain_layers` returns."""
        if self._layers is None or self._has_changed():
            self._look()
        return self._layers

    def _look(self) -> None:
        self._layers, self._children = chain_layers(self._learner), _children(self._learner)
        modules = [self._learner, *self._learner.children()]
        self._own = [vars(module) for module in modules]
        self._hooks = [own[kind] for own in self._own for kind in HOOKS]
        self._with_options = [module for module in modules if type(module) not in (nn.Linear, nn.ReLU, nn.Sequential)]

    def _has_changed(self) -> bool:
        return (
            _children(self._learner) != self._children
            or any(self._hooks)
            or any("forward" in own for own in self._own)
            or not all(map(_is_common, self._with_options))
        )


def _children(learner: nn.Module) -> list[tuple[str, nn.Module, type]]:
    return [(name, module, type(module)) for name, module in learner._modules.items()]


def chain_weights(layers: Layers) -> dict[str, Tensor]:
    """Return the weights of a chain's layers by name."""
    own = [(name, layer._parameters) for name, layer in layers]
    return {f"{name}.{key}": value for name, slots in own for key, value in slots.items() if value is not None}


def forward_chain(layers: Layers, weights: Mapping[str, Tensor], inputs: Tensor, *, runs: bool) -> Tensor:
    """Evaluate all learners' layers at once: grouped convolutions, then products W h with the batch as the *last* axis.

    Args:
        layers: from `chain_layers`. Their training mode is used, their weights are not.
        weights: by name, `(M, ...)` or `(R, M, ...)`.
        inputs: `(B, ...)` or `(R, B, ...)`.
        runs: the axis R is there.

    The batch is last for speed: the learners of a run share their input without a copy, as one tall matrix
    `(M·H, fan_in)`; no gradient has to be transposed to fit its weight; bias and ReLU are written in place.
    """
    inputs = inputs if runs else inputs.unsqueeze(0)  # (R, B, ...)
    at = [type(layer) for _, layer in layers].index(nn.Flatten)
    h = _image_features(layers[:at], weights, inputs) if at else inputs.flatten(2).mT  # (R, M·F, B) or (R, fan_in, B)
    before = nn.Flatten
    for name, layer in layers[at + 1 :]:
        if type(layer) is nn.Linear:
            weight, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias")  # (R, M, H, fan_in), (R, M, H)
            fan_in = weight.shape[-1]
            h = h.reshape(h.shape[0] * h.shape[1] // fan_in, fan_in, h.shape[2])
            h = torch.bmm(weight.reshape(len(h), -1, fan_in), h)  # R tall products of shared inputs, R·M of others
            if bias is not None:
                h = h.add_(bias.reshape(len(h), -1, 1))
        else:
            h = _without_weights(layer, h, before)
        before = type(layer)
    return h.reshape(*weight.shape[:-1], h.shape[2]).mT  # (R, M, K, B) → (R, M, B, K)


def _image_features(layers: Layers, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Evaluate the layers before Flatten on images `(R, B, C, H, W)`; returns features `(R, M·F, B)`.

    On a CPU run by run and in pieces of the batch, see PIECE; a GPU is busy only with all of them at once.
    """
    own = {  # (R, M·O, C, k, k) and (R, M·O): the learners of a run on the axis of the channels
        name: weights[name].reshape(len(images), -1, *(weights[name].shape[-3:] if name.endswith("weight") else ()))
        for name in chain_weights(layers)
    }
    if images.device.type != "cpu":
        return _convolved(layers, own, images)
    channels = max(next(iter(own.values())).shape[1], images.shape[2])
    pieces = max(1, math.ceil(channels * images[0, :, 0].numel() / PIECE))
    weights_of_runs = [
        dict(zip(own, values, strict=True)) for values in zip(*(v.split(1) for v in own.values()), strict=True)
    ]
    features = [
        torch.cat([_convolved(layers, run_weights, piece) for piece in run.chunk(pieces, dim=1)], dim=2)
        for run_weights, run in zip(weights_of_runs, images.split(1), strict=True)
    ]
    return torch.cat(features)


def _convolved(layers: Layers, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Evaluate layers on images `(R, B, C, H, W)`, with the channels of all learners adjacent; returns `(R, M·F, B)`.

    Activations are `(B, R·M·C, H, W)`, channels last in memory. The first convolution has R groups, since the learners
    of a run share its input: without runs it is one plain convolution. The later ones have R·M.
    """
    h = images.transpose(0, 1).flatten(1, 2)  # (B, R·C, H, W)
    h = h.clone(memory_format=torch.channels_last)  # `contiguous` would leave a single channel as it is
    before = None
    for name, layer in layers:
        if type(layer) is nn.Conv2d:
            weight, bias = weights[f"{name}.weight"].flatten(0, 1), weights.get(f"{name}.bias")  # (R·M·O, C, k, k)
            bias = None if bias is None else bias.flatten()
            h = conv2d(h, weight, bias, layer.stride, layer.padding, groups=h.shape[1] // weight.shape[1])
        else:
            h = _without_weights(layer, h, before)
        before = type(layer)
    return h.permute(1, 2, 3, 0).flatten(0, 2).unflatten(0, (len(images), -1))


def _without_weights(layer: nn.Module, h: Tensor, before: type[nn.Module]) -> Tensor:
    """Apply ReLU, pooling or dropout, which take every channel by itself and so all learners at once.

    Args:
        layer: what to apply.
        h: activations of all learners.
        before: the kind of the layer before. Convolution, pooling and product do not need their output for their
            gradient, so a ReLU after them is done in place.
    """
    if type(layer) is nn.ReLU:
        return h.relu_() if before in (nn.Conv2d, nn.MaxPool2d, nn.Linear) else h.relu()
    return layer(h)
