"""Evaluate M base learners as one module, for one run or for many runs at once."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

from ..common import derived_seed, side_by_side
from .comparison import check_learners, copied, first_hooked, is_known_to_stack, reason_not_to_stack, same_values
from .manual_backward import KINDS, ManualBackward
from .stacked import keep_state_names, stack_learners
from .vectorized import Chain, Layers, chain_weights, does_more, forward_any, forward_chain, tensors_of


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

    A looped ensemble has the learners as its modules, `learners`. A stacked one has a single module `learner`, which
    computes for all: its weights have leading axes `(M, ...)` or `(R, M, ...)`, so initialise the learners before, and
    what is set on one of its layers, such as `eval()`, `requires_grad_(False)` or a dropout rate, holds for all
    learners. Hooks on its layers are refused, and so is `apply` with a function that changes weights.

    Args:
        learners: M modules, or R·M modules with the runs one after the other. They are copied, not shared. Their
            modules are of the same classes, and their weights of the same shapes, dtypes and devices.
        runs: the number of ensembles R; None is a single one, without a leading axis.
        stack: True evaluates all learners as one batched tensor program (vectorized.py), False calls one after the
            other; outputs and gradients are the same but for rounding and the draws of dropout. Stacked learners
            differ in the values of their weights alone: not in attributes, modes, `requires_grad` or functions. None
            stacks where that is known to be right, and faster: equal learners of common layers of `torch.nn` without
            convolutions, and plain chains of layers with convolutions (see `chain_layers`). Classes of one's own,
            other learners with convolutions, and learners that differ or have hooks, are looped.
        compiled: use torch.compile in training, once for all looped learners. Batches of another size than the first,
            and evaluation, are not worth the minute of compiling and run without.
        streams: run looped learners side by side in training on a GPU; no effect on stacked ones or on a CPU.

    Raises:
        ValueError: no learners, R does not divide them, their architectures differ, they cannot be copied, or `stack`
            is True for learners that differ in more than their weights.
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
        self.num_learners = len(learners) // (runs or 1)
        check_learners(learners, self.num_learners)
        self.runs = runs
        self.lead = (self.num_learners,) if runs is None else (runs, self.num_learners)
        self.stacked = _is_to_stack(learners, stack)
        if self.stacked:
            self.learner = stack_learners(learners, self.lead)
            self._chain = Chain(self.learner)
            keep_state_names(self)
        else:
            self.learners = nn.ModuleList(map(copied, learners, itertools.count()))
            # Convolutions take less time with the channels last in memory; `weights()` are as always.
            convolves = any(isinstance(module, nn.Conv2d) for module in self.learners[0].modules())
            self._channels_last = convolves and not any(map(is_lazy, self.learners.parameters()))
            if self._channels_last:
                self.learners.to(memory_format=torch.channels_last)
        self._streams = streams
        # In a tuple: modules, but not more parameters of this one.
        calls = (_forward_stacked,) if self.stacked else tuple(self.learners)
        self._compiled = tuple(torch.compile(call, dynamic=False) for call in calls) if compiled else ()
        self._compiled_size = None  # of the first batch

    def apply(self, fn: Callable[[nn.Module], None]) -> Ensemble:
        """Call `fn` with every module, and then with the ensemble, as `torch.nn.Module.apply` does.

        Raises:
            ValueError: the ensemble is stacked, and `fn` changes weights, of all learners at once. They are restored.
        """
        if not self.stacked:
            return super().apply(fn)
        before = [
            (slots, key, value, value.detach().clone())
            for module in self.learner.modules()
            for slots in (module._parameters, module._buffers)
            for key, value in slots.items()
            if value is not None
        ]
        super().apply(fn)
        changed = None
        for slots, key, value, content in before:
            if key in slots and not (slots[key] is value and same_values(value.detach(), content)):
                slots[key], value.data, changed = value, content, key
        if changed:
            raise ValueError(
                f"apply changed a {changed} of a stacked ensemble, which holds the weights of all learners; apply the "
                "function to the learners before, or use stack=False"
            )
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        if self.runs is not None and len(inputs) != self.runs:
            raise ValueError(
                f"inputs have shape {tuple(inputs.shape)}; allowed is ({self.runs}, B, ...), one batch a run"
            )
        calls = self._calls(inputs.shape[0 if self.runs is None else 1])
        # All architectures of a process count as one function for torch.compile, which gives up at this limit.
        with torch._dynamo.config.patch(recompile_limit=256) if calls is self._compiled else contextlib.nullcontext():
            outputs = self._forward_at_once(calls[0], inputs) if self.stacked else self._forward_looped(calls, inputs)
        if not isinstance(outputs, Tensor) or outputs.shape[: len(self.lead)] != self.lead:
            found = tuple(outputs.shape) if isinstance(outputs, Tensor) else f"of type {type(outputs).__name__}"
            raise ValueError(f"the learners' outputs are {found}; allowed is a tensor {self.lead} + (B, K)")
        return outputs

    def _now(self) -> tuple[Layers | None, dict[str, Tensor]]:
        """Return the layers of the stacked learner, if it is a chain, and the weights by name, as they are now."""
        layers = self._chain.layers()
        weights = chain_weights(layers) if layers else tensors_of(self.learner)
        for name, value in weights.items():
            if value.shape[: len(self.lead)] != self.lead:
                raise ValueError(
                    f"'{name}' of a stacked ensemble has shape {tuple(value.shape)}; allowed is {self.lead} + (...), "
                    "weights of all learners"
                )
        return layers, weights

    def _forward_at_once(self, call: Callable[..., Tensor], inputs: Tensor) -> Tensor:
        layers, weights = self._now()
        if not layers and (hooked := first_hooked(self.learner)):
            raise ValueError(f"{hooked} of a stacked ensemble has hooks; only looped ones, with stack=False, run them")
        try:
            return call(self.learner, layers, weights, inputs, self.runs is not None)
        except Exception as error:
            if layers or not self._first_computes(inputs):
                raise
            reason = str(error).partition("\n")[0]
            raise ValueError(
                f"learners of class {type(self.learner).__name__} do not compute as one program, use stack=False: "
                f"{type(error).__name__}: {reason}"
            ) from error

    def _first_computes(self, inputs: Tensor) -> bool:
        """Check that the first learner takes the inputs if it is called by itself."""
        first = (0,) * len(self.lead)
        with torch.no_grad(), contextlib.suppress(Exception):
            own = {name: value[first].clone() for name, value in tensors_of(self.learner).items()}
            functional_call(self.learner, own, (inputs if self.runs is None else inputs[0],))
            return True
        return False

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
        if not all(isinstance(output, Tensor) for output in outputs):
            return outputs[0]  # which `forward` refuses
        return torch.stack(outputs).unflatten(0, self.lead)

    def _calls(self, batch_size: int) -> Sequence[Callable[..., Tensor]]:
        """Return what is called for a batch of a size: `_forward_stacked`, or each learner; compiled or not."""
        if self._compiled and self.training:
            self._compiled_size = self._compiled_size or batch_size
            if batch_size == self._compiled_size:
                return self._compiled
        return (_forward_stacked,) if self.stacked else tuple(self.learners)

    def manual_backward(self) -> ManualBackward | None:
        """Return a way to train without autograd, with the same bits, or None where there is none.

        It is for stacked chains of Flatten, Linear and ReLU on a CPU, not compiled, all of whose parameters are trained
        and have no hooks.
        """
        if self.stacked:
            self._now()  # raises an error where weights are not those of all learners
        return ManualBackward(self._manual, runs=self.runs is not None) if self._manual() else None

    def _manual(self) -> tuple[Layers, dict[str, Tensor]] | None:
        """Return the layers and the weights that `ManualBackward` computes with, or None where it cannot."""
        if not self.stacked or self._compiled or type(self).forward is not Ensemble.forward or does_more(self):
            return None
        layers = self._chain.layers()
        if layers is None or not all(type(layer) in KINDS for _, layer in layers):
            return None
        weights = chain_weights(layers)
        for p in weights.values():
            if not p.requires_grad or not p.is_cpu or p._backward_hooks or p._post_accumulate_grad_hooks:
                return None
        return layers, weights

    def weights(self) -> dict[str, Tensor]:
        """Return all parameters and buffers by the learner's own names, with leading axes `(M, ...)` or `(R, M, ...)`.

        Names and shapes are the same for stacked and looped ensembles. Stacked ensembles return their own tensors,
        looped ones copies.
        """
        return dict(self.named_weights())

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over names and tensors of `weights()`; of a looped ensemble one copy at a time is made."""
        if self.stacked:
            yield from ((name, value.detach()) for name, value in tensors_of(self.learner).items())
            return
        own = self._tensors_of_learners()
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
            own = [tensors_of(self.learner)]
            here = {name: tuple(value.shape) for name, value in own[0].items()}
        else:
            own = self._tensors_of_learners()
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

    def _tensors_of_learners(self) -> list[dict[str, Tensor]]:
        """Return `tensors_of` looped learners, which have to be all of their state."""
        first = self.learners[0]
        tensors = [*first.named_parameters(remove_duplicate=False), *first.named_buffers(remove_duplicate=False)]
        for name, value in tensors:
            if is_lazy(value):
                raise ValueError(f"'{name}' of the learners has no shape yet; call the ensemble once before")
        for name in first.state_dict():
            if name not in dict(tensors):
                raise ValueError(f"'{name}' of the learners is no parameter and no buffer; use state_dict()")
        return [tensors_of(learner) for learner in self.learners]


def _forward_stacked(
    skeleton: nn.Module, layers: Layers | None, weights: Mapping[str, Tensor], inputs: Tensor, runs: bool
) -> Tensor:
    """Evaluate stacked weights. This is no method: an ensemble that keeps its own compiled method would hold itself."""
    if layers:
        return forward_chain(layers, weights, inputs, runs=runs)
    return forward_any(skeleton, weights, inputs, runs=runs)


def _is_to_stack(learners: Sequence[nn.Module], stack: bool | None) -> bool:
    if stack is None:
        return is_known_to_stack(learners[0]) and reason_not_to_stack(learners) is None
    if stack and (reason := reason_not_to_stack(learners)):
        raise ValueError(f"stack is True, but {reason}; stack=False calls one learner after the other")
    return bool(stack)
