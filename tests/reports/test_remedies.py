"""Figures of remedies: what is drawn, against numbers of their own."""

import itertools

import numpy as np
import pytest
import torch
from seeds_and_betas import frame

import jointens
from jointens.analysis import mean_interval, side_by_side
from jointens.reports import remedies
from jointens.theory import draw_batch


def test_each_strength_is_a_point_at_its_paired_differences(tiny, tmp_path):
    rows, chance = frame(seeds=range(4)), np.random.default_rng(0)
    shifts = {name: chance.normal(size=(2, 4)) for name in ("1", "2", "30")}
    tests = {}
    for name, (train, test) in shifts.items():
        other = rows[rows["beta"] == 0.0]
        other = other.assign(train_ensemble=1 + train[other["seed"]], ensemble=1 + test[other["seed"]])
        tests[name] = side_by_side(rows[rows["beta"] == 0.0], other)
    groups = {"dropout": {"1": tests["1"], "2": tests["2"]}, "warm start": {"30": tests["30"]}}
    results = jointens.run(tiny(seeds=[0], num_epochs=1), progress=False)
    figure = remedies.trade_off(groups, [results, results])
    assert [axes.get_title() for axes in figure.axes] == ["last epoch", "best checkpoint"]
    for axes in figure.axes:
        markers = [line for line in axes.lines if line.get_marker() not in ("None", None)]
        assert len(markers) == 2
        points = np.concatenate([line.get_xydata() for line in markers])
        expected = [[mean_interval(values)[0] for values in shifts[name]] for name in ("1", "2", "30")]
        np.testing.assert_allclose(points, expected)
        bars = [bar.get_segments() for bar in axes.collections]
        widths = [np.ptp(segment, axis=0).max() / 2 for segment in itertools.chain(*bars)]
        halves = [mean_interval(values)[1] for name in ("1", "2", "30") for values in shifts[name]]
        np.testing.assert_allclose(np.sort(widths), np.sort(halves))
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [["1", "2", "30"], []]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["dropout", "warm start"]
    figure.savefig(tmp_path / "trade_off.png")


def test_losses_over_kept_learners(tmp_path):
    outputs, targets = draw_batch((4, 30, 3), seed=0)
    figure = remedies.loss_over_kept({"random": (outputs, targets)}, footer="computed")
    (axes,) = figure.axes
    expected, equivalent = axes.lines[:2]
    f, y = outputs.numpy(), targets.numpy()

    def loss(of):
        return np.mean(np.log(np.exp(of).sum(-1)) - of[np.arange(30), y])

    by_hand = [
        np.mean([loss(f[list(subset)].mean(0)) for subset in itertools.combinations(range(4), kept)])
        for kept in range(1, 5)
    ]
    np.testing.assert_allclose(expected.get_xydata(), np.column_stack([range(1, 5), by_hand]))
    betas = np.array([0, 1 - 2 / (2 * 3), 1 - 1 / (3 * 3), 1])
    np.testing.assert_allclose(equivalent.get_ydata(), (1 - betas) * by_hand[0] + betas * by_hand[-1])
    figure.savefig(tmp_path / "kept.png")


@pytest.mark.parametrize("average", ["scores", "probabilities"])
def test_both_ends_of_the_kept_losses_agree(average):
    expected, equivalent = remedies.kept_losses(*draw_batch((3, 10, 4), seed=1), average=average)
    torch.testing.assert_close(torch.tensor([expected[0], expected[-1]]), torch.tensor([equivalent[0], equivalent[-1]]))
    assert expected[1] != pytest.approx(equivalent[1])
