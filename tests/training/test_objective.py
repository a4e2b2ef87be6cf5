"""The objective of a step: gradients by hand in numpy, random subsets, the plain case, and what is refused."""

import itertools

import numpy as np
import pytest
import torch
from drawing import CASES, draw
from recording import record
from small_images import same, trained
from trained_runs import train, weights_close

from jointens import Cell
from jointens.losses import decompose_unchecked, objective_unchecked
from jointens.sweeps import make_trainer
from jointens.training import Objective, Trainer
from jointens.training.objective import WarmStart, draw_subsets

R, M, B, K = 3, 5, 7, 4
BETAS = np.array([0.0, 0.7, 1.0])


@pytest.fixture(params=CASES, ids=" ".join)
def case(request):
    loss, average = request.param
    outputs, targets = draw((R,), M, B, K, loss, seed=3, scale=1.5)
    return loss, average, outputs, targets


def softmax(z):
    z = np.exp(z - z.max(-1, keepdims=True))
    return z / z.sum(-1, keepdims=True)


def by_hand(loss, average, f, y, betas, weights):
    """The gradient in the outputs of (1 − β) · individual + β · the loss of the weighted average, in numpy.

    f `(R, M, B, K)`, betas `(R, B)`, weights `(R, M)`.
    """
    w, b = weights[:, :, None, None], betas[:, None, :, None]
    if loss == "squared_error":
        return (1 - b) / M * 2 * (f - y[:, None]) + b * w * 2 * ((w * f).sum(1) - y)[:, None]
    p, hot = softmax(f), np.eye(K)[y][:, None]
    if average == "scores":
        return (1 - b) / M * (p - hot) + b * w * (softmax((w * f).sum(1))[:, None] - hot)
    if average == "probabilities":
        own = (p * hot).sum(-1, keepdims=True)
        return (1 - b) / M * (p - hot) + b * w * own / (w * own).sum(1, keepdims=True) * (p - hot)
    inner = (1 - b) / M * (softmax(p) - hot) + b * w * (softmax((w * p).sum(1))[:, None] - hot)
    return p * (inner - (p * inner).sum(-1, keepdims=True))


def gradient(objective, outputs, targets, betas=BETAS):
    outputs = outputs.clone().requires_grad_()
    objective(outputs, targets, torch.tensor(betas)).sum().backward()
    return outputs.grad.numpy()


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_the_gradient_with_kept_learners_is_that_by_hand(case, kept):
    loss, average, outputs, targets = case
    torch.manual_seed(0)
    found = gradient(Objective(loss, average, M, kept), outputs, targets)
    torch.manual_seed(0)
    weights = draw_subsets(outputs, kept).numpy()
    betas = np.broadcast_to(BETAS[:, None], (R, B))
    expected = by_hand(loss, average, outputs.numpy(), targets.numpy(), betas, weights)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_gradient_with_a_cap_is_that_of_the_individual_loss_where_diversity_is_above_it(case):
    loss, average, outputs, targets = case
    diversity = decompose_unchecked(outputs, targets, loss=loss, average=average).diversity
    cap = diversity.median().item() * 1.0001
    capped = (diversity > cap).numpy()
    assert 0 < capped.sum() < R * B
    found = gradient(Objective(loss, average, M, diversity_cap=cap), outputs, targets)
    betas = np.where(capped, 0.0, BETAS[:, None])
    expected = by_hand(loss, average, outputs.numpy(), targets.numpy(), betas, np.full((R, M), 1 / M))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    value = Objective(loss, average, M, diversity_cap=cap)(outputs, targets, torch.tensor(BETAS))
    parts = decompose_unchecked(outputs, targets, loss=loss, average=average)
    by_definition = parts.individual.numpy() - BETAS[:, None] * np.minimum(parts.diversity.numpy(), cap)
    np.testing.assert_allclose(value, by_definition, rtol=0, atol=1e-12)


def test_both_options_together():
    """Diversity is then the individual loss of all learners minus the ensemble loss of the subset, capped."""
    outputs, targets = draw((R,), M, B, 1, "squared_error", seed=1)
    torch.manual_seed(0)
    found = Objective("squared_error", "scores", M, 2, 0.8)(outputs, targets, torch.tensor(BETAS))
    torch.manual_seed(0)
    weights = draw_subsets(outputs, 2).numpy()[:, :, None, None]
    f, y = outputs.numpy(), targets.numpy()
    individual = ((f - y[:, None]) ** 2).sum(-1).mean(1)
    diversity = individual - (((weights * f).sum(1) - y) ** 2).sum(-1)
    assert (diversity > 0.8).any() and (diversity < 0.8).any()
    np.testing.assert_allclose(found, individual - BETAS[:, None] * np.minimum(diversity, 0.8), rtol=0, atol=1e-12)


def test_without_options_it_is_the_plain_objective_to_the_bit_and_nothing_is_drawn(case):
    loss, average, outputs, targets = case
    outputs, betas = outputs.float(), torch.tensor(BETAS).float()
    before = torch.get_rng_state()
    for objective in (Objective(loss, average, M), Objective(loss, average, M, kept_learners=M)):
        found = objective(outputs, targets, betas)
        assert torch.equal(found, objective_unchecked(outputs, targets, betas, loss=loss, average=average))
    assert torch.equal(torch.get_rng_state(), before)


def test_every_subset_of_learners_is_as_likely_as_the_others_in_each_run():
    torch.manual_seed(0)
    weights = draw_subsets(torch.zeros(6000, 4, 1, 1), 2)
    assert weights.sum(-1).eq(1).all() and set(weights.unique().tolist()) == {0.0, 0.5}
    counts = [weights[:, pair].eq(0.5).all(-1).sum().item() for pair in map(list, itertools.combinations(range(4), 2))]
    assert sum(counts) == 6000 and all(abs(count - 1000) < 5 * np.sqrt(1000 * 5 / 6) for count in counts)


def test_the_runs_of_a_stack_and_the_steps_have_subsets_of_their_own():
    torch.manual_seed(0)
    first, second = (draw_subsets(torch.zeros(20, 5, 1, 1), 3) for _ in range(2))
    assert not torch.equal(first, second)
    assert len(first.unique(dim=0)) > 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"kept_learners": 0}, "kept_learners is 0; allowed is 1..2, the number of learners"),
        ({"kept_learners": 3}, "kept_learners is 3; allowed is 1..2, the number of learners"),
        ({"diversity_cap": 0.0}, "diversity_cap is 0.0; allowed is more than 0"),
        ({"diversity_cap": float("nan")}, "diversity_cap is nan; allowed is more than 0"),
        ({"warm_start": -1}, "warm_start is -1; allowed is at least 0 epochs"),
    ],
)
def test_what_a_trainer_refuses(tiny, arguments, told):
    trainer = make_trainer(tiny(), [Cell(0.0, 0)])
    with pytest.raises(ValueError) as error:
        Trainer(trainer.ensemble, trainer.loader, **arguments)
    assert str(error.value) == told


# --------------------------------------------------------------------------------------------------- in training


def test_a_warm_start_changes_the_tensor_that_it_was_given():
    betas = torch.tensor([0.0, 0.5, 1.0])
    warm = WarmStart(betas, 2)
    seen = []
    for epoch in (1, 2, 3, 2, 4):  # also back, after a restart
        warm.begin(epoch)
        seen.append(betas.tolist())
    assert seen == [[0.0] * 3, [0.0] * 3, [0.0, 0.5, 1.0], [0.0] * 3, [0.0, 0.5, 1.0]]


def test_a_warm_start_is_independent_training_first(tiny):
    """Up to its end every β trains as β = 0 does, bit for bit; then they part."""
    (zero, warm), (_, joint) = train(tiny(num_epochs=5, warm_start=3, seeds=[0])), train(tiny(num_epochs=5, seeds=[0]))
    losses = [run.history["val"]["ensemble"] for run in (zero, warm, joint)]
    assert losses[0][:3] == losses[1][:3] and losses[0][:3] != losses[2][:3]
    assert losses[0][3] != losses[1][3]


def test_at_beta_zero_no_option_changes_training(tiny):
    plain = train(tiny(beta_vals=[0], seeds=[0]))[0]
    for keys in ({"kept_learners": 1}, {"diversity_cap": 1e-3}, {"warm_start": 1}):
        weights_close(train(tiny(beta_vals=[0], seeds=[0], **keys))[0], plain, 1e-6)


def test_a_cap_that_is_never_reached_and_one_that_always_is(tiny):
    joint, independent = (train(tiny(beta_vals=[beta], seeds=[0]))[0] for beta in (1, 0))
    high, low = (train(tiny(beta_vals=[1], seeds=[0], diversity_cap=cap))[0] for cap in (1e6, 1e-30))
    weights_close(high, joint, 1e-5)
    weights_close(low, independent, 1e-5)


@pytest.mark.parametrize(
    "keys", [{"kept_learners": 1}, {"warm_start": 5}, {"diversity_cap": 0.01}, {"kept_learners": 2, "warm_start": 4}]
)
def test_replayed_steps_train_bit_for_bit_as_plain_ones(tiny, keys):
    """Subsets are drawn anew in each replay, and β changes under a recording."""
    experiment = tiny(num_epochs=9, num_learners=3, batch_size=20, lr_switch=[8], **keys)
    same(trained(experiment, record)[1], trained(experiment)[1])


def test_evaluation_is_of_all_learners(tiny):
    trainer = make_trainer(tiny(kept_learners=1), [Cell(1.0, 0)])
    first, second = (trainer.evaluate(trainer.loader.val) for _ in range(2))
    plain = make_trainer(tiny(), [Cell(1.0, 0)])
    expected = plain.evaluate(plain.loader.val)
    assert all(torch.equal(first[name], second[name]) and torch.equal(first[name], expected[name]) for name in first)
