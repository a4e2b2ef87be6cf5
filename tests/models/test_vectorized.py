"""Chains of layers for all learners at once: what counts as one, and what they compute."""

import pytest
import torch
from small_ensembles import batch_norm_net, both, cnn, mlp
from torch import nn

from jointens import Ensemble, make_learner
from jointens.models import vectorized
from jointens.models.ensemble import seeded_learners
from jointens.models.vectorized import chain_layers, forward_any, forward_chain


def odd_cnn() -> nn.Module:
    """One channel, strides, paddings, sizes that leave a rest, no bias, two convolutions and two ReLUs in a row."""
    return nn.Sequential(
        nn.Conv2d(1, 4, (3, 2), padding=(1, 0), stride=(1, 2)), nn.Conv2d(4, 3, 3, padding="same", bias=False),
        nn.ReLU(), nn.Dropout(0.2), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), nn.ReLU(),
        nn.Conv2d(3, 6, 2, stride=2), nn.Dropout2d(0.2), nn.ReLU(),
        nn.Flatten(), nn.ReLU(), nn.Linear(24, 7), nn.Linear(7, 5, bias=False), nn.Dropout(0.5), nn.ReLU(),
        nn.Linear(5, 10),
    )  # fmt: skip


def without_dropout(make):
    """The same learners with dropout of rate 0, so that they compute the same in training, too."""

    def made():
        learner = make()
        for layer in learner:
            if isinstance(layer, nn.Dropout | nn.Dropout2d):
                layer.p = 0.0
        return learner

    return made


@pytest.mark.parametrize("runs", [None, 1, 2])
@pytest.mark.parametrize("examples", [7, 1, 0])
@pytest.mark.parametrize("make, shape", [(cnn, (3, 17, 20)), (odd_cnn, (1, 9, 15)), (mlp, (1, 8, 8))])
def test_a_stacked_chain_is_looped(make, shape, examples, runs, monkeypatch):
    """Outputs and gradients, those of the inputs too, as one piece and in pieces, in training and evaluation mode."""
    inputs = torch.randn(*([runs] if runs else []), examples, *shape)  # other inputs for each run
    for piece in (vectorized.PIECE, 1):
        monkeypatch.setattr(vectorized, "PIECE", piece)
        for made, mode in ((make, False), (without_dropout(make), True)):
            assert chain_layers(made()) is not None
            outputs, gradients = [], []
            for ensemble in both(made, runs=runs):
                x = inputs.clone().requires_grad_()
                outputs.append(ensemble.train(mode)(x))
                with torch.no_grad():
                    torch.testing.assert_close(ensemble(inputs), outputs[-1])
                (outputs[-1].sin() * torch.arange(10)).sum().backward()
                optimiser = torch.optim.SGD(ensemble.parameters(), lr=1.0)  # the weights become themselves − gradient
                optimiser.step()
                gradients.append({**ensemble.weights(), "inputs": x.grad})
                assert torch.equal(x.detach(), inputs)
            assert outputs[0].shape == (*([runs] if runs else []), 3, examples, 10)
            torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("runs", [None, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_the_products_of_perceptrons_are_what_vmap_gives(runs, bias):
    def make():
        return nn.Sequential(
            nn.Flatten(), nn.Linear(6, 5, bias=bias), nn.ReLU(), nn.Linear(5, 4, bias=bias), nn.ReLU(), nn.Linear(4, 3)
        )

    learner = make()
    weights = Ensemble([make() for _ in range(3 * (runs or 1))], runs=runs, stack=True).weights()
    for examples in (7, 1, 0):
        inputs = torch.randn(*([runs] if runs else []), examples, 2, 3)
        before = inputs.clone()
        products = forward_chain(chain_layers(learner), weights, inputs, runs=runs is not None)
        assert products.shape == (*([runs] if runs else []), 3, examples, 3)
        torch.testing.assert_close(products, forward_any(learner, weights, inputs, runs=runs is not None))
        assert torch.equal(inputs, before)


def test_a_perceptron_is_computed_to_the_bit_as_its_products():
    """The numbers of finished sweeps hang on it: the order of the operations is part of the result."""
    ensemble = Ensemble(seeded_learners(lambda: make_learner("MLP", (1, 8, 8), 10, hidden=(16, 9)), 6, 0), runs=2)
    inputs = torch.randn(2, 7, 1, 8, 8)
    weights = {name: value.clone().requires_grad_() for name, value in ensemble.weights().items()}
    w, b = zip(*[(weights[f"{i}.weight"], weights[f"{i}.bias"]) for i in (1, 3, 5)], strict=True)
    h = inputs.flatten(2).mT  # (R, fan_in, B)
    h = torch.bmm(w[0].reshape(2, -1, 64), h).add_(b[0].reshape(2, -1, 1)).relu_().reshape(6, 16, 7)
    h = torch.bmm(w[1].reshape(6, 9, 16), h).add_(b[1].reshape(6, -1, 1)).relu_()
    h = torch.bmm(w[2].reshape(6, 10, 9), h).add_(b[2].reshape(6, -1, 1))
    expected, outputs = h.reshape(2, 3, 10, 7).mT, ensemble(inputs)
    assert torch.equal(outputs, expected)
    assert outputs.mT.is_contiguous()
    for value in (outputs, expected):
        (value.sin() * torch.arange(10)).sum().backward()
    for name, value in ensemble.named_parameters():
        assert torch.equal(value.grad, weights[name.removeprefix("learner.")].grad)


def kinds(learner):
    layers = chain_layers(learner)
    return layers and [type(layer).__name__ for _, layer in layers]


def test_only_plain_chains_are_taken_for_such():
    flatten, relu = nn.Flatten(), nn.ReLU()
    one, two, hooked = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
    assert [name for name, _ in chain_layers(mlp())] == ["0", "1", "2", "3"]
    assert kinds(nn.Sequential(flatten, one)) == ["Flatten", "Linear"]
    assert kinds(odd_cnn()) is not None
    # Dropout2d goes behind pooling and ReLU
    ends = ["Flatten", "Linear", "Dropout", "ReLU", "Linear"]
    assert kinds(cnn()) == [*["Conv2d", "MaxPool2d", "ReLU", "Dropout2d"] * 2, *ends]
    hooked.register_forward_pre_hook(lambda module, inputs: None)
    tied = nn.Linear(4, 4)
    tied.weight = one.weight
    backward, changed = nn.Linear(4, 4), nn.Linear(4, 4)
    backward.register_full_backward_hook(lambda module, inputs, outputs: None)
    changed.forward = lambda x: x

    class OwnConv(nn.Conv2d):
        pass

    conv, end = nn.Conv2d(2, 2, 3), [flatten, one]
    for others in (
        [],
        [flatten],
        [one],
        [one, two],
        [one, flatten, two],
        [flatten, relu, one],
        [flatten, nn.Dropout(), one],
        [flatten, one, relu],
        [flatten, one, flatten, two],
        [flatten, one, relu, one],
        [flatten, one, relu, two, relu, nn.Linear(4, 4)],
        [flatten, one, relu, tied],
        [flatten, one, relu, hooked],
        [flatten, one, relu, backward],
        [flatten, one, relu, changed],
        [flatten, one, nn.Tanh(), two],
        [flatten, one, nn.Dropout2d(), two],
        [flatten, one, nn.Dropout(inplace=True), two],
        [nn.Flatten(2), one, relu, two],
        [flatten, one, relu, nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))],
        [conv],
        [conv, relu],
        [conv, one],
        [relu, conv, *end],
        [nn.MaxPool2d(2), *end],
        [nn.Dropout(), conv, *end],
        [OwnConv(2, 2, 3), *end],
        [nn.Conv2d(2, 2, 3, groups=2), *end],
        [nn.Conv2d(2, 2, 3, dilation=2), *end],
        [nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), *end],
        [conv, nn.BatchNorm2d(2), *end],
        [conv, nn.AvgPool2d(2), *end],
        [conv, nn.Dropout2d(inplace=True), *end],
        [conv, nn.MaxPool2d(2, return_indices=True), *end],
        [conv, nn.Dropout1d(), *end],
    ):
        assert chain_layers(nn.Sequential(*others)) is None, others
    with_more = nn.Sequential(flatten, one)
    assert chain_layers(with_more) is not None
    with_more.register_parameter("own", nn.Parameter(torch.zeros(1)))
    assert chain_layers(with_more) is None
    assert chain_layers(batch_norm_net()) is None


@pytest.mark.parametrize("kind", [nn.Dropout2d, nn.Dropout])
def test_dropout_in_a_stacked_chain(kind):
    """Each learner and example drops at the right rate, and Dropout2d whole channels, behind the pooling too."""
    rate, channels, pixels, examples = 0.25, 40, 9, 30

    def make():
        conv, last = nn.Conv2d(1, channels, 1), nn.Linear(channels * pixels, channels * pixels)
        for layer in (conv, last):
            nn.init.ones_(layer.bias)
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(last.bias)
        last.weight.data.fill_diagonal_(1.0)
        return nn.Sequential(conv, kind(rate), nn.MaxPool2d(1 if kind is nn.Dropout else 2), nn.Flatten(), last)

    ensemble = Ensemble([make() for _ in range(6)], runs=2)
    assert ensemble.stacked
    inputs = torch.zeros(2, examples, 1, *([6, 6] if kind is nn.Dropout2d else [3, 3]))
    kept = ensemble(inputs).unflatten(-1, (channels, pixels)) * (1 - rate)  # (R, M, B, channels, pixels)
    assert ((kept - 1).abs() < 1e-5).logical_or(kept == 0).all()
    assert abs((kept == 0).float().mean() - rate) < 0.02  # of 7200 channels; the standard deviation is 0.005
    whole = (kept == kept[..., :1]).all(-1)  # (R, M, B, channels)
    assert whole.all() if kind is nn.Dropout2d else not whole.all()
    masks = kept.flatten(0, 2).flatten(1)  # one for each run, learner and example
    assert len(masks.unique(dim=0)) == len(masks)
    assert (ensemble.eval()(inputs) == 1).all()


def trained(ensemble, inputs, steps=1):
    """Its weights after steps of plain descent: with a rate of 1, after one, themselves − gradient."""
    optimiser = torch.optim.SGD(ensemble.parameters(), lr=1.0 if steps == 1 else 0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        (ensemble(inputs).log_softmax(-1) * torch.arange(10)).mean().backward()
        optimiser.step()
    return ensemble.weights()


@pytest.mark.parametrize("runs", [None, 2])
@pytest.mark.parametrize("make, shape", [(cnn, (3, 17, 20)), (odd_cnn, (1, 9, 15))])
def test_pieces_have_the_gradients_of_a_loop(make, shape, runs, monkeypatch):
    monkeypatch.setattr(vectorized, "PIECE", 1)
    inputs = torch.randn(*([runs] if runs else []), 7, *shape, dtype=torch.float64)
    ensembles = [ensemble.double() for ensemble in both(without_dropout(make), runs=runs)]
    torch.testing.assert_close(*[ensemble(inputs) for ensemble in ensembles], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*[trained(ensemble, inputs) for ensemble in ensembles], rtol=1e-12, atol=1e-12)


def test_a_seed_gives_the_same_bits_on_as_many_threads():
    def run(threads):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        return trained(Ensemble(seeded_learners(cnn, 3, seed=0)), inputs, steps=3)

    inputs, before = torch.randn(9, 3, 17, 20), torch.get_num_threads()
    try:
        first, second, alone = run(2), run(2), run(1)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(value, first[name]) for name, value in second.items())
    torch.testing.assert_close(alone, first)


def test_evaluation_leaves_the_generator_alone():
    ensemble = Ensemble(seeded_learners(cnn, 2, seed=0)).eval()
    before = torch.get_rng_state()
    ensemble(torch.randn(3, 3, 17, 20, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), before)
