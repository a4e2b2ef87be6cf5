"""Tests of the decomposition: identities, agreement with torch's losses, precision, and rejected input."""

import functools

import numpy as np
import pytest
import torch
from drawing import CASES, draws
from torch.nn.functional import cross_entropy

from jointens import decompose, ensemble_output, joint_objective
from jointens.losses import decompose_unchecked
from jointens.theory import draw_batch


@pytest.mark.parametrize(("loss", "average"), CASES)
def test_ensemble_is_individual_minus_diversity(loss, average):
    @draws
    def check(lead, num_learners, batch, num_outputs, seed):
        outputs, targets = draw_batch((*lead, num_learners, batch, num_outputs), loss, seed)
        parts = decompose(outputs, targets, loss=loss, average=average)
        assert parts.individual.shape == parts.ensemble.shape == parts.diversity.shape == (*lead, batch)
        torch.testing.assert_close(parts.ensemble, parts.individual - parts.diversity, rtol=0, atol=1e-10)

    check()


@draws
def test_score_diversity_is_the_mean_kl_from_the_ensemble_and_not_negative(
    lead, num_learners, batch, num_outputs, seed
):
    outputs, targets = draw_batch((*lead, num_learners, batch, max(2, num_outputs)), "cross_entropy", seed)
    ensemble = outputs.mean(-3, keepdim=True).log_softmax(-1)
    kl = (ensemble.exp() * (ensemble - outputs.log_softmax(-1))).sum(-1).mean(-2)
    diversity = decompose(outputs, targets).diversity
    torch.testing.assert_close(diversity, kl, rtol=0, atol=1e-10)
    assert (diversity >= -1e-10).all()


@draws
def test_squared_error_diversity_is_the_variance(lead, num_learners, batch, num_outputs, seed):
    outputs, targets = draw_batch((*lead, num_learners, batch, num_outputs), "squared_error", seed)
    variance = outputs.var(-3, correction=0).sum(-1)
    diversity = decompose(outputs, targets, loss="squared_error").diversity
    torch.testing.assert_close(diversity, variance, rtol=0, atol=1e-10)


@draws
def test_losses_are_those_of_torch(lead, num_learners, batch, num_outputs, seed):
    """Compare individual and ensemble loss with torch's cross-entropy, one learner at a time."""
    outputs, targets = draw_batch((num_learners, batch, max(2, num_outputs)), "cross_entropy", seed)
    probabilities = outputs.softmax(-1)
    plain = torch.stack([cross_entropy(scores, targets, reduction="none") for scores in outputs]).mean(0)
    released = torch.stack([cross_entropy(p, targets, reduction="none") for p in probabilities]).mean(0)
    expected = {
        "scores": (plain, cross_entropy(outputs.mean(0), targets, reduction="none")),
        "probabilities": (plain, -probabilities.mean(0)[range(batch), targets].log()),
        "released": (released, cross_entropy(probabilities.mean(0), targets, reduction="none")),
    }
    for average, (individual, ensemble) in expected.items():
        parts = decompose(outputs, targets, average=average)
        torch.testing.assert_close(parts.individual, individual, rtol=0, atol=1e-10)
        torch.testing.assert_close(parts.ensemble, ensemble, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("loss", "average"), CASES)
def test_the_ensembles_loss_is_the_loss_of_the_ensembles_output(loss, average):
    outputs, targets = draw_batch((3, 4, 5, 6), loss, seed=1)
    joint = ensemble_output(outputs, loss=loss, average=average)
    parts = decompose(outputs, targets, loss=loss, average=average)
    if loss == "squared_error":
        expected = (joint - targets).square().sum(-1)
    else:
        expected = cross_entropy(joint.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
    torch.testing.assert_close(parts.ensemble, expected, rtol=0, atol=1e-10)


def test_beta_may_differ_between_runs():
    outputs, targets = draw_batch((2, 3, 4, 5, 6), "cross_entropy", seed=6)
    parts = decompose(outputs, targets)
    betas = torch.tensor([[0.0, 0.5, 1.0]], dtype=torch.float64)
    objective = joint_objective(parts, betas)
    for column, beta in enumerate([0.0, 0.5, 1.0]):
        torch.testing.assert_close(objective[:, column], joint_objective(parts, beta)[:, column])
    torch.testing.assert_close(objective[:, 0], parts.individual[:, 0])
    torch.testing.assert_close(objective[:, 2], parts.ensemble[:, 2])


@pytest.mark.parametrize(("loss", "average"), CASES)
def test_weights(loss, average):
    """Uniform weights are the default, all weight on one learner gives that learner, and the identity holds."""
    outputs, targets = draw_batch((2, 3, 4, 5), loss, seed=7)
    plain = decompose(outputs, targets, loss=loss, average=average)
    uniform = decompose(
        outputs, targets, loss=loss, average=average, weights=torch.full((3,), 1 / 3, dtype=torch.float64)
    )
    alone = decompose(outputs, targets, loss=loss, average=average, weights=torch.tensor([0.0, 1.0, 0.0]))
    only = decompose(outputs[:, 1:2], targets, loss=loss, average=average)
    mixed = decompose(outputs, targets, loss=loss, average=average, weights=torch.tensor([[0.2, 0.3, 0.5]] * 2))
    for part in ("individual", "ensemble", "diversity"):
        torch.testing.assert_close(getattr(uniform, part), getattr(plain, part))
        torch.testing.assert_close(getattr(alone, part), getattr(only, part))
    torch.testing.assert_close(mixed.ensemble, mixed.individual - mixed.diversity, rtol=0, atol=1e-10)


@pytest.mark.parametrize("average", ["scores", "probabilities", "released"])
def test_stable_for_large_logits(average):
    """float32 logits of ±200 agree with float64, and the gradient stays finite."""
    signs = torch.randint(2, (5, 8, 10), generator=torch.Generator().manual_seed(8)) * 2 - 1
    outputs, targets = (200.0 * signs).requires_grad_(), torch.arange(8)
    parts, exact = (decompose(o, targets, average=average) for o in (outputs, outputs.detach().double()))
    for part in ("individual", "ensemble", "diversity"):
        torch.testing.assert_close(getattr(parts, part).double(), getattr(exact, part), rtol=1e-6, atol=1e-4)
    joint_objective(parts, 0.5).sum().backward()
    assert outputs.grad.isfinite().all()


@pytest.mark.parametrize(("scale", "spread", "offset"), [(20, 0.01, 0), (200, 0.5, 0), (1, 0.1, 1000)])
def test_small_score_diversity_is_exact_and_not_negative_in_float32(scale, spread, offset):
    generator = torch.Generator().manual_seed(12)
    common, own = torch.randn(1, 200, 10, generator=generator), torch.randn(5, 200, 10, generator=generator)
    outputs, targets = offset + scale * common + spread * own, torch.zeros(200, dtype=torch.int64)
    diversity = decompose(outputs, targets).diversity
    exact = decompose(outputs.double(), targets).diversity
    torch.testing.assert_close(diversity.double(), exact, rtol=1e-5, atol=1e-6)
    assert diversity.min() > -1e-6


@pytest.mark.parametrize("weight", [0.0, 1e-30])
def test_the_gradient_of_weights_and_outputs_is_finite_at_weight_zero(weight):
    """By hand, p̄ = Σ w_i p_iy / Σ w_i: the loss −log p̄ has the gradient 1 − p_iy / p̄ in w_i, as Σ w_i is 1."""
    outputs, targets = draw_batch((3, 8, 4), "cross_entropy", seed=3)
    outputs.requires_grad_()
    weights = torch.tensor([weight, 0.25, 0.75], dtype=torch.float64, requires_grad=True)
    joint = decompose(outputs, targets, average="probabilities", weights=weights).ensemble
    gradients = torch.autograd.grad(joint.sum(), (weights, outputs))
    p = np.exp(outputs.detach().numpy())
    p /= p.sum(-1, keepdims=True)
    own = p[:, np.arange(8), targets.numpy()]  # (M, B)
    mean = np.array([weight, 0.25, 0.75]) @ own
    np.testing.assert_allclose(joint.detach(), -np.log(mean), atol=1e-12)
    np.testing.assert_allclose(gradients[0], (1 - own / mean).sum(1), atol=1e-10)
    hot = np.eye(4)[targets.numpy()]
    shares = np.array([[weight], [0.25], [0.75]]) * own / mean  # of p̄
    np.testing.assert_allclose(gradients[1], shares[..., None] * (p - hot), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_learner_of_weight_zero_that_is_right_alone_has_no_effect(dtype):
    """The others are off by 2000 nats: e^2000 is infinite."""
    outputs = torch.tensor([[[2000.0, 0.0]], [[0.0, 2000.0]]], dtype=dtype, requires_grad=True)
    weights = torch.tensor([0.0, 1.0], dtype=dtype)
    joint = decompose(outputs, torch.tensor([0]), average="probabilities", weights=weights).ensemble
    joint.sum().backward()
    assert joint.item() == 2000
    torch.testing.assert_close(outputs.grad, torch.tensor([[[0.0, 0.0]], [[-1.0, 1.0]]], dtype=dtype))


def runs_last(function):
    """Map over the last axis of the outputs."""
    return lambda outputs, targets: torch.func.vmap(function, in_dims=(-1, 0))(outputs.movedim(0, -1), targets)


@pytest.mark.parametrize("call", [torch.func.vmap, runs_last])
@pytest.mark.parametrize(("loss", "average"), CASES)
@pytest.mark.parametrize("num_outputs", [1, 6])
def test_under_vmap_it_is_what_it_is_without(call, loss, average, num_outputs):
    outputs, targets = draw_batch((3, 4, 5, num_outputs), loss, seed=13)
    expected = decompose(outputs, targets, loss=loss, average=average)
    for function in (decompose, decompose_unchecked):
        mapped = functools.partial(function, loss=loss, average=average)
        for part, other in zip(call(mapped)(outputs, targets), expected, strict=True):
            torch.testing.assert_close(part, other, rtol=0, atol=1e-12)


def test_vmap_of_weights_of_probabilities_and_of_a_gradient():
    outputs, targets = draw_batch((3, 4, 25, 6), "cross_entropy", seed=14)
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0], [0.25] * 4], dtype=torch.float64)
    options = {"average": "probabilities", "outputs_are": "probabilities"}

    def ensemble_loss(values, classes, own_weights):
        return decompose(values, classes, weights=own_weights, **options).ensemble.sum()

    p = outputs.softmax(-1)
    found = torch.func.vmap(torch.func.grad(ensemble_loss))(p, targets, weights)
    given = p.clone().requires_grad_()
    decompose(given, targets, weights=weights, **options).ensemble.sum().backward()
    torch.testing.assert_close(found, given.grad, rtol=1e-12, atol=1e-12)
    last = torch.func.vmap(ensemble_loss, in_dims=(0, 0, 1))(p, targets, weights.T)
    expected = decompose(p, targets, weights=weights, **options).ensemble.sum(-1)
    torch.testing.assert_close(last, expected, rtol=1e-12, atol=1e-12)


def test_one_bad_run_is_rejected_under_vmap():
    outputs, targets = draw_batch((3, 4, 25, 6), "cross_entropy", seed=15)
    nan, wrong, weights = outputs.clone(), targets.clone(), torch.full((3, 4), 0.25)
    nan[1, 0, 0, 0], wrong[1, 0], weights[1] = torch.nan, 6, 0.3
    mapped = torch.func.vmap(lambda *given: decompose(*given[:2], weights=given[2]))
    even = torch.full((3, 4), 0.25)
    for given, message in (
        ((nan, targets, even), r"outputs hold NaN or infinite values, 1 of 1800"),
        ((outputs, wrong, even), r"classes 0\.\.6; allowed are 0\.\.5"),
        ((outputs, targets, weights), "sum 1"),
        ((outputs.softmax(-1), targets, even), "look like probabilities"),
    ):
        with pytest.raises(ValueError, match=message):
            mapped(*given)


@pytest.mark.parametrize("average", ["scores", "probabilities", "released"])
def test_float32_inside_under_autocast(average):
    outputs, targets = draw_batch((5, 6, 10), "cross_entropy", seed=9)
    half = outputs.to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts = decompose(half, targets, average=average, weights=torch.full((5,), 0.2))
    assert parts.ensemble.dtype == parts.individual.dtype == parts.diversity.dtype == torch.float32
    exact = decompose(half.double(), targets, average=average)
    torch.testing.assert_close(parts.diversity.double(), exact.diversity, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("loss", "average"), CASES)
def test_one_learner_has_no_diversity(loss, average):
    outputs, targets = draw_batch((1, 1, 4), loss, seed=10)
    parts = decompose(outputs, targets, loss=loss, average=average)
    torch.testing.assert_close(parts.diversity, torch.zeros(1, dtype=torch.float64), rtol=0, atol=1e-12)


def test_squared_error_targets_without_an_output_axis_and_shared_by_runs():
    outputs, targets = draw_batch((2, 3, 4, 1), "squared_error", seed=11)
    full = decompose(outputs, targets, loss="squared_error")
    torch.testing.assert_close(decompose(outputs, targets[..., 0], loss="squared_error").ensemble, full.ensemble)
    shared = decompose(outputs, targets[0, :, 0], loss="squared_error")
    torch.testing.assert_close(shared.ensemble[0], full.ensemble[0])


OUTPUTS = torch.zeros(3, 4, 5)
CLASSES = torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("outputs", "targets", "keys", "message"),
    [
        (OUTPUTS, CLASSES, {"loss": "hinge"}, "'hinge'; allowed are cross_entropy, squared_error"),
        (OUTPUTS, CLASSES, {"average": "median"}, "'median'; allowed are scores, probabilities, released"),
        (OUTPUTS[0], CLASSES, {}, r"\(4, 5\); allowed is \(..., M, B, K\)"),
        (torch.zeros(3, 0, 5), CLASSES[:0], {}, "no axis empty"),
        (OUTPUTS.long(), CLASSES, {}, "torch.int64; allowed is a tensor of floating-point"),
        (OUTPUTS.tolist(), CLASSES, {}, "outputs are list"),
        (OUTPUTS.index_fill(0, torch.tensor([0]), torch.nan), CLASSES, {}, "NaN or infinite"),
        (OUTPUTS.index_fill(0, torch.tensor([0]), torch.inf), CLASSES, {}, "NaN or infinite"),
        (OUTPUTS, torch.zeros(3, dtype=torch.int64), {}, r"\(3,\); outputs \(3, 4, 5\) allow \(4,\)"),
        (OUTPUTS, CLASSES.tolist(), {}, "targets are list"),
        (OUTPUTS, CLASSES.float(), {}, "float32; allowed are integer classes"),
        (OUTPUTS, CLASSES + 5, {}, r"5\.\.5; allowed are 0\.\.4"),
        (OUTPUTS, CLASSES - 1, {}, r"-1\.\.-1; allowed are 0\.\.4"),
        (OUTPUTS, torch.zeros(4), {"loss": "squared_error"}, r"allow \(4, 5\)"),
        (OUTPUTS, torch.full((4, 5), torch.nan), {"loss": "squared_error"}, "finite"),
        (OUTPUTS, CLASSES, {"weights": torch.ones(4) / 4}, r"allowed is \(3,\)"),
        (OUTPUTS, CLASSES, {"weights": torch.ones(3)}, "sum 1"),
        (OUTPUTS, CLASSES, {"weights": torch.ones(7, 3) / 3}, r"\(7, 3\); allowed is \(3,\)"),
        (OUTPUTS, CLASSES, {"weights": torch.ones(3, dtype=torch.complex64)}, "complex64; allowed are real"),
        (OUTPUTS, (CLASSES + 5).to(torch.uint16), {}, r"5\.\.5; allowed are 0\.\.4"),
        (OUTPUTS, CLASSES, {"weights": torch.tensor([-1.0, 1.0, 1.0])}, "non-negative"),
    ],
)
def test_bad_input_is_rejected(outputs, targets, keys, message):
    with pytest.raises(ValueError, match=message):
        decompose(outputs, targets, **keys)


def test_a_beta_that_does_not_broadcast_is_rejected():
    parts = decompose(torch.zeros(2, 3, 4, 5), CLASSES)
    with pytest.raises(ValueError, match=r"\(3,\); allowed is what broadcasts over the runs \(2,\)"):
        joint_objective(parts, torch.zeros(3))
