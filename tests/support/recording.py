"""A stand-in for a CUDA graph on the CPU: operations are recorded without effect and done again on the same memory.

What a replayed CUDA graph gets wrong, this gets wrong, too: numbers that Python computed anew for each step and handed
over as such, choices that Python made, memory that moved.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Recording(TorchDispatchMode):
    """Keeps every operation below autograd, and what each piece of memory that it did not make itself held before."""

    def __init__(self):
        super().__init__()
        self.operations, self._made, self._before = [], {}, {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        for tensor in _tensors((args, kwargs)):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._made | self._before:
                self._before[storage.data_ptr()] = (storage, storage.clone())
        results = operation(*args, **(kwargs or {}))
        self._made |= {of.untyped_storage().data_ptr(): of for of in _tensors(results)}
        self.operations.append((operation, args, kwargs or {}, results))
        return results

    def undo(self):
        for storage, held in self._before.values():
            storage.copy_(held)

    @torch.no_grad()
    def replay(self):
        for operation, args, kwargs, results in self.operations:
            again = _tensors(operation(*args, **kwargs))
            for result, value in zip(_tensors(results), again, strict=True):
                if result.untyped_storage().data_ptr() != value.untyped_storage().data_ptr():
                    result.copy_(value)


def _tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def record(function):
    """For `Step(record=…)` in place of `cuda_graph`."""
    recording, chance = Recording(), torch.get_rng_state()
    with recording:
        function()
    recording.undo()
    torch.set_rng_state(chance)
    return recording.replay
