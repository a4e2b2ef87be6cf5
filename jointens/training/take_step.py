"""One step of the optimiser down a loss: with autograd, or with a backward pass that is written out by hand."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from ..models import ManualBackward


def step_down(loss: Tensor, optimiser: torch.optim.Optimizer, manual: ManualBackward | None) -> None:
    """Compute the gradients of a loss and let the optimiser take its step.

    SGD with momentum and a manual backward pass does without gradients of their own: each product of a gradient is
    added to the momentum buffer as it is computed, which spares a few passes over memory. The buffers are the
    optimiser's, so its `state_dict` is that of `optimiser.step()`. The `.grad` of parameters are None then.

    Args:
        loss: a scalar, of the last outputs of `manual` if that is given.
        optimiser: over the ensemble's parameters.
        manual: the ensemble's `manual_backward()`; None leaves the gradients to autograd.
    """
    optimiser.zero_grad(set_to_none=True)
    if manual is None:
        loss.backward()
        optimiser.step()
    elif is_plain_momentum(optimiser, manual):
        _momentum_step(loss, optimiser, manual)
    else:
        manual.backward(loss)
        optimiser.step()


def is_plain_momentum(optimiser: torch.optim.Optimizer, manual: ManualBackward) -> bool:
    """Check that a step is `buffer = momentum · buffer + gradient`, `weight −= rate · buffer`, and nobody watches it.

    With weight decay a fused step would round otherwise than torch's. Where a hook is registered, or `step` is wrapped,
    as torch's schedulers do, `optimiser.step()` is called.
    """
    if type(optimiser) is not torch.optim.SGD or len(optimiser.param_groups) != 1 or "step" in vars(optimiser):
        return False
    (group,) = optimiser.param_groups
    hooks = (
        _global_optimizer_pre_hooks, _global_optimizer_post_hooks,
        optimiser._optimizer_step_pre_hooks, optimiser._optimizer_step_post_hooks,
    )  # fmt: skip
    return (
        bool(group["momentum"])
        and not any(group[key] for key in ("weight_decay", "dampening", "nesterov", "maximize", "differentiable"))
        and not isinstance(group["lr"], Tensor)
        and not any(hooks)
        and {id(value) for value in group["params"]} == {id(value) for value in manual.weights.values()}
    )


@torch.no_grad()
def _momentum_step(loss: Tensor, optimiser: torch.optim.SGD, manual: ManualBackward) -> None:
    (group,) = optimiser.param_groups
    buffers = {}
    for name, value in manual.weights.items():
        state = optimiser.state[value]
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = torch.zeros_like(value)
        buffers[name] = state["momentum_buffer"]
    manual.accumulate(loss, buffers, factor=group["momentum"])
    for name, value in manual.weights.items():
        value.add_(buffers[name], alpha=-group["lr"])
