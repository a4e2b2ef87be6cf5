"""The gradients written out by hand are those of autograd: outputs and gradients, to the bit where it is float32."""

import itertools

import pytest
import torch
from small_ensembles import batch_norm_net, cnn, mlp
from torch import nn

from jointens import Ensemble
from jointens.losses import LOSSES, objective_unchecked


def chain(*widths, bias=True, relu=True):
    """Linear layers of these widths behind Flatten, with or without ReLU between them."""
    layers = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out, bias=bias), *([nn.ReLU()] if relu else [])]
    return nn.Sequential(*(layers[:-1] if relu else layers))


CHAINS = {
    "one layer": lambda: chain(6, 3),
    "one layer without bias": lambda: chain(6, 3, bias=False),
    "three layers": lambda: chain(6, 5, 4, 3),
    "three layers without bias": lambda: chain(6, 5, 4, 3, bias=False),
    "without ReLU": lambda: chain(6, 5, 3, relu=False),
    "two ReLUs in a row": lambda: nn.Sequential(*chain(6, 5)[:2], nn.ReLU(), nn.ReLU(), nn.Linear(5, 3)),
}


def twice(make, num_learners, runs, dtype):
    """The same ensemble twice, with weights of its own for each learner, and how to train the second by hand."""
    learners = [make().to(dtype) for _ in range(num_learners * (runs or 1))]
    one, other = (Ensemble(learners, runs=runs) for _ in range(2))
    manual = other.manual_backward()
    assert manual is not None
    return one, other, manual


def batch(loss, runs, size, dtype):
    lead = (*([runs] if runs else []), size)
    inputs = torch.randn(*lead, 2, 3, dtype=dtype)
    return inputs, torch.randint(3, lead) if loss == "cross_entropy" else torch.randn(*lead, 3, dtype=dtype)


@pytest.mark.parametrize("num_learners, runs", [(3, None), (1, None), (3, 4), (1, 2)])
@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("average", ["scores", "probabilities", "released", "squared_error"])
def test_gradients_are_those_of_autograd(average, make, num_learners, runs):
    """In float64, for several β, for a batch and a smaller and a larger one behind it."""
    loss, average = (average, "scores") if average in LOSSES else ("cross_entropy", average)
    one, other, manual = twice(make, num_learners, runs, torch.float64)
    for beta, size, factor in itertools.product((0.0, 0.5, 1.0, 1.2), (7, 2, 9), (1, num_learners)):
        inputs, targets = batch(loss, runs, size, torch.float64)
        betas = beta if runs is None else torch.linspace(beta, beta / 2, runs, dtype=torch.float64)

        def lossed(outputs, targets=targets, betas=betas, factor=factor):
            objective = objective_unchecked(outputs, targets, betas, loss=loss, average=average)
            return objective.mean(-1).sum() * factor

        one.zero_grad()
        expected, outputs = one(inputs), manual(inputs)
        lossed(expected).backward()
        manual.backward(lossed(outputs))
        torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
        for (name, value), (_, theirs) in zip(other.named_parameters(), one.named_parameters(), strict=True):
            assert theirs.grad.abs().max() > 1e-6 or num_learners == 1, name
            torch.testing.assert_close(value.grad, theirs.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("runs", [None, 2])
def test_float32_has_the_bits_of_autograd(runs):
    """The numbers of finished sweeps hang on it."""
    one, other, manual = twice(lambda: chain(6, 16, 9, 3), 3, runs, torch.float32)
    for size in (64, 7):
        inputs, targets = batch("cross_entropy", runs, size, torch.float32)
        one.zero_grad()
        expected, outputs = one(inputs), manual(inputs)
        assert torch.equal(expected, outputs) and expected.stride() == outputs.stride()
        objectives = [
            objective_unchecked(of, targets, 0.7, loss="cross_entropy", average="scores") for of in (expected, outputs)
        ]
        objectives[0].mean().backward()
        manual.backward(objectives[1].mean())
        for value, theirs in zip(other.parameters(), one.parameters(), strict=True):
            assert torch.equal(value.grad, theirs.grad)


def test_gradients_are_overwritten_on_the_same_memory_and_inputs_are_left_alone():
    _, ensemble, manual = twice(mlp, 2, None, torch.float32)
    inputs = torch.randn(5, 1, 8, 8)
    before, gradients, places = inputs.clone(), [], []
    for _ in range(2):
        manual.backward(manual(inputs).square().sum())
        gradients.append([value.grad.clone() for value in ensemble.parameters()])
        places.append([value.grad.data_ptr() for value in ensemble.parameters()])
        ensemble.zero_grad()
    assert all(map(torch.equal, *gradients)) and places[0] == places[1]
    assert torch.equal(inputs, before)


def test_outputs_outlive_the_next_call():
    _, ensemble, manual = twice(mlp, 2, None, torch.float32)
    inputs = torch.randn(3, 5, 1, 8, 8)
    with torch.no_grad():
        outputs = [manual(part) for part in inputs]
        assert not any(part.requires_grad for part in outputs)
        torch.testing.assert_close(torch.stack(outputs), torch.stack([ensemble(part) for part in inputs]))
    assert manual(inputs[0]).requires_grad


class Doubled(Ensemble):
    def forward(self, inputs):
        return 2 * super().forward(inputs)


def frozen():
    learner = mlp()
    learner[1].bias.requires_grad_(False)
    return learner


def hooked(register):
    ensemble = Ensemble([mlp(), mlp()])
    register(ensemble)
    return ensemble


REFUSED = {
    "looped": lambda: Ensemble([mlp()], stack=False),
    "convolutions": lambda: Ensemble([cnn()]),
    "dropout": lambda: Ensemble([nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 4))]),
    "no chain": lambda: Ensemble([nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))]),
    "batch norm": lambda: Ensemble([batch_norm_net()], stack=True),
    "frozen": lambda: Ensemble([frozen()]),
    "compiled": lambda: Ensemble([mlp()], compiled=True),
    "another forward": lambda: Doubled([mlp()]),
    "on another device": lambda: Ensemble([mlp()]).to("meta"),
    "forward hook": lambda: hooked(lambda it: it.register_forward_hook(lambda *_: None)),
    "hook of a gradient": lambda: hooked(lambda it: next(it.parameters()).register_hook(lambda gradient: None)),
    "hook behind a gradient": lambda: hooked(
        lambda it: next(it.parameters()).register_post_accumulate_grad_hook(lambda parameter: None)
    ),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_others_are_left_to_autograd(make):
    assert Ensemble([mlp()]).manual_backward() is not None
    assert make().manual_backward() is None


def replaced(ensemble):
    ensemble.learner[2] = nn.Tanh()


def other_weights(ensemble):
    ensemble.learner[1].weight = nn.Parameter(ensemble.learner[1].weight.detach())


CHANGES = {
    "layer": replaced,
    "weights": other_weights,
    "frozen": lambda it: it.learner[1].requires_grad_(False),
    "hook of a layer": lambda it: it.learner[1].register_forward_hook(lambda *_: None),
    "hook of the ensemble": lambda it: it.register_forward_hook(lambda *_: None),
    "hook of a gradient": lambda it: it.learner[1].weight.register_hook(lambda gradient: None),
    "type": lambda it: it.to("meta"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_afterwards_are_noticed(change):
    ensemble, inputs = Ensemble([mlp(), mlp()]), torch.randn(3, 1, 8, 8)
    manual = ensemble.manual_backward()
    manual(inputs)
    change(ensemble)
    with pytest.raises(ValueError, match="layers were changed, hooked or frozen; ask anew for its manual_backward"):
        manual(inputs)
