"""Evaluate M learners that share some of their weights as one module."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor, nn
from torch.func import functional_call, vmap

from .ensemble import Ensemble
from .vectorized import tensors_of


class SharedEnsemble(Ensemble):
    """M learners of one architecture that share parameters, evaluated on the same inputs.

    Inputs, outputs and the axis of runs are those of `Ensemble`; runs share nothing. A shared parameter has no axis of
    learners: its shape in `weights()` is `(...)` or `(R, ...)`, and its gradient is the sum over the learners.

    Args:
        learners: M modules, or R·M modules with the runs one after the other. They are copied.
        shared: the names of the shared parameters; their values are those of the first learner of each run.
        runs: the number of ensembles R; None is a single one, without a leading axis.

    Raises:
        ValueError: an unknown name, or learners that an `Ensemble` does not stack.
    """

    def __init__(self, learners: Sequence[nn.Module], shared: Collection[str], *, runs: int | None = None):
        super().__init__(learners, runs=runs, stack=True)
        self.shared = frozenset(shared)
        if unknown := sorted(self.shared - dict(self.learner.named_parameters()).keys()):
            raise ValueError(f"shared names {unknown[0]!r}, which is no parameter of the learners")
        for name in self.shared:
            module, _, own = name.rpartition(".")
            slots = self.learner.get_submodule(module)._parameters
            first = slots[own].detach().select(len(self.lead) - 1, 0)  # (M, ...) → (...), (R, M, ...) → (R, ...)
            slots[own] = nn.Parameter(first.clone(), slots[own].requires_grad)

    def forward(self, inputs: Tensor) -> Tensor:
        weights = tensors_of(self.learner)
        axes = {name: None if name in self.shared else 0 for name in weights}

        def call(own: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(self.learner, own, (x,))

        over_learners = vmap(call, in_dims=(axes, None), randomness="different")  # → (M, B, K)
        if self.runs is None:
            return over_learners(weights, inputs)
        return vmap(over_learners, in_dims=(0, 0), randomness="different")(weights, inputs)  # → (R, M, B, K)

    def manual_backward(self) -> None:
        """Return None: gradients of shared parameters need autograd."""
        return None
