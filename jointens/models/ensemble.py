"""Evaluate M base learners as one module, for one run or for many runs at once."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import stack_module_state

from ..common import derived_seed, side_by_side
from .manual_backward import KINDS, ManualBackward
from .vectorized import Layers, chain_layers, does_more, forward_any, forward_chain


def seeded_learners(make: Callable[[], nn.Module], num_learners: int, seed: int) -> list[nn.Module]:
    """Build the learners of one seed. Learner i's initial weights depend on (seed, i) alone: not on M, β or device.

    Args:
        make: builds one learner with weights from torch's global generator, whose state is restored.
        num_learners: the number of learners, M.
        seed: the run's seed.
    """
    learners = []
    for index in range(num_learners):
        with torch.random.fork_rng(devices=[]):  # the CPU's generator alone: torch.manual_seed would seed CUDA's, too
            torch.default_generator.manual_seed(derived_seed(seed, "weights", index))
            learners.append(make())
    return learners


class Ensemble(nn.Module):
    """M learners of one architecture, evaluated on the same inputs.

    Called with inputs `(B, ...)` it gives outputs `(M, B, K)`. With `runs=R` it holds R ensembles that train side by
    side: inputs `(R, B, ...)` → outputs `(R, M, B, K)`. Outputs may lie in memory in another order, so
    `reshape` them where a `view` fails.

    Args:
        learners: M modules, or R·M modules with the runs one after the other. They are copied, not shared.
        runs: the number of ensembles R; None is a single one, without a leading axis.
        stack: True evaluates all learners as one batched tensor program (vectorized.py), False calls one after the
            other; outputs and gradients are the same but for rounding and the draws of dropout. None stacks learners
            without convolutions, and plain chains of layers with convolutions (see `chain_layers`): one large product
            is faster than a loop over small ones. Other learners with convolutions, and with batch-norm, are looped.
        compiled: use torch.compile in training, once for all looped learners. Batches of another size than the first,
            and evaluation, are not worth the minute of compiling and run without.
        streams: run looped learners side by side in training on a GPU; no effect on stacked ones or on a CPU.

    Raises:
        ValueError: no learners, R does not divide them, or their architectures differ.
    """

    def __init__(
        self,
        learners: Sequence[nn.Module],
        *,
        runs: int | None = None,
        stack: bool | None = None,
        compiled: bool = False,
        streams: bool = False,
    ):
        super().__init__()
        learners = list(learners)
        if runs is not None and runs < 1:
            raise ValueError(f"runs is {runs}; allowed is at least 1, or None for a single ensemble")
        if not learners or len(learners) % (runs or 1):
            raise ValueError(f"{len(learners)} learners for {runs or 1} runs; allowed is M ≥ 1 learners for each run")
        first = _architecture(learners[0])
        for index, learner in enumerate(learners):
            if _architecture(learner) != first:
                raise ValueError(f"learner {index} is built otherwise than learner 0; all must share one architecture")
        self.num_learners = len(learners) // (runs or 1)
        self.runs = runs
        self.stacked = _stacks_well(learners[0]) if stack is None else stack
        self.lead = (self.num_learners,) if runs is None else (runs, self.num_learners)
        if self.stacked:
            self._stack(learners)
        else:
            self.learners = nn.ModuleList(copy.deepcopy(learner) for learner in learners)
            # Convolutions take less time with the channels last in memory; `weights()` are as always.
            self._channels_last = any(isinstance(module, nn.Conv2d) for module in self.learners[0].modules())
            if self._channels_last:
                self.learners.to(memory_format=torch.channels_last)
        self._streams = streams
        # In a tuple, like the skeleton below: modules, but not more parameters of this one.
        calls = (_forward_stacked,) if self.stacked else tuple(self.learners)
        self._compiled = tuple(torch.compile(call, dynamic=False) for call in calls) if compiled else ()
        self._compiled_size = None  # of the first batch

    def _stack(self, learners: list[nn.Module]) -> None:
        """Hold the learners' weights as tensors with leading axes (R, M), and one learner that computes with them."""
        params, buffers = stack_module_state(learners)
        for name, value in params.items():
            stacked = value.detach().reshape(*self.lead, *value.shape[1:])
            frozen = not learners[0].get_parameter(name).requires_grad
            self.register_parameter(_flat(name), nn.Parameter(stacked, requires_grad=not frozen))
        for name, value in buffers.items():
            self.register_buffer(_flat(name), value.detach().clone().reshape(*self.lead, *value.shape[1:]))
        self._names = {_flat(name): name for name in (*params, *buffers)}
        # In a tuple, so that its own weights, which are never used, are not taken for parameters of this module.
        self._skeleton = (copy.deepcopy(learners[0]),)
        self._layers = chain_layers(self._skeleton[0])

    def train(self, mode: bool = True) -> Ensemble:
        if self.stacked:
            self._skeleton[0].train(mode)
        return super().train(mode)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.runs is not None and len(inputs) != self.runs:
            raise ValueError(
                f"inputs have shape {tuple(inputs.shape)}; allowed is ({self.runs}, B, ...), one batch a run"
            )
        calls = self._calls(inputs.shape[0 if self.runs is None else 1])
        # All architectures of a process count as one function for torch.compile, which gives up at this limit.
        with torch._dynamo.config.patch(recompile_limit=256) if calls is self._compiled else contextlib.nullcontext():
            if self.stacked:
                return calls[0](self._skeleton[0], self._layers, self._own_weights(), inputs, self.runs is not None)
            return self._forward_looped(calls, inputs)

    def _forward_looped(self, calls: Sequence[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
        inputs_of_runs = inputs.unsqueeze(0) if self.runs is None else inputs  # (R, B, ...)
        if self._channels_last and inputs_of_runs.ndim == 5:
            inputs_of_runs = [x.contiguous(memory_format=torch.channels_last) for x in inputs_of_runs]
        forwards = [
            functools.partial(call, inputs_of_runs[index // self.num_learners])  # (B, ...) → (B, K)
            for index, call in enumerate(calls)
        ]
        if self._streams and self.training and inputs.is_cuda:
            outputs = side_by_side(forwards)
        else:
            outputs = [forward() for forward in forwards]
        return torch.stack(outputs).unflatten(0, self.lead)

    def _calls(self, batch_size: int) -> Sequence[Callable[..., Tensor]]:
        """Return what is called for a batch of a size: `_forward_stacked`, or each learner; compiled or not."""
        if self._compiled and self.training:
            self._compiled_size = self._compiled_size or batch_size
            if batch_size == self._compiled_size:
                return self._compiled
        return (_forward_stacked,) if self.stacked else tuple(self.learners)

    def _own_weights(self) -> dict[str, Tensor]:
        own = _tensors(self)
        return {name: own[flat] for flat, name in self._names.items()}

    def manual_backward(self) -> ManualBackward | None:
        """Return a way to train without autograd, with the same bits, or None where there is none.

        It is for stacked chains of Flatten, Linear and ReLU on a CPU, not compiled, all of whose parameters are trained
        and have no hooks.
        """
        if not self.stacked or self._layers is None or self._compiled or type(self).forward is not Ensemble.forward:
            return None
        parameters = list(self.parameters())
        fits = (
            {type(layer) for _, layer in self._layers} <= KINDS
            and all(p.requires_grad and p.device.type == "cpu" for p in parameters)
            and not any(p._backward_hooks or p._post_accumulate_grad_hooks for p in parameters)
            and not does_more(self)
        )
        return ManualBackward(self._layers, self._own_weights(), runs=self.runs is not None) if fits else None

    def weights(self) -> dict[str, Tensor]:
        """Return all parameters and buffers by the learner's own names, with leading axes `(M, ...)` or `(R, M, ...)`.

        Names and shapes are the same for stacked and looped ensembles. Stacked ensembles return their own tensors,
        looped ones copies.
        """
        return dict(self.named_weights())

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over names and tensors of `weights()`; of a looped ensemble one copy at a time is made."""
        if self.stacked:
            yield from ((name, value.detach()) for name, value in self._own_weights().items())
            return
        own = [_tensors(learner) for learner in self.learners]
        for name, value in own[0].items():
            copies = torch.stack([tensors[name].detach().contiguous() for tensors in own])
            yield name, copies.reshape(*self.lead, *value.shape)

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> Ensemble:
        """Load what `weights()` of an ensemble with the same M, R and architecture returned; returns the ensemble.

        Raises:
            ValueError: a name or a shape differs; nothing is changed then.
        """
        if self.stacked:
            own = [self._own_weights()]
            here = {name: tuple(value.shape) for name, value in own[0].items()}
        else:
            own = [_tensors(learner) for learner in self.learners]
            here = {name: (*self.lead, *value.shape) for name, value in own[0].items()}
        there = {name: tuple(value.shape) for name, value in weights.items()}
        for name in sorted(here.keys() | there.keys()):
            if here.get(name) != there.get(name):
                raise ValueError(f"weights do not fit: {name} has shape {there.get(name)}; allowed is {here.get(name)}")
        for name, value in weights.items():
            values = [value] if self.stacked else value.flatten(0, len(self.lead) - 1)
            for tensors, new in zip(own, values, strict=True):
                tensors[name].copy_(new)
        return self


def _forward_stacked(
    skeleton: nn.Module, layers: Layers | None, weights: Mapping[str, Tensor], inputs: Tensor, runs: bool
) -> Tensor:
    """Evaluate stacked weights. This is no method: an ensemble that keeps its own compiled method would hold itself."""
    if layers:
        return forward_chain(layers, weights, inputs, runs=runs)
    return forward_any(skeleton, weights, inputs, runs=runs)


def _stacks_well(learner: nn.Module) -> bool:
    convolves = any(isinstance(module, nn.modules.conv._ConvNd) for module in learner.modules())
    return not convolves or chain_layers(learner) is not None


def _tensors(learner: nn.Module) -> dict[str, Tensor]:
    return {**dict(learner.named_parameters()), **dict(learner.named_buffers())}


def _architecture(learner: nn.Module) -> tuple:
    """Return what stacked learners must have in common, since one of them computes for all."""
    tensors = {name: (value.shape, value.dtype, value.requires_grad) for name, value in _tensors(learner).items()}
    return type(learner), repr(learner), tensors


def _flat(name: str) -> str:
    """Return the attribute for a learner's parameter name: torch forbids dots, and no attribute has the prefix."""
    return "learner/" + name.replace(".", "/")
