"""The gradients of stacked multi-layer perceptrons, written out by hand: what is left to autograd is the loss.

On a CPU a training step of small networks is a few batched products. Autograd returns every activation and gradient in
new memory, which comes from the operating system page by page; here all of it is reused from step to step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from .vectorized import Layers

KINDS = frozenset({nn.Flatten, nn.Linear, nn.ReLU})  # of layers that `ManualBackward` knows


class ManualBackward:
    """Evaluates chains of Flatten, Linear and ReLU as `forward_chain` does, and writes `.grad` of their parameters.

        outputs = chain(inputs)         # a leaf of autograd's graph
        loss = ...                      # of the outputs, by any differentiable operations
        chain.backward(loss)            # in place of loss.backward()

    Outputs and gradients have the bits of `forward_chain` and autograd. `backward` belongs to the last call: what that
    left in memory is overwritten by the next one. The outputs are new tensors each time; every parameter's `.grad` is
    the same tensor each time, overwritten and not added to. `weights` holds the parameters by name.

    Args:
        now: returns the layers, from `chain_layers`, of `KINDS` alone, and the parameters by name, `(M, ...)` or
            `(R, M, ...)` on a CPU; None if they are no longer such. It is asked again in each call.
        runs: the axis R is there.
    """

    def __init__(self, now: Callable[[], tuple[Layers, dict[str, nn.Parameter]] | None], *, runs: bool):
        self.runs = runs
        self._now = now
        layers, self.weights = now()
        self._layers = _kinds(layers)
        self._gradients: dict[str, Tensor] = {}
        self._memory = _Memory(next(iter(self.weights.values())))
        self._inputs: list[Tensor] = []  # of each layer, in the last call
        self._outputs: Tensor | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        """Evaluate all learners: inputs `(B, ...)` or `(R, B, ...)` → outputs `(M, B, K)` or `(R, M, B, K)`.

        Raises:
            ValueError: the layers are others than before, or have hooks or weights that are not trained.
        """
        now = self._now()
        if now is None or _kinds(now[0]) != self._layers or not _are(now[1], self.weights):
            raise ValueError("the ensemble's layers were changed, hooked or frozen; ask anew for its manual_backward()")
        with torch.no_grad():
            outputs = self._forward(inputs if self.runs else inputs.unsqueeze(0))
        self._outputs = outputs.requires_grad_(torch.is_grad_enabled())
        return self._outputs

    def _forward(self, inputs: Tensor) -> Tensor:
        h, self._inputs = inputs.flatten(2).mT, []  # (R, fan_in, B)
        last = len(self._layers) - 1
        for index, (name, kind) in enumerate(self._layers):
            if kind is nn.Linear:
                weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
                fan_in, batch = weight.shape[-1], h.shape[-1]
                h = h.reshape(h.shape[0] * h.shape[1] // fan_in, fan_in, batch)  # R shared inputs or R·M own ones
                weight = weight.view(len(h), -1, fan_in)
                self._inputs.append(h)
                shape = (*weight.shape[:2], batch)  # (R, M·H, B) or (R·M, H, B)
                product = torch.empty(shape, dtype=h.dtype) if index == last else self._memory.get(name, shape)
                h = torch.bmm(weight, h, out=product)
                if bias is not None:
                    h.add_(bias.view(len(h), -1, 1))
            else:
                h.relu_()
                self._inputs.append(h)  # what is 0 here was not positive before
        return h.view(*self.weights[f"{name}.weight"].shape[:-1], -1).mT  # (R, M, K, B) → (R, M, B, K)

    def backward(self, loss: Tensor) -> None:
        """Write the gradient of a loss of the last call's outputs to every parameter's `.grad`."""
        if not self._gradients:
            self._gradients = {name: torch.empty_like(value) for name, value in self.weights.items()}
        self.accumulate(loss, self._gradients, factor=0.0)
        for name, value in self.weights.items():
            value.grad = self._gradients[name]

    @torch.no_grad()
    def accumulate(self, loss: Tensor, totals: Mapping[str, Tensor], *, factor: float) -> None:
        """Make each total factor · total + gradient, as momentum does; with 0 the values before have no effect.

        Args:
            loss: of the last call's outputs.
            totals: contiguous tensors of the names and shapes of the weights.
            factor: of the totals before.
        """
        (gradient,) = torch.autograd.grad(loss, self._outputs)
        gradient = gradient.mT  # (R, M, K, B)
        for index in reversed(range(len(self._layers))):
            (name, kind), h = self._layers[index], self._inputs[index]
            if kind is nn.ReLU:
                gradient = gradient.reshape(h.shape)
                torch.ops.aten.threshold_backward.grad_input(gradient, h, 0, grad_input=gradient)
                continue
            weight = self.weights[f"{name}.weight"]
            gradient = gradient.reshape(len(h), -1, h.shape[-1])  # (R, M·H, B) or (R·M, H, B)
            total = totals[f"{name}.weight"].view(*gradient.shape[:2], -1)
            total.baddbmm_(gradient, h.mT, beta=factor)
            if f"{name}.bias" in totals:
                total = totals[f"{name}.bias"].view(gradient.shape[:2])
                total.mul_(factor).add_(gradient.sum(-1)) if factor else torch.sum(gradient, -1, out=total)
            if index:
                before = self._memory.get(f"gradient before {name}", h.shape)
                gradient = torch.bmm(weight.view(len(h), -1, h.shape[1]).mT, gradient, out=before)


def _kinds(layers: Layers) -> list[tuple[str, type[nn.Module]]]:
    return [(name, type(layer)) for name, layer in layers[1:]]  # without Flatten


def _are(tensors: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    return [*map(id, tensors.values())] == [*map(id, others.values())]


class _Memory:
    """Memory by name, that of the largest tensor which was asked for: a smaller last batch takes a part of it."""

    def __init__(self, like: Tensor):
        self.options = {"dtype": like.dtype, "device": like.device}
        self._held: dict[str, Tensor] = {}

    def get(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return a contiguous tensor with any values."""
        number = math.prod(shape)
        if name not in self._held or self._held[name].numel() < number:
            self._held[name] = torch.empty(number, **self.options)
        return self._held[name][:number].view(shape)
