"""Stacked and looped ensembles are the same ensemble, and a seed's learners are the same everywhere."""

import copy

import pytest
import torch
from small_ensembles import Tied, batch_norm_net, both, cnn, mlp
from torch import nn

from jointens import Ensemble, make_learner
from jointens.models.ensemble import seeded_learners


@pytest.mark.parametrize("runs", [None, 2])
@pytest.mark.parametrize("make", [mlp, batch_norm_net])
def test_stacked_is_looped(make, runs):
    """Outputs, gradients, batch-norm statistics, in training and in evaluation mode, after a step."""
    ensembles = both(make, runs=runs)
    inputs = torch.randn(*([runs] if runs else []), 7, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    for mode in (True, False):
        outputs, gradients = [], []
        for ensemble in ensembles:
            ensemble.train(mode)
            optimiser = torch.optim.SGD(ensemble.parameters(), lr=0.1)
            outputs.append(ensemble(inputs))
            outputs[-1].square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()
            gradients.append(ensemble.weights())
        assert outputs[0].shape == (*([runs] if runs else []), 3, 7, 10)
        torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
        assert gradients[0].keys() == gradients[1].keys()
        for name in gradients[0]:
            torch.testing.assert_close(gradients[0][name], gradients[1][name], rtol=1e-4, atol=1e-5)
    if make is batch_norm_net:
        assert not torch.equal(ensembles[0].weights()["1.running_mean"], torch.zeros(*ensembles[0].lead, 4))
        assert (ensembles[0].weights()["1.num_batches_tracked"] == 1).all()


@pytest.mark.parametrize("runs", [None, 2])
@pytest.mark.parametrize("unknown", [nn.Tanh, lambda: nn.BatchNorm2d(4), lambda: nn.AvgPool2d(2)])
def test_a_chain_with_something_unknown_falls_back(unknown, runs):
    def make():
        return nn.Sequential(nn.Conv2d(1, 4, 3), unknown(), nn.Flatten(), nn.LazyLinear(10))

    def made():
        learner = make()
        learner(torch.zeros(2, 1, 6, 6))
        return learner

    ensembles = both(made, runs=runs)
    assert not Ensemble([made(), made()]).stacked
    inputs = torch.randn(*([runs] if runs else []), 5, 1, 6, 6)
    torch.testing.assert_close(*[ensemble(inputs) for ensemble in ensembles], rtol=1e-4, atol=1e-5)


def test_dropout_differs_between_stacked_learners_and_rests_in_evaluation():
    def make():
        ones = nn.Linear(20, 20)
        nn.init.zeros_(ones.weight)
        nn.init.ones_(ones.bias)
        return nn.Sequential(ones, nn.Dropout(0.5))

    ensemble = Ensemble([make() for _ in range(4)], runs=2, stack=True)
    inputs = torch.ones(2, 3, 20)
    masks = ensemble(inputs).flatten(0, 1)
    assert all(not torch.equal(masks[i], masks[j]) for i in range(4) for j in range(i))
    assert set(masks.unique().tolist()) == {0.0, 2.0}
    ensemble.eval()
    torch.testing.assert_close(ensemble(inputs), torch.ones(2, 2, 3, 20))


def test_weights_depend_on_seed_and_index_alone():
    first, more, other = (seeded_learners(mlp, count, seed) for count, seed in ((2, 0), (4, 0), (2, 1)))
    for small, large, different in zip(first, more, other, strict=False):
        for a, b, c in zip(small.parameters(), large.parameters(), different.parameters(), strict=True):
            assert torch.equal(a, b)
            assert not torch.equal(a, c)
    assert not torch.equal(first[0][1].weight, first[1][1].weight)


def test_drawing_weights_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    seeded_learners(mlp, 3, seed=0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("make", [mlp, batch_norm_net])
def test_weights_move_between_stacked_and_looped(make):
    source = Ensemble(seeded_learners(make, 3, seed=1), stack=True).eval()
    target = Ensemble(seeded_learners(make, 3, seed=2), stack=False).eval()
    inputs = torch.randn(5, 1, 8, 8)
    assert not torch.allclose(source(inputs), target(inputs))
    target.load_weights(source.weights())
    torch.testing.assert_close(source(inputs), target(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stack", [True, False])
def test_weights_are_contiguous_and_load_again(stack):
    """However a looped ensemble keeps them: convolutions hold theirs with the channels last."""

    def make():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    source, target = (Ensemble(seeded_learners(make, 2, seed), stack=stack) for seed in (0, 1))
    assert all(value.is_contiguous() for value in source.weights().values())
    target.load_state_dict(source.state_dict())
    assert all(torch.equal(value, source.weights()[name]) for name, value in target.weights().items())


def test_a_loop_over_learners_is_the_learners():
    learners = [learner.eval() for learner in seeded_learners(batch_norm_net, 4, seed=0)]
    inputs = torch.randn(2, 5, 1, 8, 8)
    outputs = Ensemble(learners, runs=2, stack=False).eval()(inputs)
    expected = torch.stack([learner(inputs[index // 2]) for index, learner in enumerate(learners)])
    torch.testing.assert_close(outputs.flatten(0, 1), expected, rtol=1e-4, atol=1e-5)


def test_learners_are_copied():
    learners = seeded_learners(mlp, 2, seed=0)
    before = copy.deepcopy(learners[0].state_dict())
    for stack in (True, False):
        ensemble = Ensemble(learners, stack=stack)
        with torch.no_grad():
            for parameter in ensemble.parameters():
                parameter.add_(1)
    assert all(torch.equal(before[name], value) for name, value in learners[0].state_dict().items())


def test_tied_weights_stay_tied():
    ensembles = both(lambda: Tied(6))
    inputs = torch.randn(5, 6)
    outputs = [ensemble(inputs) for ensemble in ensembles]
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
    for ensemble, output in zip(ensembles, outputs, strict=True):
        output.square().sum().backward()
        assert len(list(ensemble.parameters())) == (3 if ensemble.stacked else 9)


def test_frozen_weights_stay_frozen():
    def make():
        learner = mlp()
        learner[1].weight.requires_grad_(False)
        return learner

    for ensemble in both(make):
        before = ensemble.weights()["1.weight"].clone()
        optimiser = torch.optim.SGD([p for p in ensemble.parameters() if p.requires_grad], lr=0.1)
        ensemble(torch.randn(5, 1, 8, 8)).square().sum().backward()
        optimiser.step()
        assert torch.equal(ensemble.weights()["1.weight"], before)


def test_parameters_may_have_any_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.Parameter(torch.randn(4, 2))
            self.runs = nn.Parameter(torch.randn(2))

        def forward(self, x):
            return x @ self.weights + self.runs

    torch.testing.assert_close(*[ensemble(torch.ones(3, 4)) for ensemble in both(Named)])


def test_learners_of_one_shape_and_two_kinds_are_refused():
    kinds = [nn.Sequential(nn.Linear(4, 4), layer) for layer in (nn.ReLU(), nn.Tanh())]
    for stack in (True, False):
        with pytest.raises(ValueError, match="learner 1 is built otherwise"):
            Ensemble(kinds, stack=stack)


@pytest.mark.parametrize("stack", [True, False])
def test_inputs_without_their_run_axis_are_refused(stack):
    ensemble = Ensemble([mlp() for _ in range(4)], runs=2, stack=stack)
    with pytest.raises(ValueError, match=r"\(3, 1, 8, 8\); allowed is \(2, B, ...\)"):
        ensemble(torch.randn(3, 1, 8, 8))
    with pytest.raises(ValueError, match="runs is 0"):
        Ensemble([mlp()], runs=0)


def test_the_choice_of_stacking():
    assert Ensemble([mlp(), mlp()]).stacked
    assert Ensemble([cnn(), cnn()]).stacked
    assert not Ensemble([batch_norm_net(), batch_norm_net()]).stacked
    assert not Ensemble([make_learner("VGG", (3, 32, 32), 10)]).stacked


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="0 learners for 1 runs"):
        Ensemble([])
    with pytest.raises(ValueError, match="3 learners for 2 runs"):
        Ensemble([mlp(), mlp(), mlp()], runs=2)
    with pytest.raises(ValueError, match="learner 1 is built otherwise"):
        Ensemble([mlp(), batch_norm_net()])
    with pytest.raises(ValueError, match=r"weights do not fit: 1\.weight"):
        Ensemble([mlp(), mlp()]).load_weights({**Ensemble([mlp(), mlp()]).weights(), "1.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="unknown base learner 'RNN'; known are MLP"):
        make_learner("RNN", (1, 8, 8), 10)
