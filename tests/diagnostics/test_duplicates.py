"""Tests of learners that are not different: they are named, and there is no verdict on copies of one learner."""

import numpy as np
import pytest

from jointens import diagnose
from jointens.diagnostics import statistics
from jointens.diagnostics.duplicates import same_learners
from jointens.theory import draw_batch


@pytest.fixture(autouse=True)
def few_subsets(monkeypatch):
    monkeypatch.setattr(statistics, "REPEATS", 3)


def test_groups_of_the_same_learners():
    outputs, _ = draw_batch((6, 40, 3), "squared_error", seed=0)
    assert same_learners(outputs) == ()
    assert same_learners(outputs[[0, 1, 0, 2, 1, 0]]) == ((0, 2, 5), (1, 4))
    assert same_learners(outputs[[3, 3]]) == ((0, 1),)
    late = outputs[[0, 0, 1]]
    late[1, 39, 2] += 0.01  # the last example differs
    assert same_learners(late) == ()


@pytest.mark.parametrize("offset", [0, 1e8])
@pytest.mark.parametrize("scale", [1e-150, 1, 1e150])
def test_they_may_differ_by_rounding_of_what_varies(offset, scale):
    """As one network does whose batches had other sizes; a large mean of all outputs is no excuse."""
    outputs, noise = (draw_batch((3, 40, 3), "squared_error", seed=seed)[0] for seed in (0, 1))
    same = outputs[:1].expand(3, -1, -1)
    assert same_learners(scale * (offset + same + 1e-7 * noise)) == ((0, 1, 2),)
    assert same_learners(scale * (offset + same + 1e-2 * noise)) == ()
    assert same_learners((same + 1e-7 * noise).float()) == ((0, 1, 2),)


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_the_verdict_names_them(loss):
    outputs, targets = draw_batch((5, 40, 3), loss, seed=0)

    def verdict(*learners, reference=None):
        return diagnose(outputs[list(learners)], targets, loss=loss, reference=reference).verdict

    question = "give the same outputs: do they share a seed or a checkpoint?"
    assert "same" not in verdict(0, 1, 2, 3, 4)
    all_alike = f"All 4 learners {question} There is nothing to diagnose."
    assert verdict(2, 2, 2, 2) == verdict(2, 2, 2, 2, reference=outputs[:4]) == all_alike
    assert f"Learners 0 and 3 (counted from 0) {question}" in verdict(0, 1, 2, 0)
    assert f"Learners 0, 2 and 4; 1 and 3 (counted from 0) {question}" in verdict(0, 1, 0, 1, 0)


def test_signs_of_collusion_are_named_beside_them():
    targets = np.linspace(-1, 1, 40)
    noise = np.random.default_rng(0).normal(size=(3, 40))
    outputs = targets + noise - noise.mean(0)
    report = diagnose(outputs[[0, 1, 2, 0, 1, 2]], targets, loss="squared_error")
    assert report.verdict.startswith("Signs of collusion: ") and report.duplicates == ((0, 3), (1, 4), (2, 5))
    assert report.verdict.endswith("Learners 0 and 3; 1 and 4; 2 and 5 (counted from 0) give the same outputs: "
                                   "do they share a seed or a checkpoint?")  # fmt: skip
