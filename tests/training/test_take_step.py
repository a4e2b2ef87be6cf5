"""A step of the optimiser with momentum buffers that gradients are added to, against torch's own steps."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR
from torch.optim.optimizer import register_optimizer_step_post_hook

from jointens import Ensemble
from jointens.training.take_step import is_plain_momentum, step_down


def pair(dtype=torch.float32):
    """The same ensemble twice."""

    def learner():
        ends = nn.Linear(6, 16), nn.Linear(9, 3)
        return nn.Sequential(nn.Flatten(), ends[0], nn.ReLU(), nn.Linear(16, 9, bias=False), nn.ReLU(), ends[1])

    learners = [learner() for _ in range(6)]
    return [Ensemble(learners, runs=2).to(dtype) for _ in range(2)]


def steps(ensemble, optimiser, manual, numbers):
    """Train on batches that depend on the number of the step alone, at a rate that falls; the second is smaller."""
    for number in numbers:
        chance = torch.Generator().manual_seed(number)
        dtype = next(ensemble.parameters()).dtype
        inputs = torch.randn(2, 2 if number == 1 else 32, 6, generator=chance, dtype=torch.float64).to(dtype)
        optimiser.param_groups[0]["lr"] = 0.1 * 0.7**number
        outputs = (manual or ensemble)(inputs)
        step_down((outputs - inputs[..., :3].unsqueeze(1)).square().mean(), optimiser, manual)


OPTIONS = [
    {"momentum": 0.9},
    {"momentum": 0.5},
    {"momentum": 0.9, "weight_decay": 0.1},
    {"momentum": 0.0},
    {"weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.9, "dampening": 0.5},
    {"momentum": 0.9, "maximize": True},
    {"momentum": 0.9, "fused": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype, within", [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
def test_steps_are_those_of_torch(options, dtype, within):
    ours, theirs = pair(dtype)
    manual = ours.manual_backward()
    optimisers = [torch.optim.SGD(ensemble.parameters(), lr=0.1, **options) for ensemble in (ours, theirs)]
    steps(ours, optimisers[0], manual, range(6))
    steps(theirs, optimisers[1], None, range(6))
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=within)
    states = [optimiser.state_dict() for optimiser in optimisers]
    assert states[0]["param_groups"] == states[1]["param_groups"]
    torch.testing.assert_close(states[0]["state"], states[1]["state"], rtol=0, atol=within)


@pytest.mark.parametrize("first_by_hand", [True, False])
def test_one_goes_on_from_the_state_of_the_other(first_by_hand):
    ours, theirs = pair(torch.float64)

    def fresh(ensemble):
        return torch.optim.SGD(ensemble.parameters(), lr=0.1, momentum=0.9)

    manual, optimiser = ours.manual_backward(), fresh(ours)
    steps(ours, optimiser, manual if first_by_hand else None, range(3))
    again = fresh(ours)
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    steps(ours, again, None if first_by_hand else manual, range(3, 6))
    steps(theirs, fresh(theirs), None, range(6))
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_only_plain_momentum_does_without_gradients():
    ensemble, _ = pair()
    manual = ensemble.manual_backward()
    for options in OPTIONS:
        optimiser = torch.optim.SGD(ensemble.parameters(), lr=0.1, **options)
        plain = options in OPTIONS[:2]
        assert is_plain_momentum(optimiser, manual) == (plain or "fused" in options), options
        steps(ensemble, optimiser, manual, range(2))
        assert all((value.grad is None) == (plain or "fused" in options) for value in ensemble.parameters())


class OwnSGD(torch.optim.SGD):
    pass


def test_who_watches_a_step_or_changes_it_gets_one():
    ensemble, _ = pair()
    manual, weights, options = ensemble.manual_backward(), list(ensemble.parameters()), {"lr": 0.1, "momentum": 0.9}
    plain = torch.optim.SGD(weights, **options)
    assert is_plain_momentum(plain, manual)
    groups = [{"params": weights[:1]}, {"params": weights[1:]}]
    for other in (
        OwnSGD(weights, **options),
        torch.optim.SGD(groups, **options),
        torch.optim.SGD(weights[1:], **options),
        torch.optim.RMSprop(weights, **options),
        torch.optim.SGD(weights, lr=torch.tensor(0.1), momentum=0.9),
    ):
        assert not is_plain_momentum(other, manual)
    for register in ("register_step_pre_hook", "register_step_post_hook"):
        seen = []
        handle = getattr(plain, register)(lambda *_, seen=seen: seen.append(1))
        steps(ensemble, plain, manual, range(3))
        handle.remove()
        assert len(seen) == 3 and is_plain_momentum(plain, manual)
    seen = []
    handle = register_optimizer_step_post_hook(lambda *_: seen.append(1))
    try:
        steps(ensemble, plain, manual, range(2))
    finally:
        handle.remove()
    assert len(seen) == 2 and is_plain_momentum(plain, manual)
    ExponentialLR(plain, 0.5)  # wraps step, to count
    assert not is_plain_momentum(plain, manual)


def test_only_parameters_of_the_optimiser_are_moved():
    ensemble, _ = pair()
    first, *others = ensemble.parameters()
    before = first.detach().clone()
    steps(ensemble, torch.optim.SGD(others, lr=0.1, momentum=0.9), ensemble.manual_backward(), range(2))
    assert torch.equal(first, before)
