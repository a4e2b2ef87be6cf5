"""The exact minimum of L^β over a forest's leaf values: against autograd, the normal equations, and by hand."""

import numpy as np
import pytest
import torch

from jointens import decompose, joint_objective
from jointens.theory import fit_leaf_values, leaf_outputs

BETAS = [-1.0, 0.0, 0.5, 0.95, 1.0]


def draw(num_learners=3, num_examples=40, num_leaves=5, num_outputs=2, seed=0):
    """Leaves `(M, N)`, targets `(N, K)` and starts `(M, P, K)`; the last leaf of each tree is never reached."""
    generator = torch.Generator().manual_seed(seed)
    leaves = torch.randint(num_leaves - 1, (num_learners, num_examples), generator=generator)
    targets, start = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((num_examples, num_outputs), (num_learners, num_leaves, num_outputs))
    )
    return leaves, targets, start


def objective(values, leaves, targets, start, beta, ridge):
    """What is minimised, with the library's L^β."""
    parts = decompose(leaf_outputs(values, leaves), targets, loss="squared_error")
    return joint_objective(parts, beta).mean() + ridge * (values - start).square().sum() / len(values)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("ridge", [1e-6, 0.01, 1.0])
def test_the_gradient_of_the_objective_is_zero(beta, ridge):
    leaves, targets, start = draw()
    values = fit_leaf_values(leaves, targets, start, beta=beta, ridge=ridge).requires_grad_()
    loss = objective(values, leaves, targets, start, beta, ridge)
    (gradient,) = torch.autograd.grad(loss, values)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-9)
    assert loss < objective(start, leaves, targets, start, beta, ridge)


@pytest.mark.parametrize("beta", BETAS)
def test_the_values_solve_the_normal_equations(beta):
    """As one least squares problem over all leaf values, whose matrix is written out, by numpy."""
    leaves, targets, start = (of.numpy() for of in draw())
    (num_learners, num_examples), (_, num_leaves, num_outputs), ridge = leaves.shape, start.shape, 0.03
    member = (leaves[:, :, None] == np.arange(num_leaves)).astype(float)  # (M, N, P)
    every = member.transpose(1, 0, 2).reshape(num_examples, -1)  # (N, M·P)
    hessian = beta / num_learners**2 * every.T @ every / num_examples
    right = beta / num_learners * every.T @ targets / num_examples
    for i in range(num_learners):
        of_tree = slice(i * num_leaves, (i + 1) * num_leaves)
        share = (1 - beta) / (num_learners * num_examples)
        hessian[of_tree, of_tree] += share * member[i].T @ member[i]
        right[of_tree] += share * member[i].T @ targets
    hessian += ridge / num_learners * np.eye(len(hessian))
    right += ridge / num_learners * start.reshape(-1, num_outputs)
    expected = np.linalg.solve(hessian, right).reshape(start.shape)
    found = fit_leaf_values(*map(torch.tensor, (leaves, targets, start)), beta=beta, ridge=ridge)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_independent_values_are_the_means_of_the_leaves():
    """Two trees on three examples, by hand: without a ridge β = 0 gives means, and an empty leaf keeps its start."""
    leaves = torch.tensor([[0, 0, 1], [1, 1, 1]])
    start = torch.full((2, 2, 1), 7.0)
    values = fit_leaf_values(leaves, torch.tensor([[1.0], [2.0], [6.0]]), start, beta=0, ridge=0)
    torch.testing.assert_close(values[..., 0], torch.tensor([[1.5, 6], [7, 3]], dtype=torch.float64))
    assert leaf_outputs(values, leaves)[..., 0].tolist() == [[1.5, 1.5, 6], [3, 3, 3]]


def test_joint_values_move_no_further_than_they_have_to():
    """One example in two trees that start at 0 and 4, target 3: the mean must rise by 1, and both rise by as much."""
    leaves, start = torch.zeros(2, 1, dtype=torch.int64), torch.tensor([[[0.0]], [[4.0]]])
    values = fit_leaf_values(leaves, torch.tensor([[3.0]]), start, beta=1, ridge=1e-9)
    torch.testing.assert_close(values.flatten(), torch.tensor([1.0, 5.0], dtype=torch.float64), rtol=0, atol=1e-6)


def test_joint_training_is_kernel_regression_with_the_forests_kernel():
    """What the ensemble learns beyond its start, on new examples too."""
    leaves, targets, start = draw(num_learners=4)
    new, ridge = draw(num_learners=4, num_examples=11, seed=1)[0], 0.02
    values = fit_leaf_values(leaves, targets, start, beta=1, ridge=ridge)

    def shared(one, other):
        return (one.unsqueeze(2) == other.unsqueeze(1)).double().mean(0)  # the share of trees with the same leaf

    errors = targets - leaf_outputs(start, leaves).mean(0)
    dual = torch.linalg.solve(shared(leaves, leaves) + ridge * 40 * torch.eye(40), errors)
    expected = leaf_outputs(start, new).mean(0) + shared(new, leaves) @ dual
    torch.testing.assert_close(leaf_outputs(values, new).mean(0), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": torch.zeros(39, 2)}, r"targets \(39, 2\) .*allowed are \(M, N\), \(N, K\) and \(M, P, K\)"),
        ({"start": torch.zeros(2, 5, 2)}, "leaves are of 3 trees, start of 2; allowed is one number above 0"),
        ({"leaves": torch.full((3, 40), 5)}, "leaves go from 5 to 5; allowed is 0 to 4"),
        ({"start": torch.full((3, 5, 2), torch.nan)}, "hold NaN or infinite values; allowed are finite numbers"),
        ({"beta": 1.5}, "beta is 1.5; allowed is up to 1, where the objective is convex"),
        ({"ridge": -0.1}, "ridge is -0.1 at beta = 0.5; allowed is 0 and more, at beta = 1 more than 0"),
        ({"beta": 1.0, "ridge": 0.0}, "ridge is 0 at beta = 1; allowed is 0 and more, at beta = 1 more than 0"),
    ],
)
def test_what_does_not_fit_is_one_line(change, message):
    leaves, targets, start = draw()
    given = {"leaves": leaves, "targets": targets, "start": start, "beta": 0.5, "ridge": 0.1, **change}
    with pytest.raises(ValueError, match=message):
        fit_leaf_values(**given)
