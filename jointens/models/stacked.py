"""Give one learner's modules the weights of all learners: what a stacked ensemble has as its `learner`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.func import stack_module_state

from .comparison import copied
from .vectorized import tensors_of


def stack_learners(learners: Sequence[nn.Module], lead: tuple[int, ...]) -> nn.Module:
    """Copy the first learner, and give the copy the weights of all of them, with leading axes `lead`."""
    params, buffers = stack_module_state(list(learners))
    stacked = {name: value.detach().unflatten(0, lead) for name, value in {**params, **buffers}.items()}
    learner = copied(learners[0], 0)
    replaced = {
        id(value): nn.Parameter(stacked[name], value.requires_grad) if name in params else stacked[name]
        for name, value in tensors_of(learner).items()
    }
    for module in learner.modules():
        for slots in (module._parameters, module._buffers):  # tied weights stay tied
            slots.update({name: replaced[id(value)] for name, value in slots.items() if value is not None})
    return learner


def keep_state_names(ensemble: nn.Module) -> None:
    """Give the weights of a stacked ensemble the names in its `state_dict` that they have always had in checkpoints.

    `learner.0.weight` is `learner/0/weight` there, and weights that are used twice are there once.
    """
    ensemble.register_state_dict_post_hook(_to_flat_names)
    ensemble.register_load_state_dict_pre_hook(_from_flat_names)


def _names(ensemble: nn.Module) -> Iterator[tuple[str, str]]:
    """Iterate over all names of weights, and those in the `state_dict`."""
    first: dict[int, str] = {}
    own = ensemble.learner
    for name, value in (*own.named_parameters(remove_duplicate=False), *own.named_buffers(remove_duplicate=False)):
        yield f"learner.{name}", "learner/" + first.setdefault(id(value), name).replace(".", "/")


def _to_flat_names(ensemble: nn.Module, state: dict[str, Tensor], prefix: str, *_) -> None:
    for name, flat in _names(ensemble):
        if prefix + name in state:
            state.setdefault(prefix + flat, state.pop(prefix + name))


def _from_flat_names(ensemble: nn.Module, state: dict[str, Tensor], prefix: str, *_) -> None:
    names = [(prefix + name, prefix + flat) for name, flat in _names(ensemble)]
    state.update({name: state[flat] for name, flat in names if flat in state})
    for _, flat in names:
        state.pop(flat, None)
