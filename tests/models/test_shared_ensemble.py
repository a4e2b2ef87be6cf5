"""Ensembles whose learners share weights: outputs and gradients are those of single learners with the same weights."""

import numpy as np
import pytest
import torch
from torch import nn

import jointens
from jointens import Ensemble, InputError, Results
from jointens.losses import decompose, joint_objective
from jointens.models import SharedEnsemble, make_learner, seeded_learners
from jointens.models.scaled_learner import ScaledLinear, shared_names
from jointens.sweeps import num_parameters
from jointens.sweeps.build import make_ensemble

M, B, K = 4, 6, 3


def learners(seed=0, number=M):
    return seeded_learners(lambda: make_learner("TabM", (5,), K, hidden=(7, 8)), number, seed)


def names():
    return shared_names(learners()[0])


def test_the_first_hidden_layer_by_hand():
    torch.manual_seed(0)
    layer = ScaledLinear(5, 7, random_signs=True)
    assert layer.input_scale.abs().tolist() == [1.0] * 5 and layer.output_scale.tolist() == [1.0] * 7
    with torch.no_grad():
        layer.output_scale.copy_(torch.arange(1.0, 8))
    x = torch.randn(B, 5)
    scaled = x.numpy() * layer.input_scale.detach().numpy()
    expected = (scaled @ layer.weight.detach().numpy().T) * np.arange(1.0, 8) + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_learners_differ_in_signs_biases_and_output_layers_and_share_the_rest():
    ensemble = SharedEnsemble(learners(), names())
    weights = ensemble.weights()
    assert names() == ["1.weight", "3.weight"]
    assert {name: tuple(value.shape) for name, value in weights.items()} == {
        "1.weight": (7, 5), "1.bias": (M, 7), "1.input_scale": (M, 5), "1.output_scale": (M, 7),
        "3.weight": (8, 7), "3.bias": (M, 8), "3.input_scale": (M, 7), "3.output_scale": (M, 8),
        "5.weight": (M, K, 8), "5.bias": (M, K),
    }  # fmt: skip
    assert weights["1.weight"].equal(learners()[0][1].weight)
    assert len(weights["1.input_scale"].unique(dim=0)) > 1 and weights["3.input_scale"].eq(1).all()
    assert len(weights["5.weight"].unique(dim=0)) == M


def by_hand(given):
    """Learners that hold the same tensor as their shared weights."""
    for learner in given[1:]:
        learner[1].weight, learner[3].weight = given[0][1].weight, given[0][3].weight
    return given


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_outputs_and_gradients_are_those_of_learners_that_hold_the_same_tensor(beta):
    ensemble, given = SharedEnsemble(learners(), names()).double(), by_hand([one.double() for one in learners()])
    inputs, targets = torch.randn(B, 5, dtype=torch.float64), torch.randint(K, (B,))
    ours, theirs = ensemble(inputs), torch.stack([learner(inputs) for learner in given])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    for outputs in (ours, theirs):
        joint_objective(decompose(outputs, targets), beta).mean().backward()
    own = dict(ensemble.learner.named_parameters())
    torch.testing.assert_close(own["1.weight"].grad, given[0][1].weight.grad, rtol=0, atol=1e-12)
    for index, learner in enumerate(given):
        for name in ("1.input_scale", "1.output_scale", "3.bias", "5.weight"):
            grad = dict(learner.named_parameters())[name].grad
            torch.testing.assert_close(own[name].grad[index], grad, rtol=0, atol=1e-12)


def test_runs_share_nothing():
    both = SharedEnsemble([*learners(0), *learners(1)], names(), runs=2)
    inputs = torch.randn(2, B, 5)
    alone = [SharedEnsemble(learners(seed), names())(inputs[seed]) for seed in (0, 1)]
    torch.testing.assert_close(both(inputs), torch.stack(alone))
    assert both.weights()["1.weight"].shape == (2, 7, 5) and both.weights()["1.bias"].shape == (2, M, 7)


def test_weights_are_loaded_and_restored_from_a_state_dict():
    one, other = SharedEnsemble(learners(0), names()), SharedEnsemble(learners(1), names())
    inputs = torch.randn(B, 5)
    assert not one(inputs).equal(other(inputs))
    assert other.load_weights(one.weights())(inputs).equal(one(inputs))
    third = SharedEnsemble(learners(2), names())
    third.load_state_dict(one.state_dict())
    assert third(inputs).equal(one(inputs))
    with pytest.raises(ValueError, match=r"1.weight has shape \(4, 7, 5\); allowed is \(7, 5\)"):
        other.load_weights(Ensemble(learners(0)).weights())


def test_an_unknown_name_and_learners_that_cannot_be_stacked_are_refused():
    with pytest.raises(ValueError, match=r"shared names '2\.weight', which is no parameter of the learners"):
        SharedEnsemble(learners(), ["1.weight", "2.weight"])
    mixed = learners()
    mixed[2][2] = nn.Tanh()
    with pytest.raises(ValueError, match="learner 2 is built otherwise"):
        SharedEnsemble(mixed, names())


def test_a_sweep_of_them_is_trained_saved_and_loaded(tiny):
    experiment = tiny(base_learner="TabM", num_learners=3, seeds=[0, 1], beta_vals=[0, 1])
    results = jointens.run(experiment, progress=False)
    record = results.records()[0]
    with np.load(results.path(record.cell, ".npz")) as stored:
        outputs = stored["test_outputs_best"]  # (M, N, K)
    test = jointens.sweeps.load_data(experiment, record.cell.seed).test
    loaded = jointens.load(results.folder, record.cell.beta, record.cell.seed)
    np.testing.assert_allclose(loaded(test.inputs).detach().numpy(), outputs, rtol=1e-5, atol=1e-5)
    assert Results.at(results.folder).experiment.identity() == experiment.identity()


def test_shared_weights_are_counted_once(tiny):
    experiment = tiny(base_learner="TabM", num_learners=3, hidden=[8])  # 64 pixels, ten classes
    assert num_parameters(experiment) == 8 * 64 + 3 * (64 + 8 + 8 + 8 * 10 + 10)
    assert num_parameters(tiny(base_learner="MLP", num_learners=3, hidden=[8])) == 3 * (8 * 64 + 8 + 8 * 10 + 10)


def test_modes_that_call_learners_one_by_one_are_refused(tiny):
    with pytest.raises(InputError, match="execution is compiled; TabM allows eager and graph"):
        make_ensemble(tiny(base_learner="TabM"), execution="compiled")
