"""What is stacked, what is looped and what is refused; each gives what its learners give, called one by one."""

import dataclasses
import functools
import random

import numpy as np
import pytest
import torch
from small_ensembles import Columns, X, assert_is_one_by_one, mlp, net
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

from jointens import Ensemble
from jointens.models.comparison import VECTORIZABLE

# ------------------------------------------------------------------------------------------ layers known to be right

LAYERS = {
    nn.Sequential: lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU()),
    nn.Flatten: lambda: nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Flatten()),
    nn.Unflatten: lambda: nn.Sequential(nn.Unflatten(-1, (3, 2)), nn.Flatten()),
    nn.Linear: lambda: nn.Linear(6, 6, bias=False),
    nn.BatchNorm1d: lambda: nn.BatchNorm1d(6),
    nn.LayerNorm: lambda: nn.LayerNorm(6),
    nn.RMSNorm: lambda: nn.RMSNorm(6),
    nn.Dropout: lambda: nn.Dropout(0.0),
    nn.Softmax: lambda: nn.Softmax(-1),
    nn.LogSoftmax: lambda: nn.LogSoftmax(dim=1),
    nn.GLU: lambda: nn.Sequential(nn.Linear(6, 12), nn.GLU()),
}


@pytest.mark.parametrize("kind", sorted(VECTORIZABLE, key=lambda kind: kind.__name__))
def test_known_layers_are_stacked(kind):
    learners = [net(LAYERS.get(kind, kind)()).double() for _ in range(3)]
    ensemble = Ensemble(learners)
    assert ensemble.stacked
    assert_is_one_by_one(ensemble, learners, X.double())  # in training mode
    for module in (ensemble, *learners):
        module.eval()
    assert_is_one_by_one(ensemble, learners, X.double())  # with the statistics of the call before, where there are such


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.BatchNorm1d(6, momentum=None),  # its statistics take a number from a tensor
        lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True)),
        lambda: nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 1, 1), nn.Flatten()),
        lambda: type("Own", (nn.Tanh,), {})(),
        nn.RReLU,
    ],
)
def test_others_are_looped(layer):
    learners = [net(layer()).eval() for _ in range(3)]
    ensemble = Ensemble(learners)
    assert not ensemble.stacked
    assert_is_one_by_one(ensemble, learners, X)


# -------------------------------------------------------------------------------------------- learners that differ


@dataclasses.dataclass
class Factor:
    """A factor as an object, whose call is its function."""

    value: float

    def __call__(self, x):
        return self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __call__(self, x):
        return self.value


def times(factor):
    return lambda x: factor


def constant(x, value=2.0):
    return value


class Method:
    def __init__(self, value):
        self.value = value

    def factor(self, x):
        return self.value


def hidden_layer(seed):
    torch.manual_seed(seed)
    return [nn.Linear(12, 1)]


class Hidden(nn.Module):
    """Has a layer in a list, where torch does not see it."""

    def __init__(self, seed):
        super().__init__()
        self.layers, self.last = hidden_layer(seed), nn.Linear(1, 3)

    def forward(self, x):
        return self.last(self.layers[0](x).detach())


def drawn(seed):
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def with_forward(factor):
    learner = net()
    learner[1].forward = lambda x: factor * x
    return learner


# What differs: how a learner is made of a number, and how the message goes on after "learner 1 differs from learner 0".
DIFFERENT = {
    "columns": (lambda i: Columns(columns=[i, 3, 5, 7]), r"in 'columns': \[1, 3, 5, 7\], not \[0, 3, 5, 7\]"),
    "one more attribute": (lambda i: Columns(**({"note": 1} if i else {})), "in 'note': 1, not 'missing'"),
    "a number and a truth": (lambda i: Columns(factor=[True, 1][i]), "in 'factor': 1, not True"),
    "the sign of zero": (lambda i: Columns(factor=[0.0, -0.0][i]), "in 'factor': -0.0, not 0.0"),
    "a tensor": (lambda i: Columns(factor=torch.tensor([1.0 + i])), "in 'factor': tensor"),
    "a tensor's type": (
        lambda i: Columns(factor=torch.ones(1, dtype=[torch.int32, torch.int64][i])),
        "in 'factor'",
    ),
    "an array": (lambda i: Columns(columns=np.arange(i, i + 4)), r"in 'columns': array\(\[1, 2, 3, 4\]\)"),
    "within dicts": (lambda i: Columns(table={"a": (1, {"b": [2, i]})}), "in 'table'"),
    "a set": (lambda i: Columns(names={"a", "bc"[i]}), "in 'names'"),
    "an object": (lambda i: Columns(factor=Factor(1.0 + i)), r"in 'factor': Factor\(value=2.0\), not Factor"),
    "slots": (lambda i: Columns(factor=Slotted(1.0 + i)), "in 'factor'"),
    "a closure": (lambda i: Columns(factor=times(1.0 + i)), "in 'factor'"),
    "a function": (lambda i: Columns(factor=[constant, times(1.0)][i]), "in 'factor'"),
    "a partial function": (lambda i: Columns(factor=functools.partial(constant, value=i)), "in 'factor'"),
    "a method's object": (lambda i: Columns(factor=Method(1.0 + i).factor), "in 'factor'"),
    "a generator's state": (lambda i: Columns(random=random.Random(i)), "in 'random'"),
    "a generator of torch": (lambda i: Columns(random=drawn(i)), "in 'random'"),
    "a hidden layer": (Hidden, "in 'layers'"),
    "a rate": (lambda i: net(nn.Dropout([0.1, 0.5][i])).eval(), "in '2.p': 0.5, not 0.1"),
    "a slope": (lambda i: net(nn.LeakyReLU([0.1, 0.5][i])), "in '2.negative_slope': 0.5, not 0.1"),
    "a mode": (lambda i: net(nn.BatchNorm1d(6).train(i == 1)), "in '2.training': True, not False"),
    "frozen": (
        lambda i: (made := net(), made[0].bias.requires_grad_(i == 0))[0],
        "in '0.bias': Parameter, requires_grad=False, not Parameter, requires_grad=True",
    ),
    "a forward of its own": (with_forward, "in '1.forward'"),
}


@pytest.mark.parametrize("make, message", DIFFERENT.values(), ids=DIFFERENT)
def test_learners_that_differ_are_looped(make, message):
    learners = [make(index) for index in range(2)]
    ensemble = Ensemble(learners)
    assert not ensemble.stacked
    assert_is_one_by_one(ensemble, learners, X)
    with pytest.raises(ValueError, match=f"stack is True, but learner 1 differs from learner 0 {message}") as error:
        Ensemble(learners, stack=True)
    assert "\n" not in str(error.value)


EQUAL = {
    "columns": lambda: Columns(columns=[5, 3, 2, 1]),
    "arrays": lambda: Columns(columns=np.array([5, 3, 2, 1]), unused=np.array([np.nan]), mask=torch.tensor([np.nan])),
    "NaN": lambda: Columns(unused=float("nan")),
    "objects": lambda: Columns(factor=Factor(2.0), table={"a": [Slotted(1), torch.float32, torch.device("cpu")]}),
    "closures": lambda: Columns(factor=times(3.0)),
    "functions": lambda: Columns(factor=functools.partial(constant, value=4.0)),
    "methods": lambda: Columns(factor=Method(2.0).factor),
    "generators": lambda: Columns(random=random.Random(3)),
    "a forward of its own": lambda: with_forward(2.0),
    "parametrised weights": lambda: net(register_parametrization(nn.Linear(6, 6), "weight", nn.Tanh())),
    "batch-norm": lambda: net(nn.BatchNorm1d(6)),
}


@pytest.mark.parametrize("make", EQUAL.values(), ids=EQUAL)
def test_equal_learners_are_stacked_if_asked(make):
    learners = [make().double() for _ in range(3)]
    assert_is_one_by_one(Ensemble(learners, stack=True), learners, X.double())


class Listed(nn.Module):
    """Names its own layers, and weights, a second time."""

    def __init__(self, weights):
        super().__init__()
        self.one, self.two = nn.Linear(12, 6), nn.Linear(6, 3)
        self.layers, self.call = [self.one, self.two], self.product
        self.weights = [self.two.bias] if weights else []

    def product(self, x):
        return sum(self.weights) + self.layers[1](self.layers[0](x).relu())

    def forward(self, x):
        return self.call(x)


def test_own_layers_in_a_list_are_stacked_and_own_weights_are_not():
    learners = [Listed(weights=False) for _ in range(3)]
    assert_is_one_by_one(Ensemble(learners, stack=True), learners, X)
    learners = [Listed(weights=True) for _ in range(3)]
    assert_is_one_by_one(Ensemble(learners), learners, X)
    with pytest.raises(ValueError, match="learner 0 keeps weights in the plain attribute 'weights', too, where they"):
        Ensemble(learners, stack=True)


def test_hooks_of_learners_are_called():
    """Of one learner, or of all: a forward hook that doubles, one before that adds, and a backward hook."""
    calls = []

    def doubled(module, inputs, output):
        calls.append(1)
        return 2 * output

    for hooked in ([1], [0, 1, 2]):
        learners = [mlp() for _ in range(3)]
        calls.clear()
        for index in hooked:
            learners[index][1].register_forward_hook(doubled)
            learners[index][3].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
            learners[index].register_full_backward_hook(lambda module, gradients, outputs: calls.append(2))
        ensemble, inputs = Ensemble(learners), torch.randn(5, 1, 8, 8, requires_grad=True)
        assert not ensemble.stacked
        assert_is_one_by_one(ensemble, learners, inputs)
        assert calls == 2 * len(hooked) * [1] + 2 * len(hooked) * [2]
        with pytest.raises(ValueError, match=f"stack is True, but in learner {hooked[0]} the module itself has hooks"):
            Ensemble(learners, stack=True)
