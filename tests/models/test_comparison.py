"""What is stacked, what is looped and what is refused; each gives what its learners give, called one by one."""

import copy
import dataclasses
import functools
import random
import warnings

import numpy as np
import pytest
import torch
from small_ensembles import assert_is_one_by_one, mlp
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization

from jointens import Ensemble
from jointens.models.comparison import VECTORIZABLE

X = torch.linspace(-2, 2, 60).sin().reshape(5, 12)


def net(*layers: nn.Module) -> nn.Sequential:
    """Two linear layers, which are no plain chain, and others between them."""
    return nn.Sequential(nn.Linear(12, 6), nn.Tanh(), *layers, nn.Linear(6, 3))


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


class Columns(nn.Module):
    """Reads some columns; takes any other attribute, too."""

    def __init__(self, **attributes):
        super().__init__()
        self.columns, self.factor = [0, 1, 2, 3], 1.0
        self.last = nn.Linear(4, 3)
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        factor = self.factor(x) if callable(self.factor) else self.factor
        return self.last(x[:, self.columns]) * factor


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


# --------------------------------------------------------------------------------- what torch does not stack by itself


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cells, self.last = kind(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.last(self.cells(x.reshape(len(x), 3, 4))[0][:, -1])


def transformer():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.Unflatten(1, (3, 4)), layer, nn.Flatten(), nn.Linear(12, 3))


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)))


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)))


SPECIAL = {
    "LSTM": (lambda: Recurrent(nn.LSTM), "learner 0 keeps weights in the plain attribute 'cells._flat_weights', too"),
    "GRU": (lambda: Recurrent(nn.GRU), "learner 0 keeps weights in the plain attribute 'cells._flat_weights', too"),
    "hooks of spectral norm": (lambda: nn.utils.spectral_norm(nn.Linear(12, 3)), "the module itself has hooks"),
    "quantised": (quantised, "the learners have no parameters and no buffers"),
    "DataParallel": (lambda: nn.DataParallel(net()), "the module itself is a DataParallel, whose weights cannot be"),
    "TorchScript": (scripted, "the module itself is a RecursiveScriptModule, whose weights cannot be exchanged"),
    "traced graph": (lambda: torch.fx.symbolic_trace(net()), "the module itself: another class of the same name"),
    "transformer": (transformer, None),
    "spectral norm": (lambda: net(parametrizations.spectral_norm(nn.Linear(6, 6))), None),
}


@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("make, message", SPECIAL.values(), ids=SPECIAL)
def test_special_learners_are_looped(make, message, mode):
    learners = [make().train(mode) for _ in range(2)]
    ensemble = Ensemble(learners).train(mode)
    assert not ensemble.stacked
    assert_is_one_by_one(ensemble, learners, X)
    with torch.no_grad():  # transformers have a path of their own then
        torch.testing.assert_close(ensemble(X), torch.stack([learner(X) for learner in learners]))
    if message:
        with pytest.raises(ValueError, match=message):
            Ensemble(learners, stack=True)


@pytest.mark.parametrize("convolution", [False, True])
def test_lazy_learners_are_looped(convolution):
    def make():
        first = [nn.Unflatten(1, (1, 3, 4)), nn.LazyConv2d(2, 2), nn.Flatten()] if convolution else []
        return nn.Sequential(*first, nn.LazyLinear(3))

    learners = [make() for _ in range(2)]
    ensemble = Ensemble(learners)
    with pytest.raises(ValueError, match=r"'\d.weight' of the learners has no shape yet; call the ensemble once"):
        ensemble.weights()
    with pytest.raises(
        ValueError, match=r"stack is True, but in learner 0 '\d.weight' has no shape before the learner"
    ):
        Ensemble(learners, stack=True)
    torch.manual_seed(0)
    outputs = ensemble(X)
    torch.manual_seed(0)
    torch.testing.assert_close(outputs, torch.stack([learner(X) for learner in learners]))
    assert_is_one_by_one(ensemble, learners, X)
    assert ensemble.weights().keys() == dict(learners[0].named_parameters()).keys()


def test_weights_are_refused_where_they_are_not_all():
    ensemble = Ensemble([quantised(), quantised()])
    for call in (ensemble.weights, lambda: ensemble.load_weights({})):
        with pytest.raises(ValueError, match="of the learners is no parameter and no buffer; use state_dict"):
            call()


class Indexing(nn.Module):
    """Reads a number from its weights, which vmap refuses."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(12, 3)

    def forward(self, x):
        return self.last(x) * (1 if float(self.last.bias.detach().sum()) > 0 else -1)


@pytest.mark.parametrize("runs", [None, 2])
def test_what_vmap_refuses_is_one_line(runs):
    learners = [Indexing() for _ in range(2)]
    ensemble, inputs = Ensemble(learners, runs=runs, stack=True), X if runs is None else torch.stack([X, X])
    with pytest.raises(
        ValueError, match="Indexing do not compute as one program, use stack=False: RuntimeErr"
    ) as error:
        ensemble(inputs)
    assert "\n" not in str(error.value)
    with pytest.raises(RuntimeError, match="Expected size"):  # a mistake with any learner
        ensemble(inputs[..., :7])
    assert_is_one_by_one(Ensemble(learners), learners, X)


@pytest.mark.parametrize("stack", [None, True])
def test_outputs_are_tensors(stack):
    class Two(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    with pytest.raises(ValueError, match=r"outputs are of type tuple; allowed is a tensor \(2,\) \+ \(B, K\)"):
        Ensemble([Two(12, 3), Two(12, 3)], stack=stack)(X)


# ------------------------------------------------------------------------------------------------- copies of learners


def closed():
    learner = Columns()
    learner.factor = lambda x: learner.last.bias.sum()
    return learner


def changed_forward():
    learner = net()
    forward = learner.forward
    learner.forward = lambda x: 2 * forward(x)
    return learner


def recording():
    learner = net()
    learner[0].register_forward_hook(lambda module, inputs, output, own=learner: output + own[0].bias)
    return learner


def parted():
    learner = Columns()
    learner.table = {"a": [functools.partial(lambda x, inner: inner(x), inner=lambda x: learner.last(x))]}
    return learner


@pytest.mark.parametrize("stack", [None, False, True])
@pytest.mark.parametrize("make", [closed, changed_forward, recording, parted])
def test_a_copy_that_would_compute_with_the_learner_is_refused(make, stack):
    with pytest.raises(ValueError, match=r"refers to the learner by its closure|'0' has hooks") as error:
        Ensemble([make(), make()], stack=stack)
    assert "\n" not in str(error.value)


def test_methods_and_closures_over_other_things_are_copied():
    seen = []

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(12, 3)
            self.last.register_forward_hook(self.doubled)
            self.last.register_forward_hook(lambda module, inputs, output: seen.append(output))

        def doubled(self, module, inputs, output):
            return output + self.last.bias

        def forward(self, x):
            return self.last(x)

    learners = [Own(), Own()]
    assert_is_one_by_one(Ensemble(learners), learners, X)
    assert len(seen) == 4


def test_what_a_copy_would_lose_is_refused():
    for register in ("register_hook", "register_post_accumulate_grad_hook"):
        learners = [mlp(), mlp()]
        getattr(learners[1][1].weight, register)(lambda value: None)
        for stack in (None, False, True):
            with pytest.raises(
                ValueError, match=r"learner 1 has a hook of the gradient of '1\.weight', which is not co"
            ):
                Ensemble(learners, stack=stack)
    learners = [mlp(), mlp()]
    learners[1].activity = learners[1][1].weight * 2  # no leaf of the graph
    with pytest.raises(
        ValueError, match="learner 1 cannot be copied: RuntimeError: Only Tensors created expl"
    ) as error:
        Ensemble(learners)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------------- architectures


def test_what_is_built_otherwise_is_named():
    cases = [
        (
            nn.Sequential(nn.Linear(4, 4), nn.Tanh()),
            r"'1' is a torch.nn.modules.activation.Tanh, not a torch.nn.*ReLU;",
        ),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.ReLU()), r"'2' is a torch.*ReLU, not missing"),
        (nn.Sequential(nn.Linear(4, 4)), r"'1' is missing, not a torch.*ReLU"),
        (
            nn.Sequential(nn.Linear(4, 3), nn.ReLU()),
            r"'0\.weight' is float32 \(3, 4\) on cpu, not float32 \(4, 4\) on cpu",
        ),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU()).double(), r"'0\.weight' is float64 \(4, 4\) on cpu, not float32"),
        (
            nn.Sequential(nn.Linear(4, 4, device="meta"), nn.ReLU()),
            r"'0\.weight' is float32 \(4, 4\) on meta, not float32 \(4, 4\)",
        ),
        (nn.Linear(4, 4), r"the module itself is a torch.nn.modules.linear.Linear, not a torch.*Sequential"),
    ]
    first = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    for other, message in cases:
        for stack in (None, False, True):
            with pytest.raises(ValueError, match=f"learner 2 is built otherwise than learner 0: {message}"):
                Ensemble([first, copy.deepcopy(first), other], stack=stack)


def test_tied_and_untied_weights_are_two_architectures():
    tied, untied = (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)) for _ in range(2))
    tied[1].weight = tied[0].weight
    with pytest.raises(ValueError, match=r"'1\.weight' is float32 \(4, 4\) on cpu, not missing"):
        Ensemble([tied, untied])


def test_learners_have_weights_of_their_own():
    first, second = net(), net()
    message = "learner 2 is the same module as learner 0; allowed are different ones"
    for stack in (None, False, True):
        with pytest.raises(ValueError, match=message):
            Ensemble([first, second, first], stack=stack)
    assert Ensemble([first, second, first, second], runs=2)(torch.stack([X, X])).shape == (2, 2, 5, 3)
    trunk = nn.Linear(12, 6)
    learners = [nn.Sequential(nn.ReLU(), trunk, nn.Linear(6, 3)) for _ in range(2)]
    with pytest.raises(
        ValueError, match=r"learner 1 shares '1\.weight' with learner 0; allowed are weights of its own"
    ):
        Ensemble(learners)
    trunk.requires_grad_(False)  # then a copy does the same
    assert_is_one_by_one(Ensemble(learners), learners, X)


def test_a_class_made_for_each_learner_is_looped():
    def make():
        class Net(nn.Linear):
            pass

        return Net(12, 3)

    learners = [make(), make()]
    assert_is_one_by_one(Ensemble(learners), learners, X)
    with pytest.raises(ValueError, match="in the module itself: another class of the same name"):
        Ensemble(learners, stack=True)
