"""Learners that torch does not stack by itself: they are looped, or one line tells why they cannot be."""

import warnings

import pytest
import torch
from small_ensembles import X, assert_is_one_by_one, net
from torch import nn
from torch.nn.utils import parametrizations

from jointens import Ensemble


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
