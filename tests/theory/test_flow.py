"""Tests of the exact gradient flow against numerical integration and against the theorems about its limit."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jointens.theory import gradient_flow, joint_end, output_gradient, responses

SEEDS = st.integers(0, 2**31)
SIZES = st.integers(1, 5)


def normal(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draw(num_learners, num_outputs, seed):
    """Draw starts, a target, and responses with eigenvalues from 0.5 to 2 in random directions."""
    generator = torch.Generator().manual_seed(seed)
    axes, _ = torch.linalg.qr(torch.randn(num_learners, num_outputs, num_outputs, generator=generator).double())
    speeds = 0.5 + 1.5 * torch.rand(num_learners, 1, num_outputs, generator=generator, dtype=torch.float64)
    starts, target = (
        2 * torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((num_learners, num_outputs), (num_outputs,))
    )
    # Symmetrise: the two triangles of the product are rounded differently.
    drawn = (axes * speeds) @ axes.mT
    return starts, target, (drawn + drawn.mT) / 2


def times(*values):
    return torch.tensor(values, dtype=torch.float64)


def draws(function=None, **more):
    if function is None:
        return functools.partial(draws, **more)
    arguments = {"num_learners": SIZES, "num_outputs": SIZES, "seed": SEEDS, **more}
    return settings(max_examples=40, deadline=None)(given(**arguments)(function))


@pytest.mark.parametrize("beta", [-0.5, 0.0, 0.5, 1.0, 1.2])
def test_the_flow_follows_the_gradient_of_the_objective(beta):
    """Fourth-order Runge–Kutta steps along −M A_i ∂L^β/∂f_i, with the gradient's closed form."""
    starts, target, speeds = draw(3, 2, seed=1)

    def velocity(learners):
        pull = output_gradient(learners.unsqueeze(1), target.unsqueeze(0), beta, loss="squared_error")[:, 0]
        return -len(learners) * (speeds @ pull.unsqueeze(-1)).squeeze(-1)

    learners, step, path = starts, 1 / 200, [starts]
    for _ in range(200):
        k1 = velocity(learners)
        k2 = velocity(learners + step / 2 * k1)
        k3 = velocity(learners + step / 2 * k2)
        k4 = velocity(learners + step * k3)
        learners = learners + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(learners)
    when = torch.linspace(0, 1, 201, dtype=torch.float64)
    exact = gradient_flow(starts, target, beta=beta, times=when, responses=speeds)
    torch.testing.assert_close(exact, torch.stack(path), rtol=0, atol=1e-7)


@draws(beta=st.floats(-1, 2))
def test_free_learners_move_at_the_speeds_of_the_closed_form(num_learners, num_outputs, seed, beta):
    """Their mean's error falls as exp(−2t) whatever β, their deviations change as exp(−2(1 − β)t)."""
    starts, target, _ = draw(num_learners, num_outputs, seed)
    when, mean = times(0, 0.3, 1), starts.mean(0)
    for rate, learners in zip(-2 * when, gradient_flow(starts, target, beta=beta, times=when), strict=True):
        expected = target + rate.exp() * (mean - target) + (rate * (1 - beta)).exp() * (starts - mean)
        torch.testing.assert_close(learners, expected, rtol=1e-10, atol=1e-10)


def test_free_learners_keep_their_deviations_at_beta_one():
    starts, target, _ = draw(4, 3, seed=2)
    path = gradient_flow(starts, target, beta=1.0, times=torch.linspace(0, 20, 41))
    deviations = path - path.mean(1, keepdim=True)
    torch.testing.assert_close(deviations, deviations[:1].expand_as(deviations), rtol=0, atol=1e-12)
    torch.testing.assert_close(path[-1].mean(0), target, rtol=0, atol=1e-12)
    assert (path[-1] - target).norm(dim=-1).min() > 0.1  # no learner reaches the target


def test_above_beta_one_deviations_grow_while_the_mean_arrives():
    starts, target, speeds = draw(3, 2, seed=3)
    for given_responses in (None, speeds):
        path = gradient_flow(starts, target, beta=1.5, times=torch.linspace(0, 6, 13), responses=given_responses)
        apart = (path - path.mean(1, keepdim=True)).norm(dim=(1, 2))
        assert (apart[4:].diff() > 0).all()
        assert apart[-1] > 10 * apart[0]
    free = gradient_flow(starts, target, beta=1.5, times=times(12))[0]
    torch.testing.assert_close(free.mean(0), target, rtol=0, atol=1e-8)


def test_independent_learners_move_as_if_alone():
    starts, target, speeds = draw(4, 3, seed=4)
    when = torch.linspace(0, 2, 9)
    together = gradient_flow(starts, target, beta=0.0, times=when, responses=speeds)
    for index in range(4):
        one = slice(index, index + 1)
        for beta in (0.0, 1.0):  # for a single learner, β has no effect
            alone = gradient_flow(starts[one], target, beta=beta, times=when, responses=speeds[one])
            torch.testing.assert_close(together[:, one], alone, rtol=0, atol=1e-12)
    moved = starts.clone()
    moved[1:] += 1
    again = gradient_flow(moved, target, beta=0.0, times=when, responses=speeds)
    torch.testing.assert_close(again[:, 0], together[:, 0], rtol=0, atol=1e-12)
    coupled = gradient_flow(moved, target, beta=0.5, times=when, responses=speeds)
    assert (coupled[1:, 0] - together[1:, 0]).norm(dim=-1).min() > 1e-2


@draws
def test_joint_flow_ends_where_the_responses_take_it(num_learners, num_outputs, seed):
    starts, target, speeds = draw(num_learners, num_outputs, seed)
    end = joint_end(starts, target, speeds)
    late = gradient_flow(starts, target, beta=1.0, times=times(40), responses=speeds)[0]
    torch.testing.assert_close(late, end, rtol=0, atol=1e-10)
    torch.testing.assert_close(end.mean(0), target, rtol=0, atol=1e-10)


@draws(beta=st.floats(0, 0.9))
def test_below_one_every_learner_reaches_the_target(num_learners, num_outputs, seed, beta):
    starts, target, speeds = draw(num_learners, num_outputs, seed)
    late = gradient_flow(starts, target, beta=beta, times=times(400), responses=speeds)[0]
    torch.testing.assert_close(late, target.expand_as(late), rtol=0, atol=1e-8)


def test_learners_from_one_point_end_apart_if_their_responses_differ():
    start, target = times(1, 1).expand(3, -1), times(0, 0)
    different, equal = responses([0, 60, 120]), responses([30, 30, 30])
    end = joint_end(start, target, different)
    torch.testing.assert_close(end.mean(0), target, rtol=0, atol=1e-12)
    assert torch.pdist(end).min() > 0.5
    late = gradient_flow(start, target, beta=1.0, times=times(80), responses=different)[0]
    torch.testing.assert_close(late, end, rtol=0, atol=1e-10)
    torch.testing.assert_close(joint_end(start, target, equal), target.expand(3, -1), rtol=0, atol=1e-12)


def test_the_flow_starts_at_the_starts_and_can_be_continued():
    starts, target, speeds = draw(3, 2, seed=5)
    path = gradient_flow(starts, target, beta=0.7, times=times(0, 0.4, 1.1), responses=speeds)
    torch.testing.assert_close(path[0], starts, rtol=0, atol=1e-12)
    later = gradient_flow(path[1], target, beta=0.7, times=times(0.7), responses=speeds)
    torch.testing.assert_close(later[0], path[2], rtol=0, atol=1e-12)


def test_the_flow_is_computed_in_float64():
    starts, target, speeds = draw(3, 2, seed=6)
    singles = (tensor.float() for tensor in (starts, target, times(0, 1), speeds))
    names = ("starts", "target", "times", "responses")
    path = gradient_flow(beta=0.5, **dict(zip(names, singles, strict=True)))
    assert path.dtype == torch.float64
    expected = gradient_flow(starts, target, beta=0.5, times=times(0, 1), responses=speeds)
    torch.testing.assert_close(path, expected, rtol=0, atol=1e-5)


def test_responses_are_fast_along_their_angle_and_slow_across_it():
    found = responses([0, 90, 30], slow=0.25)
    assert found.shape == (3, 2, 2)
    torch.testing.assert_close(found[0], torch.diag(times(1, 0.25)))
    torch.testing.assert_close(found[1], torch.diag(times(0.25, 1)))
    along, across = times(3**0.5 / 2, 0.5), times(-0.5, 3**0.5 / 2)
    torch.testing.assert_close(found[2] @ along, along)
    torch.testing.assert_close(found[2] @ across, 0.25 * across)
    torch.testing.assert_close(found, found.mT, rtol=0, atol=0)


STARTS, TARGET, TIMES = normal(3, 2, seed=0), normal(2, seed=1), times(0, 1)
IDENTITY = torch.eye(2, dtype=torch.float64).expand(3, -1, -1)
SKEW = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64).expand(3, -1, -1)
ONE_NEGATIVE = torch.stack([IDENTITY[0], IDENTITY[0], -IDENTITY[0]])


@pytest.mark.parametrize(
    ("starts", "target", "when", "speeds", "message"),
    [
        (STARTS[0], TARGET, TIMES, None, r"starts \(2,\) and .*; allowed are \(M, K\) and \(K,\)"),
        (STARTS.unsqueeze(0), TARGET, TIMES, None, r"starts \(1, 3, 2\) and .*; allowed are \(M, K\)"),
        (STARTS, TARGET[:1], TIMES, None, r"target \(1,\); allowed are \(M, K\) and \(K,\)"),
        (STARTS, TARGET.expand(3, -1), TIMES, None, r"target \(3, 2\); allowed are \(M, K\) and \(K,\)"),
        (STARTS, TARGET, TIMES[0], None, r"times have shape \(\); allowed are finite numbers \(T,\)"),
        (STARTS, TARGET, TIMES.unsqueeze(0), None, r"times have shape \(1, 2\); allowed are finite numbers \(T,\)"),
        (STARTS[:0], TARGET, TIMES, None, r"starts \(0, 2\) and"),
        (torch.nan * STARTS, TARGET, TIMES, None, "NaN or infinite"),
        (STARTS, TARGET, TIMES, IDENTITY[:2], r"responses have shape \(2, 2, 2\); allowed is \(3, 2, 2\)"),
        (STARTS, TARGET, TIMES, IDENTITY[0], r"responses have shape \(2, 2\); allowed is \(3, 2, 2\)"),
        (STARTS, TARGET, TIMES, SKEW, "not all symmetric and positive definite"),
        (STARTS, TARGET, TIMES, ONE_NEGATIVE, "not all symmetric and positive definite"),
        (STARTS, TARGET, TIMES, 0 * IDENTITY, "not all symmetric and positive definite"),
        (STARTS, TARGET, TIMES, torch.nan * IDENTITY, "not all symmetric and positive definite"),
    ],
)
def test_bad_input_is_rejected(starts, target, when, speeds, message):
    with pytest.raises(ValueError, match=message):
        gradient_flow(starts, target, beta=0.5, times=when, responses=speeds)
