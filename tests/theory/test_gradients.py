"""Tests of the theory chapters' theorems on random ensembles; the page "Theorems and their tests" shows them."""

import itertools
import math

import pytest
import torch
from drawing import CASES, draws
from torch.func import jacrev, vmap
from torch.nn.functional import cross_entropy

from jointens import decompose, joint_objective
from jointens.theory import draw_batch, output_curvature, output_gradient, second_order

BETAS = [-0.5, 0.0, 0.3, 1.0, 1.5]
SCORES = ("cross_entropy", "scores")


def close(left, right, atol=1e-10):
    torch.testing.assert_close(left, right, rtol=0, atol=atol)


# ---- decomposition


def test_probability_diversity_depends_on_the_label():
    p = torch.tensor([[0.5, 0.4, 0.1], [0.5, 0.1, 0.4]], dtype=torch.float64)
    diversity = decompose(p.log().unsqueeze(1).expand(-1, 3, -1), torch.arange(3), average="probabilities").diversity
    close(diversity, torch.tensor([0.0, math.log(1.25), math.log(1.25)], dtype=torch.float64))


def pick(values, labels):
    """Pick each example's own class: (..., K) and classes (...) → (...)."""
    return values.gather(-1, labels.expand(values.shape[:-1]).unsqueeze(-1)).squeeze(-1)


def nll(f, labels):
    return f.logsumexp(-1) - pick(f, labels)


def nll_of_probabilities(p, labels):
    return -pick(p, labels).log()


def log_cosh(f, targets):
    return (f - targets).cosh().log().sum(-1)


def squared(f, targets):
    return (f - targets).square().sum(-1)


SMOOTH = [(nll, False), (nll, True), (nll_of_probabilities, True), (log_cosh, False), (squared, False)]


@pytest.mark.parametrize(("loss", "on_probabilities"), SMOOTH)
def test_second_order_form_holds_at_the_points_found(loss, on_probabilities):
    kind = "squared_error" if loss in (log_cosh, squared) else "cross_entropy"
    # The curvature of −log p at p = 1e-7 is so large that rounding p, by 1e-17, changes the tenth digit.
    scale = 1.0 if loss is nll_of_probabilities else 3.0

    @draws
    def check(lead, num_learners, batch, num_outputs, seed):
        outputs, targets = draw_batch((num_learners, batch, num_outputs), kind, seed, scale)
        f = outputs.softmax(-1) if on_probabilities else outputs
        form = second_order(loss, f, targets)
        deviations = f - f.mean(0)
        assert form.positions.min() >= 0 and form.positions.max() <= 1
        close(form.points, f.mean(0) + form.positions.unsqueeze(-1) * deviations)
        # with the full Hessian at those points, learner by learner: the remainder of the first-order expansion
        hessians = vmap(vmap(jacrev(jacrev(loss))), in_dims=(0, None))(form.points, targets)  # (M, B, K, K)
        slopes = vmap(jacrev(loss))(f.mean(0), targets)  # (B, K)
        remainder = loss(f, targets) - loss(f.mean(0), targets) - (slopes * deviations).sum(-1)
        forms = torch.einsum("mbk,mbkl,mbl->mb", deviations, hessians, deviations) / 2
        close(forms, remainder)
        close(form.diversity, forms.mean(0))
        close(form.diversity, loss(f, targets).mean(0) - loss(f.mean(0), targets))

    check()


def test_an_error_is_raised_if_no_intermediate_point_is_found():
    """Logits so large that all curvature lies in a part of the segment that no step of the search hits."""
    outputs, targets = draw_batch((5, 200, 7), "cross_entropy", seed=0, scale=3000.0)
    with pytest.raises(ValueError, match="no intermediate point was found for"):
        second_order(nll, outputs, targets)


@draws
def test_released_loss_and_diversity_stay_within_their_limits(lead, num_learners, batch, num_outputs, seed):
    num_outputs = max(2, num_outputs)  # of one output, the classes are two
    outputs, targets = draw_batch((*lead, num_learners, batch, num_outputs), "cross_entropy", seed)
    top = math.log(math.e + num_outputs - 1)
    for scale in (0.1, 1, 100):
        parts = decompose(scale * outputs, targets, average="released")
        for loss in (parts.individual, parts.ensemble):
            assert top - 1 - 1e-10 <= loss.min() and loss.max() <= top + 1e-10
        assert parts.diversity.min() >= -1e-10
        assert parts.diversity.max() <= top - math.log(num_outputs) - 1 / num_outputs + 1e-10
    # attained: a learner for each class, certain of it
    certain = 1e3 * torch.eye(num_outputs, dtype=torch.float64).unsqueeze(1)
    parts = decompose(certain, torch.tensor([0]), average="released")
    assert parts.diversity.item() == pytest.approx(top - math.log(num_outputs) - 1 / num_outputs, abs=1e-10)
    right = decompose(certain[:1], torch.tensor([0]), average="released").ensemble.item()
    assert right == pytest.approx(top - 1, abs=1e-10)
    if num_outputs == 10:
        assert right == pytest.approx(1.461, abs=5e-4)


# ---- collusion


@pytest.mark.parametrize(("loss", "average"), [SCORES, ("squared_error", "scores")])
def test_a_zero_sum_move_costs_what_it_takes_from_the_learners(loss, average):
    @draws
    def check(lead, num_learners, batch, num_outputs, seed):
        outputs, targets = draw_batch((*lead, num_learners, batch, num_outputs), loss, seed)
        moves, _ = draw_batch((*lead, num_learners, batch, num_outputs), loss, seed + 1)
        moved = outputs + moves - moves.mean(-3, keepdim=True)
        before, after = (decompose(f, targets, loss=loss, average=average) for f in (outputs, moved))
        taken = after.individual - before.individual
        close(after.ensemble, before.ensemble)
        close(after.diversity - before.diversity, taken)
        for beta in BETAS:
            close(joint_objective(after, beta) - joint_objective(before, beta), (1 - beta) * taken)
        if loss == "squared_error" and num_learners > 1:
            pair = torch.zeros_like(outputs)
            pair[..., 0, :, :], pair[..., 1, :, :] = moves[..., 0, :, :], -moves[..., 0, :, :]
            apart = outputs[..., 0, :, :] - outputs[..., 1, :, :]
            product = (moves[..., 0, :, :] * (apart + moves[..., 0, :, :])).sum(-1)
            after = decompose(outputs + pair, targets, loss=loss)
            close(after.individual - before.individual, 2 / num_learners * product)

    check()


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("loss", "average"), CASES)
def test_gradients_are_the_closed_forms(loss, average, beta):
    @draws
    def check(lead, num_learners, batch, num_outputs, seed):
        outputs, targets = draw_batch((*lead, num_learners, batch, num_outputs), loss, seed)
        outputs.requires_grad_()
        parts = decompose(outputs, targets, loss=loss, average=average)
        (gradient,) = torch.autograd.grad(joint_objective(parts, beta).sum(), outputs)
        with torch.no_grad():
            close(output_gradient(outputs, targets, beta, loss=loss, average=average), gradient)

    check()


def test_at_beta_one_with_scores_every_learner_gets_the_same_gradient():
    outputs, targets = draw_batch((5, 4, 7), "cross_entropy", seed=3)
    outputs.requires_grad_()
    (gradient,) = torch.autograd.grad(joint_objective(decompose(outputs, targets), 1.0).sum(), outputs)
    close(gradient, gradient[:1].expand_as(gradient), atol=1e-15)


def test_at_beta_one_with_probabilities_weak_learners_get_small_gradients():
    """The gradient grows with a learner's probability of the true class; at β = 0 it is the other way round."""
    outputs = torch.zeros(3, 1, 4, dtype=torch.float64)
    outputs[:, 0, 0] = torch.tensor([-6.0, -3.0, 0.0])
    gradients = (output_gradient(outputs, torch.tensor([0]), beta, average="probabilities") for beta in (1, 0))
    joint, alone = (gradient.norm(dim=-1)[:, 0] for gradient in gradients)
    assert joint[0] < joint[1] < joint[2] and joint[0] < joint[2] / 20
    assert alone[0] > alone[1] > alone[2]


@pytest.mark.parametrize("beta", BETAS)
def test_curvature_of_squared_error(beta):
    for num_learners, num_outputs in itertools.product((1, 2, 5), (1, 3)):
        outputs, targets = draw_batch((num_learners, 4, num_outputs), "squared_error", seed=num_learners)
        alike, zero_sum = 2 / num_learners, 2 / num_learners * (1 - beta)
        expected = sorted([alike] * num_outputs + [zero_sum] * (num_learners - 1) * num_outputs)
        found = output_curvature(outputs, targets, beta, loss="squared_error")
        close(found, torch.tensor(expected, dtype=torch.float64).expand_as(found))


@pytest.mark.parametrize(("num_learners", "num_outputs"), [(1, 3), (2, 2), (3, 4), (5, 7)])
def test_curvature_of_averaged_scores(num_learners, num_outputs):
    outputs, targets = draw_batch((num_learners, 5, num_outputs), "cross_entropy", seed=1, scale=1.0)
    size, zero_sum = num_learners * num_outputs, (num_learners - 1) * num_outputs
    p = outputs.mean(0).softmax(-1)
    joint = torch.linalg.eigvalsh(torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)) / num_learners
    found = output_curvature(outputs, targets, 1.0)
    close(found, torch.cat([torch.zeros(5, zero_sum, dtype=torch.float64), joint], -1))
    for beta in (0.0, 0.3, 0.9, 1.0, 1.1):
        eigenvalues = output_curvature(outputs, targets, beta)
        flat = size - (num_outputs - 1) if beta == 1 else num_learners
        assert ((eigenvalues.abs() < 1e-10).sum(-1) == flat).all()
        assert ((eigenvalues < -1e-10).any() == (beta > 1 and num_learners > 1)).all()
    if (num_learners, num_outputs) == (5, 7):
        assert (size, size - (num_outputs - 1)) == (35, 29)


# ---- objective


@pytest.mark.parametrize(("loss", "average"), CASES)
def test_the_objective_lies_between_the_two_losses(loss, average):
    @draws
    def check(lead, num_learners, batch, num_outputs, seed):
        outputs, targets = draw_batch((*lead, num_learners, batch, num_outputs), loss, seed)
        parts = decompose(outputs, targets, loss=loss, average=average)
        assert parts.diversity.min() >= -1e-10
        for beta in (*BETAS, 0.9):
            objective = joint_objective(parts, beta)
            close(objective, parts.individual - beta * parts.diversity)
            close(objective, parts.ensemble + (1 - beta) * parts.diversity)
            assert beta > 1 or (objective >= parts.ensemble - 1e-10).all()
            assert beta < 0 or (objective <= parts.individual + 1e-10).all()

    check()


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 0.9])
def test_the_same_objective_under_other_names(weight):
    @draws
    def check(lead, num_learners, batch, num_outputs, seed):
        outputs, labels = draw_batch((num_learners, batch, max(2, num_outputs)), "cross_entropy", seed)
        own = torch.stack([cross_entropy(f, labels, reduction="none") for f in outputs]).mean(0)
        modular = weight * cross_entropy(outputs.mean(0), labels, reduction="none") + (1 - weight) * own
        close(modular, joint_objective(decompose(outputs, labels), weight))
        p = outputs.softmax(-1).mean(0)[range(batch), labels]
        parts = decompose(outputs, labels, average="probabilities")
        close(weight * own - (1 - weight) * p.log(), joint_objective(parts, 1 - weight))

        f, targets = draw_batch((num_learners, batch, num_outputs), "squared_error", seed)
        parts = decompose(f, targets, loss="squared_error")
        variance = (f - f.mean(0)).square().sum(-1).mean(0)
        close(parts.individual - weight * variance, joint_objective(parts, weight))  # GNCL, D = 2I

        def penalised(f, mean):  # negative correlation learning, with the sum over the other learners written out
            others = torch.stack([sum(f[j] - mean for j in range(len(f)) if j != i) + 0 * f[0] for i in range(len(f))])
            return (f - targets).square() / 2 + weight * (f - mean) * others

        close(2 * penalised(f, f.mean(0)).sum(-1).mean(0), joint_objective(parts, 2 * weight))
        for mean_follows, beta in ((False, weight), (True, 2 * weight * (1 - 1 / num_learners))):
            own = f.clone().requires_grad_()
            for learner in range(num_learners):  # each on its own loss, the others held fixed
                alone = torch.cat([f[:learner], own[learner : learner + 1], f[learner + 1 :]])
                penalised(alone, (alone if mean_follows else f).mean(0))[learner].sum().backward()
            ours = output_gradient(f, targets, beta, loss="squared_error")
            close(own.grad, num_learners / 2 * ours)

    check()


FAR = torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=torch.float64)


@pytest.mark.parametrize("beta", [1.01, 2.0])
@pytest.mark.parametrize(("num_learners", "num_outputs"), [(2, 2), (5, 7)])
def test_beyond_one_there_is_no_lower_bound(beta, num_learners, num_outputs):
    """Along each sequence diversity grows as its closed form, and the ensemble loss stays bounded."""
    outputs = torch.zeros(num_learners, len(FAR), num_outputs, dtype=torch.float64)
    labels, values = torch.zeros(len(FAR), dtype=torch.int64), torch.zeros(len(FAR), num_outputs, dtype=torch.float64)
    apart, weak = outputs.clone(), outputs.clone()
    apart[0, :, 0], apart[1, :, 0], weak[0, :, 0] = FAR, -FAR, -FAR
    for f, targets, keys, slope in [
        (apart, values, {"loss": "squared_error"}, 2 * FAR / num_learners),
        (apart, labels, {"average": "scores"}, 1 / num_learners),
        (weak, labels, {"average": "probabilities"}, 1 / num_learners),
    ]:
        parts = decompose(f, targets, **keys)
        assert parts.ensemble.max() <= math.log(num_learners * num_outputs / (num_learners - 1)) + 1e-10
        objective = joint_objective(parts, beta)
        falling = objective + (beta - 1) * slope * FAR  # the objective without its linear fall is bounded
        assert falling.abs().max() < 10
        assert objective[-1] < objective[0]
    near = torch.exp(-FAR)
    closed = FAR + torch.log1p((num_outputs - 1) * near) + torch.log(near + num_outputs - 1) - 2 * math.log(num_outputs)
    close(decompose(apart, labels).diversity, closed / num_learners)


@draws
def test_the_released_objective_is_bounded_for_every_beta(lead, num_learners, batch, num_outputs, seed):
    num_outputs = max(2, num_outputs)
    outputs, labels = draw_batch((*lead, num_learners, batch, num_outputs), "cross_entropy", seed, scale=100.0)
    parts, top = decompose(outputs, labels, average="released"), math.log(math.e + num_outputs - 1)
    for beta in (1.0, 1.5, 100.0):
        lowest = top - 1 - (beta - 1) * (top - math.log(num_outputs) - 1 / num_outputs)
        assert joint_objective(parts, beta).min() >= lowest - 1e-10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, y: output_gradient(f, y, 1.0, average="median"), "'median'; allowed are"),
        (lambda f, y: output_gradient(f, y + 9, 1.0), "allowed are 0..4"),
        (lambda f, y: output_curvature(f.unsqueeze(0), y, 1.0), r"\(1, 3, 4, 5\); allowed is \(M, B, K\)"),
        (lambda f, y: second_order(nll, f.float(), y), "allowed are finite float64"),
        (lambda f, y: second_order(nll, f[0], y), r"allowed are finite float64 numbers \(M, B, K\)"),
        (lambda f, y: second_order(lambda f, y: f.sum(), f, y), r"loss has shape \(\); allowed is \(3, 4\)"),
    ],
)
def test_bad_input_is_rejected(call, message):
    outputs = torch.zeros(3, 4, 5, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        call(outputs, torch.zeros(4, dtype=torch.int64))
