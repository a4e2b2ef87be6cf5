"""Compare learners: what all of an ensemble must share, and what else if the modules of one are to compute for all."""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import type_before_parametrizations

from .vectorized import chain_layers, does_more, hooks_of, tensors_of

# Modules that compute under `torch.func.vmap` what they compute by themselves. Not convolutions: a loop is faster.
VECTORIZABLE = frozenset({
    nn.Sequential, nn.Identity, nn.Flatten, nn.Unflatten, nn.Linear, nn.BatchNorm1d, nn.LayerNorm, nn.RMSNorm,
    nn.Dropout, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.LogSigmoid, nn.Hardsigmoid, nn.Tanh, nn.Hardtanh, nn.Tanhshrink, nn.Softplus, nn.Softsign,
    nn.Hardswish, nn.Softmax, nn.LogSoftmax, nn.GLU,
})  # fmt: skip
_OTHER_PROGRAMS = (torch.jit.ScriptModule, nn.DataParallel, nn.parallel.DistributedDataParallel)
_EMPTY_CELL = CellType()
_OF_EVERY_MODULE = vars(nn.Module()).keys() - {"training"}


def check_learners(learners: Sequence[nn.Module], num_learners: int) -> None:
    """Check that learners have the same modules, and weights of the same shapes, of their own and without hooks.

    Args:
        learners: of one run after the other; runs may share them.
        num_learners: of a run.

    Raises:
        ValueError: one has not; the message names the first difference.
    """
    first, owners = _architecture(learners[0]), {}
    for index, learner in enumerate(learners):
        for before in range(index - index % num_learners, index):
            if learners[before] is learner:
                raise ValueError(f"learner {index} is the same module as learner {before}; allowed are different ones")
    for index, learner in _distinct(learners):
        own = _architecture(learner)
        for part in {**first, **own}:
            if first.get(part) != own.get(part):
                here, there = (built.get(part, "missing") for built in (own, first))
                raise ValueError(
                    f"learner {index} is built otherwise than learner 0: {part} is {here}, not {there}; all must share "
                    "one architecture"
                )
        for name, value in tensors_of(learner).items():
            owner, _ = owners.setdefault(id(value), (index, value))  # which keeps it: an id may be given again
            if value.requires_grad and owner != index:
                raise ValueError(
                    f"learner {index} shares {_path(name)} with learner {owner}; allowed are weights of its own, since "
                    "copies share none"
                )
            if value._backward_hooks or getattr(value, "_post_accumulate_grad_hooks", None):
                raise ValueError(
                    f"learner {index} has a hook of the gradient of {_path(name)}, which is not copied; register hooks "
                    "on the ensemble's parameters"
                )


def _distinct(learners: Sequence[nn.Module]) -> Iterator[tuple[int, nn.Module]]:
    """Iterate over the learners that are not one of those before, with their index: runs may share them."""
    first = {}
    for index, learner in enumerate(learners):
        if first.setdefault(id(learner), index) == index:
            yield index, learner


def _architecture(learner: nn.Module) -> dict[str, str]:
    built = {}
    for name, module in learner.named_modules(remove_duplicate=False):
        kind = type_before_parametrizations(module)
        built[_path(name)] = f"a {kind.__module__}.{getattr(module, 'original_name', kind.__qualname__)}"
    for name, value in tensors_of(learner).items():
        shape = "of unknown shape" if is_lazy(value) else tuple(value.shape)
        built[_path(name)] = f"{str(value.dtype).removeprefix('torch.')} {shape} on {value.device}"
    return built


def _path(*names: str) -> str:
    path = ".".join(name for name in names if name)
    return f"'{path}'" if path else "the module itself"


def copied(learner: nn.Module, index: int) -> nn.Module:
    """Copy learner number `index`, with everything that it holds.

    Raises:
        ValueError: it cannot be copied, or the copy would compute with the learner: closures are not copied.
    """
    try:
        with torch.no_grad():  # or gradients of TorchScript's copies would go to the learner
            copy = deepcopy(learner)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"learner {index} cannot be copied: {type(error).__name__}: {reason}") from error
    for value, original in zip(copy.parameters(), learner.parameters(), strict=True):
        if value.requires_grad != original.requires_grad:
            value.requires_grad_(original.requires_grad)
    own, seen = _ids(learner), set()
    for name, module in copy.named_modules():
        if any(_refers(value, own, seen) for value in (*_attributes(module).values(), *hooks_of(module))):
            raise ValueError(
                f"learner {index} cannot be copied: a function of {_path(name)} refers to the learner by its "
                "closure or a default, and so would that of the copy; make it a method"
            )
    return copy


def _refers(value: Any, own: dict[int, str], seen: set[int]) -> bool:
    """Check for one of the `own` modules or tensors within `value`."""
    if id(value) in own:
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, FunctionType):
        inner = _held(value)
    elif isinstance(value, MethodType):
        inner = [value.__self__, value.__func__]
    elif isinstance(value, functools.partial):
        inner = [value.func, value.args, value.keywords]
    elif isinstance(value, dict):
        inner = value.values()
    else:
        inner = value if isinstance(value, list | tuple | set | frozenset) else ()
    return any(_refers(each, own, seen) for each in inner)


def _held(function: FunctionType) -> list[Any]:
    """Return what a function takes along: its closure and its defaults."""
    cells = [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY_CELL]
    return [*cells, function.__defaults__, function.__kwdefaults__]


def is_known_to_stack(learner: nn.Module) -> bool:
    """Check that stacked weights certainly give what a loop gives, and no slower: a chain, or known layers alone."""
    return chain_layers(learner) is not None or (
        bool(tensors_of(learner))
        and all(
            type(module) in VECTORIZABLE
            and not does_more(module)
            and not getattr(module, "inplace", False)
            and getattr(module, "momentum", 0.1) is not None  # cumulative statistics read a number from a tensor
            for module in learner.modules()
        )
    )


def first_hooked(learner: nn.Module) -> str | None:
    """Return the name of the first module that has hooks, in quotation marks."""
    return next((_path(name) for name, module in learner.named_modules() if hooks_of(module)), None)


def reason_not_to_stack(learners: Sequence[nn.Module]) -> str | None:
    """Return why the modules of the first learner cannot compute for all, or None where no reason is found.

    It cannot be seen here whether `torch.func.vmap` takes the forward of a class of one's own.

    Args:
        learners: of one architecture.
    """
    for name, module in learners[0].named_modules():
        if isinstance(module, _OTHER_PROGRAMS):
            return f"in learner 0 {_path(name)} is a {type(module).__name__}, whose weights cannot be exchanged"
    weights = tensors_of(learners[0])
    if not weights:
        return "the learners have no parameters and no buffers"
    for name, value in weights.items():
        if is_lazy(value):
            return f"in learner 0 {_path(name)} has no shape before the learner is called"
    for index, learner in _distinct(learners):
        if hooked := first_hooked(learner):
            return f"in learner {index} {hooked} has hooks, which need a call for each learner"
        if difference := _difference(learners[0], learner):
            return f"learner {index} {difference}"
    return None


def _difference(first: nn.Module, other: nn.Module) -> str | None:
    """Describe what makes the function of `other` differ from that of `first`, other than the values of weights."""
    equal = _Equality(_ids(first), _ids(other))
    modules = zip(first.named_modules(remove_duplicate=False), other.named_modules(remove_duplicate=False), strict=True)
    for (name, one), (_, two) in modules:
        if type_before_parametrizations(one) is not type_before_parametrizations(two):
            return f"differs from learner 0 in {_path(name)}: another class of the same name"
        ones, twos = _attributes(one), _attributes(two)
        for key in {**ones, **twos}:
            here, there = (values.get(key, "missing") for values in (twos, ones))
            if not equal(there, here):
                if one is two:
                    return f"keeps weights in the plain attribute {_path(name, key)}, too, where they are not stacked"
                return f"differs from learner 0 in {_path(name, key)}: {_shown(here)}, not {_shown(there)}"
    for (name, one), two in zip(tensors_of(first).items(), tensors_of(other).values(), strict=True):
        if type(one) is not type(two) or one.requires_grad != two.requires_grad:
            kinds = [f"{type(value).__name__}, requires_grad={value.requires_grad}" for value in (two, one)]
            return f"differs from learner 0 in {_path(name)}: {kinds[0]}, not {kinds[1]}"
    return None


def _shown(value: Any) -> str:
    return " ".join(reprlib.repr(value).split())


def _attributes(module: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name not in _OF_EVERY_MODULE}


def _ids(learner: nn.Module) -> dict[int, str]:
    """Return the names of the learner's modules and tensors by `id`."""
    return {id(value): name for name, value in (*learner.named_modules(), *tensors_of(learner).items())}


class _Equality:
    """Compares attributes of two learners by value. Their modules are equal by name; their weights never are.

    For a weight in a plain attribute, a list for instance, is the first learner's even where a module has that of all.
    """

    def __init__(self, ones: dict[int, str], twos: dict[int, str]):
        self._ones, self._twos = ones, twos
        self._seen: set[tuple[int, int]] = set()  # what is being compared, or was: there may be circles
        self._kept: list[Any] = []  # or an id would be given again

    def __call__(self, one: Any, two: Any) -> bool:
        names = self._ones.get(id(one)), self._twos.get(id(two))
        if names != (None, None):
            return isinstance(one, nn.Module) and names[0] == names[1]
        if type(one) is not type(two):
            return False
        if (id(one), id(two)) in self._seen:
            return True
        self._seen.add((id(one), id(two)))
        self._kept += [one, two]
        if isinstance(one, Tensor):
            return same_values(one, two)
        if isinstance(one, np.ndarray) and one.dtype != object:
            return one.dtype == two.dtype and np.array_equal(one, two, equal_nan=one.dtype.kind in "fc")
        if isinstance(one, type | CodeType | ModuleType | BuiltinFunctionType):
            return one is two
        if type(one) in (int, float, complex, bool, str, bytes, type(None)):
            return repr(one) == repr(two)  # of which NaN is equal, and −0 is not 0
        try:
            inner = _parts(one), _parts(two)
        except Exception:  # a generator, a lock: what it holds cannot be seen
            return one is two
        return len(inner[0]) == len(inner[1]) and all(map(self, *inner))


def same_values(one: Tensor, two: Tensor) -> bool:
    """Check that two tensors are equal in everything; NaN is equal to NaN."""
    if (one.dtype, one.shape, one.device, one.requires_grad) != (two.dtype, two.shape, two.device, two.requires_grad):
        return False
    return torch.equal(one, two) or (
        one.is_floating_point() and torch.allclose(one, two, rtol=0, atol=0, equal_nan=True)
    )


def _parts(value: Any) -> list[Any]:
    """Return what an object consists of: a function of its code and what it holds, others as they are copied."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, FunctionType):
        return [value.__code__, *_held(value)]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    parts = value.__reduce_ex__(4)
    return [parts] if isinstance(parts, str) else [list(part) if isinstance(part, Iterator) else part for part in parts]
