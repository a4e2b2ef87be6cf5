"""The theory chapters' figures: what is drawn is what the theory says, and the same text each time."""

import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import jointens
from jointens import decompose, joint_objective
from jointens.reports import theory
from jointens.reports.style import AVERAGE_NAMES

BETAS = (0.0, 0.5, 1.0)


def normal(*shape, seed=0, scale=2.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TRIANGLE = torch.tensor([[0.0, 0.0], [2.0, 0.5], [1.0, 2.0]], dtype=torch.float64)
MOVES = torch.tensor([[-1.0, 0.5], [1.0, -0.5], [0.0, 0.0]], dtype=torch.float64)
CURVED = {"squared_error": normal(1, 3, seed=1), "cross_entropy": torch.tensor([1])}
DRAWN = {
    "collusion": lambda: theory.collusion(TRIANGLE, MOVES),
    "diversity_over_distance": theory.diversity_over_distance,
    "gradients": lambda: theory.gradients(normal(6, 4), 1),
    "curvature": lambda: theory.curvature(normal(3, 1, 3), CURVED, [0, 0.5, 1, 1.5]),
}


def lines(axes):
    """Its labelled lines, by label."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def assert_readable(figure):
    """Finite numbers, some of them; labelled axes; a note of where the numbers come from."""
    assert isinstance(figure, Figure)
    assert figure.get_supxlabel()
    assert figure.axes
    for axes in figure.axes:
        drawn = [line.get_xydata() for line in axes.lines if len(line.get_xydata())]
        assert drawn
        assert all(np.isfinite(points).all() for points in drawn)
        assert axes.get_xlabel()
    assert figure.axes[0].get_ylabel()
    shared = figure.axes[0].get_shared_y_axes()
    assert all(axes.get_ylabel() or axes.get_title() or shared.joined(figure.axes[0], axes) for axes in figure.axes)


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_readable_and_nothing_is_left_open(name):
    plt.get_backend()  # is chosen when first asked for
    before = plt.rcParams.copy()
    assert_readable(DRAWN[name]())
    assert not plt.get_fignums()
    assert plt.rcParams == before


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_figure_is_the_same_svg(name):
    first, again = (theory.svg(DRAWN[name]()) for _ in range(2))
    assert first == again
    assert "</svg>" in first
    assert "<dc:date>" not in first
    assert not re.search(r"\b20\d\d-\d\d-\d\d", first)


def test_another_figure_is_another_svg():
    assert theory.svg(theory.collusion(TRIANGLE, MOVES)) != theory.svg(theory.collusion(TRIANGLE, -MOVES))


def test_colluding_learners_move_and_their_average_stays():
    (axes,) = theory.collusion(TRIANGLE, MOVES).axes
    drawn = lines(axes)
    np.testing.assert_allclose(drawn["base learners"].get_xydata(), TRIANGLE + MOVES)
    np.testing.assert_allclose(drawn["their average: it stays"].get_xydata(), [TRIANGLE.mean(0).tolist()])
    (rings,) = [line for line in axes.lines if line.get_fillstyle() == "none"]
    np.testing.assert_allclose(rings.get_xydata(), TRIANGLE[:2])  # of the learners that move
    arrows = [note for note in axes.texts if note.arrow_patch is not None]
    assert [tuple(arrow.xy) for arrow in arrows] == [tuple(at) for at in (TRIANGLE + MOVES)[:2].tolist()]
    assert [note.get_text() for note in axes.texts if note.get_text()] == [
        "$f_{1}$",
        "$f_{2}$",
        "$f_{3}$",
        r"$\bar{f}$",
    ]


@pytest.mark.parametrize("num_classes", [3, 10, 100])
def test_released_diversity_stays_below_its_bound(num_classes):
    """log(e + K − 1) − log K − 1/K: softmax outputs taken for logits can be no further apart than corners."""
    bound = math.log(math.e + num_classes - 1) - math.log(num_classes) - 1 / num_classes
    figure = theory.diversity_over_distance(num_classes, furthest=40.0)
    for axes in figure.axes:
        released, scores = (lines(axes)[AVERAGE_NAMES[of]].get_ydata() for of in ("released", "scores"))
        assert (released <= bound + 1e-12).all()
        assert released.max() > bound / 4  # or the bound would say nothing
        assert scores.max() > 10 * bound


def test_diversity_over_distance_by_hand():
    """K = 3, at d: scores give log(e^d + 2) − log(2 e^(d/2) + 1), probabilities depend on the label."""
    figure = theory.diversity_over_distance(3, furthest=6.0)
    one, third = (lines(axes) for axes in figure.axes)
    assert list(one) == list(third) == list(AVERAGE_NAMES.values())
    scores, probabilities, released = AVERAGE_NAMES.values()
    d = one[scores].get_xdata()
    assert (d[0], d[-1]) == (0, 6)
    np.testing.assert_allclose(
        one[scores].get_ydata(), np.log(np.exp(d) + 2) - np.log(2 * np.exp(d / 2) + 1), atol=1e-12
    )
    np.testing.assert_allclose(third[scores].get_ydata(), one[scores].get_ydata(), atol=1e-12)
    np.testing.assert_allclose(third[released].get_ydata(), one[released].get_ydata(), atol=1e-12)
    np.testing.assert_allclose(third[probabilities].get_ydata(), 0, atol=1e-12)
    np.testing.assert_allclose(one[probabilities].get_ydata(), np.log((np.exp(d) + 1) / 2) - d / 2, atol=1e-12)
    assert len({line.get_color() for line in one.values()}) == len({line.get_linestyle() for line in one.values()}) == 3


def test_under_joint_score_averaging_every_learner_is_pulled_alike():
    drawn = lines(theory.gradients(normal(8, 5, seed=2), 3).axes[0])
    joint, alone = drawn["β = 1"].get_ydata(), drawn["β = 0"].get_ydata()
    assert np.ptp(joint) < 1e-12
    assert (np.diff(alone) != 0).all()
    assert np.ptp(alone) > 0.1


def test_gradients_are_those_of_the_objective():
    outputs, target = normal(6, 4, seed=3), 2
    own = outputs.softmax(-1)[:, target]
    order = own.argsort()
    figure = theory.gradients(outputs, target)
    assert [axes.get_title() for axes in figure.axes] == list(AVERAGE_NAMES.values())
    for axes, average in zip(figure.axes, AVERAGE_NAMES, strict=True):
        drawn = lines(axes)
        assert list(drawn) == [f"β = {beta:g}" for beta in BETAS]
        for beta in BETAS:
            leaf = outputs.unsqueeze(1).clone().requires_grad_()
            parts = decompose(leaf, torch.tensor([target]), average=average)
            (gradient,) = torch.autograd.grad(joint_objective(parts, beta).sum(), leaf)
            line = drawn[f"β = {beta:g}"]
            np.testing.assert_allclose(line.get_xdata(), own[order], atol=1e-12)
            np.testing.assert_allclose(line.get_ydata(), 6 * gradient[order, 0].norm(dim=-1), atol=1e-12)


def test_curvature_is_negative_above_beta_one_alone():
    betas, outputs = [0, 0.5, 1, 1.5], normal(3, 1, 4, seed=4)
    targets = {"squared_error": normal(1, 4, seed=5), "cross_entropy": torch.tensor([2])}
    squared, crossed = (
        np.stack([line.get_ydata() for line in axes.lines if len(line.get_xdata()) == len(betas)], 1)
        for axes in theory.curvature(outputs, targets, betas).axes
    )
    assert squared.shape == crossed.shape == (4, 3 * 4)
    for beta, values in zip(betas, squared, strict=True):  # 2/M for common moves, (1 − β) of it for zero-sum ones
        np.testing.assert_allclose(values, sorted([2 / 3] * 4 + [(1 - beta) * 2 / 3] * 8), atol=1e-12)
    lowest = crossed.min(1)
    assert (lowest[:3] > -1e-12).all()
    assert lowest[3] < -1e-3


def test_over_epochs_is_the_history_of_every_run(tiny):
    results = jointens.run(tiny(beta_vals=[0, 0.5, 1], num_epochs=3))
    figure = theory.over_epochs(results)
    objective, diversity = (axes.get_lines() for axes in figure.axes)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["β = 0", "β = 0.5", "β = 1"]
    runs = results.history().query("split == 'train'").groupby(["beta", "seed"])
    assert len(objective) == len(diversity) == len(runs) == 6
    for (beta, _), run in runs:
        mixed, own = (1 - beta) * run["individual"] + beta * run["ensemble"], run["diversity"]
        for drawn, expected in ((objective, mixed), (diversity, own)):
            matching = [line for line in drawn if np.allclose(line.get_ydata(), expected, rtol=1e-5)]
            assert len(matching) == 1 and list(matching[0].get_xdata()) == [1, 2, 3]
    assert f"experiment {results.experiment.hash}" in figure.get_supxlabel()


def test_learners_alone_are_the_independent_runs_of_the_last_epoch(tiny):
    fast = {"num_epochs": 8, "learning_rate": 4.0}  # so high that the last epoch is not the best one
    sweeps = {
        told: {size: jointens.run(tiny(num_learners=size, rate_per_learner=own, **fast)) for size in (1, 3)}
        for told, own in (("one rate", False), ("a rate for each learner", True))
    }
    figure = theory.learners_alone(sweeps)
    assert_readable(figure)
    (axes,) = figure.axes
    bars = {container.get_label(): container for container in axes.containers}
    assert list(bars) == list(sweeps)
    for told, by_size in sweeps.items():
        line, caps, _ = bars[told]
        tests = [results.tests() for results in by_size.values()]
        by_checkpoint = tests[0].groupby("checkpoint")["individual"].mean()
        assert abs(by_checkpoint["best"] - by_checkpoint["last"]) > 1e-3
        own = [of[(of["checkpoint"] == "last") & (of["beta"] == 0)]["individual"].to_numpy() for of in tests]
        assert [len(values) for values in own] == [2, 2]  # seeds
        np.testing.assert_allclose(line.get_xydata(), [[1, own[0].mean()], [3, own[1].mean()]])
        below, above = (cap.get_ydata().astype(float) for cap in caps)
        # Student's t for 95 % and one degree of freedom; the standard error of two is half their distance.
        np.testing.assert_allclose((above - below) / 2, [12.7062047 * np.ptp(values) / 2 for values in own], rtol=1e-6)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "3"]
    assert "M = 1, 3" in figure.get_supxlabel()
