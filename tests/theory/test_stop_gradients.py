"""Learners that take each other for constants: gradients by hand, and those of L^β; the book shows these tests."""

import numpy as np
import pytest
import torch
from drawing import CASES

from jointens.theory import draw_batch, output_gradient, stop_gradient

BETAS = [-0.5, 0.0, 0.3, 1.0, 1.5]
M, K = 4, 3


def close(left, right, atol=1e-10):
    torch.testing.assert_close(left, right, rtol=0, atol=atol)


@pytest.mark.parametrize(("loss", "average"), CASES)
@pytest.mark.parametrize("beta", BETAS)
def test_with_the_others_as_constants_the_gradient_is_that_of_the_objective(loss, average, beta):
    outputs, targets = draw_batch((M, 50, K), loss, seed=1)
    found = stop_gradient(outputs, targets, beta, loss=loss, average=average)
    close(found, output_gradient(outputs, targets, beta, loss=loss, average=average))


@pytest.mark.parametrize(("loss", "average"), [case for case in CASES if case[1] != "probabilities"])
@pytest.mark.parametrize("beta", BETAS)
def test_with_the_average_as_a_constant_the_gradient_is_m_times_that_of_the_objective(loss, average, beta):
    outputs, targets = draw_batch((M, 50, K), loss, seed=1)
    found = stop_gradient(outputs, targets, beta, loss=loss, average=average, constant="average")
    close(found, M * output_gradient(outputs, targets, beta, loss=loss, average=average))


@pytest.mark.parametrize("beta", BETAS)
def test_with_averaged_probabilities_as_a_constant_learners_train_independently(beta):
    """Diversity is then the learner's own log likelihood but for a constant, and only its rate changes."""
    outputs, targets = draw_batch((M, 50, K), seed=1)
    found = stop_gradient(outputs, targets, beta, average="probabilities", constant="average")
    close(found, M * (1 - beta) * output_gradient(outputs, targets, 0, average="probabilities"))
    joint = M * output_gradient(outputs, targets, beta, average="probabilities")
    assert beta == 0 or (found - joint).abs().max() > 0.1


@pytest.mark.parametrize("constant", ["others", "average"])
def test_the_gradient_is_that_of_differences_of_a_learners_own_objective(constant):
    """In numpy, squared error and scores: one learner moves by ±h, what is constant stays."""
    f, y = (values.numpy() for values in draw_batch((M, 1, K), "squared_error", seed=2, scale=1.0))
    label, beta, h = 1, 0.7, 1e-5

    def log_softmax(z):
        return z - np.log(np.exp(z).sum(-1, keepdims=True))

    def squared(own, mean, moving):
        if constant == "others":
            return (1 - beta) * ((own - y[0]) ** 2).sum() / M + beta * ((moving - y[0]) ** 2).sum()
        return ((own - y[0]) ** 2).sum() - beta * ((own - mean) ** 2).sum()

    def scores(own, mean, moving):
        if constant == "others":
            return -(1 - beta) * log_softmax(own)[label] / M - beta * log_softmax(moving)[label]
        log_mean = log_softmax(mean)
        return -log_softmax(own)[label] - beta * (np.exp(log_mean) * (log_mean - log_softmax(own))).sum()

    for loss, targets, objective in (
        ("squared_error", torch.tensor(y), squared),
        ("cross_entropy", torch.tensor([label]), scores),
    ):
        mean, found = f[:, 0].mean(0), np.zeros((M, K))
        for learner in range(M):
            for k in range(K):
                step = np.zeros(K)
                step[k] = h
                up, down = (objective(f[learner, 0] + d, mean, mean + d / M) for d in (step, -step))
                found[learner, k] = (up - down) / (2 * h)
        gradient = stop_gradient(torch.tensor(f), targets, beta, loss=loss, constant=constant)
        np.testing.assert_allclose(gradient[:, 0], found, rtol=0, atol=1e-8)


def test_single_logits_and_targets_without_an_axis_are_taken():
    outputs, targets = draw_batch((M, 6, 1), seed=0)
    close(stop_gradient(outputs, targets, 0.5), output_gradient(outputs, targets, 0.5))
    outputs, targets = draw_batch((M, 6, 1), "squared_error", seed=0)
    for constant, factor in (("others", 1), ("average", M)):
        found = stop_gradient(outputs, targets[:, 0], 0.5, loss="squared_error", constant=constant)
        close(found, factor * output_gradient(outputs, targets, 0.5, loss="squared_error"))


def test_what_is_refused():
    outputs, targets = draw_batch((M, 6, K))
    with pytest.raises(ValueError, match="unknown constant 'mean'; allowed are others, average"):
        stop_gradient(outputs, targets, 0.5, constant="mean")
    with pytest.raises(ValueError, match=r"shape \(2, 4, 6, 3\); allowed is \(M, B, K\)"):
        stop_gradient(outputs.expand(2, -1, -1, -1), targets, 0.5)
