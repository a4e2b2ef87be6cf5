"""Tests of Bregman losses: the identity for each of them, their means, and rejected input."""

import math

import pytest
import torch
from drawing import draws
from torch.nn.functional import one_hot

from jointens import decompose
from jointens.losses import DIVERGENCES, Divergence, bregman_mean, decompose_bregman
from jointens.losses.bregman import POSITIVE
from jointens.theory import draw_batch

COSH = Divergence(lambda q: q.cosh().sum(-1), torch.sinh, torch.asinh)


def draw_points(divergence, shape, generator):
    """Draw predictions inside of the divergence's domain."""
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return {"squared_error": 3 * values, "kl": (3 * values).softmax(-1)}.get(divergence, values.exp())


def draw_targets(divergence, shape, generator):
    """Draw targets, some on the border of the domain: one-hot rows among soft ones, counts of zero."""
    inside = draw_points(divergence, shape, generator)
    if divergence == "poisson":
        return torch.randint(4, shape, generator=generator).double()
    if divergence == "kl":
        hot = one_hot(torch.randint(shape[-1], shape[:-1], generator=generator), shape[-1]).double()
        return torch.where(torch.rand(shape[:-1], generator=generator).unsqueeze(-1) < 0.5, hot, inside)
    return inside


def draw(divergence, lead, num_learners, batch, num_outputs, seed):
    generator = torch.Generator().manual_seed(seed)
    outputs = draw_points(divergence, (*lead, num_learners, batch, num_outputs), generator)
    return outputs, draw_targets(divergence, (*lead, batch, num_outputs), generator), generator


def assert_same(found, expected):
    for part, other in zip(found, expected, strict=True):
        torch.testing.assert_close(part, other, rtol=0, atol=1e-10)


def assert_identity(parts, shape):
    assert parts.individual.shape == parts.ensemble.shape == parts.diversity.shape == shape
    torch.testing.assert_close(parts.individual - parts.diversity, parts.ensemble, rtol=0, atol=1e-10)
    assert min(part.min() for part in parts) >= -1e-10


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_bregman_ensemble_is_individual_minus_diversity(divergence, weighted):
    @draws
    def check(lead, num_learners, batch, num_outputs, seed):
        outputs, targets, generator = draw(divergence, lead, num_learners, batch, num_outputs, seed)
        weights = None
        if weighted:  # one weighting for all runs, or one for each
            shape = (num_learners,) if seed % 2 else (*lead, num_learners)
            weights = torch.rand(shape, generator=generator, dtype=torch.float64)
            weights = weights / weights.sum(-1, keepdim=True)
        parts = decompose_bregman(outputs, targets, divergence=divergence, weights=weights)
        assert_identity(parts, (*lead, batch))
        shared = decompose_bregman(outputs, targets[(0,) * len(lead)], divergence=divergence, weights=weights)
        assert_identity(shared, (*lead, batch))

    check()


@draws
def test_kl_of_probabilities_is_cross_entropy_of_scores(lead, num_learners, batch, num_outputs, seed):
    num_outputs = max(2, num_outputs)  # a single output of `decompose` is the logit of two classes
    logits, classes = draw_batch((*lead, num_learners, batch, num_outputs), "cross_entropy", seed)
    found = decompose_bregman(logits.softmax(-1), one_hot(classes, num_outputs), divergence="kl")
    assert_same(found, decompose(logits, classes, average="scores"))


@draws
def test_squared_error_is_that_of_decompose(lead, num_learners, batch, num_outputs, seed):
    outputs, targets, generator = draw("squared_error", lead, num_learners, batch, num_outputs, seed)
    weights = torch.rand(num_learners, generator=generator, dtype=torch.float64)
    for given_weights in (None, weights / weights.sum()):
        found = decompose_bregman(outputs, targets, divergence="squared_error", weights=given_weights)
        expected = decompose(outputs, targets, loss="squared_error", weights=given_weights)
        assert_same(found, expected)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_divergence_is_zero_only_between_equal_points(divergence):
    generator = torch.Generator().manual_seed(1)
    here, there = (draw_points(divergence, (500, 4), generator) for _ in range(2))
    chosen = DIVERGENCES[divergence]
    assert chosen(here, there).min() > 1e-3
    torch.testing.assert_close(chosen(here, here), torch.zeros(500, dtype=torch.float64), rtol=0, atol=1e-12)
    assert chosen(draw_targets(divergence, (500, 4), generator), there).min() >= -1e-12


@pytest.mark.parametrize(
    ("divergence", "formula"),
    [
        ("squared_error", lambda y, q: (y - q).square()),
        ("kl", lambda y, q: torch.where(y > 0, y * (y / q).log(), 0.0)),
        ("poisson", lambda y, q: torch.where(y > 0, y * (y / q).log(), 0.0) + q - y),
        ("itakura_saito", lambda y, q: y / q - (y / q).log() - 1),
    ],
)
def test_a_divergence_is_its_textbook_formula(divergence, formula):
    generator = torch.Generator().manual_seed(2)
    y, q = draw_targets(divergence, (200, 5), generator), draw_points(divergence, (200, 5), generator)
    torch.testing.assert_close(DIVERGENCES[divergence](y, q), formula(y, q).sum(-1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_gradient_is_that_of_the_potential(divergence):
    """On the simplex only up to a constant, which cancels in the product with a difference of probabilities."""
    chosen = DIVERGENCES[divergence]
    q = draw_points(divergence, (50, 4), torch.Generator().manual_seed(3)).requires_grad_()
    (expected,) = torch.autograd.grad(chosen.potential(q).sum(), q)
    found = chosen.gradient(q).detach()
    if divergence == "kl":
        found, expected = (gradient - gradient.mean(-1, keepdim=True) for gradient in (found, expected))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


MEANS = {
    "squared_error": lambda q, w: (w * q).sum(-3),
    "kl": lambda q, w: (q**w).prod(-3) / (q**w).prod(-3).sum(-1, keepdim=True),
    "poisson": lambda q, w: (q**w).prod(-3),
    "itakura_saito": lambda q, w: 1 / (w / q).sum(-3),
}


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_each_divergence_has_its_mean(divergence):
    """Arithmetic; geometric, normalised; geometric; harmonic. Other points are farther from the learners."""
    outputs, _, generator = draw(divergence, (2,), 4, 5, 3, seed=4)
    uniform, chosen = (torch.tensor(w, dtype=torch.float64) for w in ([0.25] * 4, [0.1, 0.2, 0.3, 0.4]))
    for weights, given_weights in ((uniform, None), (chosen, chosen)):
        mean = bregman_mean(outputs, divergence=divergence, weights=given_weights)
        expected = MEANS[divergence](outputs, weights.view(4, 1, 1))
        torch.testing.assert_close(mean, expected, rtol=1e-12, atol=1e-12)

        def distance(point, weights=weights):
            return (weights.view(4, 1) * DIVERGENCES[divergence](point.unsqueeze(-3), outputs)).sum(-2)

        assert (distance(draw_points(divergence, mean.shape, generator)) > distance(mean)).all()


def gain_of_arithmetic_mean(learners, target):
    """Compute the gain from averaging in Itakura–Saito loss, with the arithmetic mean in place of the harmonic."""
    loss = DIVERGENCES["itakura_saito"]
    return loss(target.unsqueeze(-3), learners).mean(-2) - loss(target, learners.mean(-3))


def test_a_wrong_mean_can_be_worse_than_its_learners():
    """By hand, for learners 1 and 9: gain = y (5/9 − 1/5) + log 3 − log 5, which is negative below y = 1.43."""
    learners = torch.tensor([1.0, 9.0], dtype=torch.float64).view(2, 1, 1)
    for target, helps in ((0.1, False), (1.4, False), (1.5, True), (5.0, True)):
        y = torch.tensor([[target]], dtype=torch.float64)
        gain = gain_of_arithmetic_mean(learners, y).item()
        assert gain == pytest.approx(target * (5 / 9 - 1 / 5) + math.log(3 / 5), abs=1e-12)
        assert (gain > 0) == helps
        parts = decompose_bregman(learners, y, divergence="itakura_saito")
        assert parts.diversity.item() == pytest.approx(math.log(5 / 3), abs=1e-12)  # of the harmonic mean, 9/5
        assert parts.ensemble < parts.individual


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_diversity_does_not_depend_on_the_target(divergence):
    outputs, targets, generator = draw(divergence, (), 3, 6, 4, seed=5)
    others = draw_targets(divergence, targets.shape, generator)
    here, there = (decompose_bregman(outputs, labels, divergence=divergence) for labels in (targets, others))
    assert (here.ensemble - there.ensemble).abs().min() > 1e-4
    torch.testing.assert_close(here.diversity, there.diversity, rtol=0, atol=0)


def test_the_gain_of_a_wrong_mean_depends_on_the_target():
    outputs, targets, generator = draw("itakura_saito", (), 3, 6, 4, seed=6)
    others = draw_targets("itakura_saito", targets.shape, generator)
    assert (gain_of_arithmetic_mean(outputs, targets) - gain_of_arithmetic_mean(outputs, others)).abs().min() > 1e-3


@draws
def test_a_custom_divergence(lead, num_learners, batch, num_outputs, seed):
    outputs, targets, _ = draw("squared_error", lead, num_learners, batch, num_outputs, seed)
    assert_identity(decompose_bregman(outputs / 2, targets / 2, divergence=COSH), (*lead, batch))
    mean = bregman_mean(outputs / 2, divergence=COSH)
    torch.testing.assert_close(mean.sinh(), (outputs / 2).sinh().mean(-3), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("inverse", [torch.sinh, torch.atan, lambda g: g.asinh()[None], lambda g: g * torch.nan])
def test_a_wrong_inverse_is_rejected(inverse):
    outputs, targets, _ = draw("squared_error", (), 3, 4, 2, seed=7)
    wrong = COSH._replace(inverse=inverse)
    with pytest.raises(ValueError, match=r"inverse does not invert its gradient: inverse\(gradient\(q\)\) is not q"):
        decompose_bregman(outputs, targets, divergence=wrong)
    with pytest.raises(ValueError, match="inverse does not invert its gradient"):
        bregman_mean(outputs, divergence=wrong)


def test_a_custom_domain_is_checked():
    outputs, targets = torch.tensor([1.0, -1.0]).view(2, 1, 1), torch.zeros(1, 1)
    for domain, name in (("predictions", "outputs"), ("targets", "targets")):
        with pytest.raises(ValueError, match=f"{name} hold .* allowed are positive numbers"):
            decompose_bregman(outputs, targets, divergence=COSH._replace(**{domain: POSITIVE}))


def test_a_learner_with_weight_zero_is_ignored():
    outputs, targets, _ = draw("itakura_saito", (2,), 3, 4, 5, seed=8)
    weights = torch.tensor([0.5, 0.0, 0.5])
    found = decompose_bregman(outputs, targets, divergence="itakura_saito", weights=weights)
    expected = decompose_bregman(outputs[:, [0, 2]], targets, divergence="itakura_saito")
    assert_same(found, expected)


def test_half_precision_is_computed_in_float32():
    outputs, targets, _ = draw("poisson", (), 3, 4, 5, seed=9)
    parts = decompose_bregman(outputs.half(), targets.long(), divergence="poisson")
    exact = decompose_bregman(outputs.half().double(), targets, divergence="poisson")
    for part, other in zip(parts, exact, strict=True):
        assert part.dtype == torch.float32
        torch.testing.assert_close(part.double(), other, rtol=1e-4, atol=1e-4)


OUTPUTS = torch.full((3, 4, 5), 0.2)
TARGETS = torch.eye(5)[:4]
WITH_ZEROS = OUTPUTS.index_fill(-1, torch.tensor([2]), 0.0)  # one zero in each row


@pytest.mark.parametrize(
    ("outputs", "targets", "keys", "message"),
    [
        (OUTPUTS, TARGETS, {"divergence": "hinge"}, "'hinge'; allowed are squared_error, kl, poisson, itakura_saito"),
        (OUTPUTS, TARGETS, {"divergence": None}, "None; allowed are .*, or a Divergence"),
        (WITH_ZEROS, TARGETS, {"divergence": "poisson"}, "outputs hold .* allowed are positive numbers"),
        (-OUTPUTS, TARGETS, {"divergence": "poisson"}, "outputs hold .* allowed are positive numbers"),
        (WITH_ZEROS, OUTPUTS[0], {"divergence": "itakura_saito"}, "outputs hold .* allowed are positive numbers"),
        (OUTPUTS, TARGETS, {"divergence": "itakura_saito"}, "targets hold .* allowed are positive numbers"),
        (OUTPUTS, -TARGETS, {"divergence": "poisson"}, "targets hold .* allowed are numbers that are not negative"),
        (OUTPUTS + 0.1, TARGETS, {}, "outputs hold .* allowed are positive probabilities with sum 1"),
        (WITH_ZEROS / 0.8, TARGETS, {}, "outputs hold .* allowed are positive probabilities with sum 1"),
        (OUTPUTS, 0.9 * TARGETS, {}, "targets hold .* allowed are probabilities with sum 1"),
        (OUTPUTS, TARGETS.index_fill(0, torch.tensor([0]), 0.0), {}, "targets hold .* allowed are probabilities"),
        (OUTPUTS, TARGETS, {"weights": torch.ones(3)}, "sum 1"),
        (OUTPUTS, torch.zeros(4, dtype=torch.int64), {}, r"\(4,\); outputs \(3, 4, 5\) allow real numbers \(4, 5\)"),
        (OUTPUTS, TARGETS[:3], {}, r"\(3, 5\); outputs \(3, 4, 5\) allow real numbers \(4, 5\)"),
        (OUTPUTS, OUTPUTS, {}, r"\(3, 4, 5\); outputs \(3, 4, 5\) allow real numbers \(4, 5\)"),
        (OUTPUTS.expand(2, 3, 4, 5), OUTPUTS, {}, r"\(3, 4, 5\); .* allow real numbers \(2, 4, 5\) or \(4, 5\)"),
        (OUTPUTS, TARGETS.tolist(), {}, "targets are list"),
        (OUTPUTS * torch.nan, TARGETS, {}, "outputs hold NaN or infinite"),
        (OUTPUTS / 0, TARGETS, {"divergence": "poisson"}, "outputs hold NaN or infinite"),
        (OUTPUTS, TARGETS * torch.nan, {}, "targets hold .* allowed are"),
        (OUTPUTS, TARGETS + torch.inf, {"divergence": "squared_error"}, "targets hold .* allowed are finite numbers"),
        (OUTPUTS, TARGETS + torch.inf, {"divergence": "poisson"}, "targets hold .* allowed are numbers"),
        (OUTPUTS[0], TARGETS, {}, r"\(4, 5\); allowed is \(..., M, B, K\)"),
        (OUTPUTS.long(), TARGETS, {}, "torch.int64; allowed is a tensor of floating-point"),
        (OUTPUTS.tolist(), TARGETS, {}, "outputs are list"),
        (OUTPUTS, TARGETS, {"weights": torch.ones(4) / 4}, r"allowed is \(3,\)"),
        (OUTPUTS, TARGETS, {"weights": torch.tensor([-1.0, 1.0, 1.0])}, "non-negative"),
    ],
)
def test_bad_input_is_rejected(outputs, targets, keys, message):
    with pytest.raises(ValueError, match=message):
        decompose_bregman(outputs, targets, **keys)
    if "targets" not in message and "allow " not in message:  # the mean does not use the targets
        with pytest.raises(ValueError, match=message):
            bregman_mean(outputs, **keys)


@pytest.mark.parametrize(("divergence", "offset", "spread"), [("poisson", 1e5, 3), ("squared_error", 1000, 0.1)])
def test_small_diversity_is_exact_in_float32(divergence, offset, spread):
    """It is a difference of large potentials; float16 and float32 are returned as float32."""
    outputs = offset + spread * torch.randn(3, 200, 4, generator=torch.Generator().manual_seed(1))
    found = decompose_bregman(outputs, outputs[0], divergence=divergence).diversity
    exact = decompose_bregman(outputs.double(), outputs[0], divergence=divergence).diversity
    assert found.dtype == torch.float32 and (exact >= 0).all()
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=1e-12)
    half = torch.randn(3, 5, 4).softmax(-1).half()
    assert decompose_bregman(half, half[0].float()).ensemble.dtype == torch.float32


HALF_GRADIENT = Divergence(lambda q: q.square().sum(-1), lambda q: q, lambda g: g)
CONCAVE = Divergence(lambda q: -q.square().sum(-1), lambda q: -2 * q, lambda g: -g / 2)


@pytest.mark.parametrize("wrong", [HALF_GRADIENT, CONCAVE])
def test_an_invalid_divergence_is_rejected(wrong):
    outputs = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(ValueError, match="divergence is negative"):
        decompose_bregman(outputs, outputs[0] + 1, divergence=wrong)


@pytest.mark.parametrize("kind", [torch.float16, torch.float32])
def test_probabilities_may_sum_to_one_up_to_rounding(kind):
    """Softmax outputs in low precision, with targets close to them: the loss is near zero, not negative."""
    logits = torch.randn(3, 500, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parts = decompose_bregman(logits.to(kind).softmax(-1), logits[0].softmax(-1))
    assert parts.individual.min() >= 0 and parts.ensemble.min() >= 0
