"""Figures of the β sweep: their panels, their texts and their pictures."""

import numpy as np
import pytest

import jointens
from jointens.reports import beta_sweep, style


def test_several_sweeps_stand_below_each_other_each_with_its_stamp(tiny):
    classes = jointens.run(tiny(), progress=False)
    values = jointens.run(tiny(dataset="diabetes", train_size=None, learning_rate=0.01), progress=False)
    figure = beta_sweep.sweep(classes, values)
    assert [len(part.axes) for part in figure.subfigs] == [4, 3]
    assert [part._supxlabel.get_text() for part in figure.subfigs] == [style.stamp(of) for of in (classes, values)]
    assert style.stamp(classes).startswith("quick results · digits, 64 training examples · MLP, M = 2")
    alone = beta_sweep.sweep(classes)
    assert len(alone.axes) == 4 and not alone.subfigs and alone._supxlabel.get_text() == style.stamp(classes)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"seeds": [0]},
        {"beta_vals": [0.5]},
        {"average": "released"},
        {"beta_vals": [0, 1, 1e30]},
        {"dataset": "diabetes", "train_size": None, "learning_rate": 0.01},
    ],
    ids=["sweep", "one seed", "one beta", "released", "diverged", "regression"],
)
def test_every_figure_draws_every_kind_of_results(tiny, tmp_path, keys):
    results = jointens.run(tiny(**keys), progress=False)
    drawn = {
        "sweep": beta_sweep.sweep(results),
        "training_curves": beta_sweep.training_curves(results, seed=results.experiment.seeds[0]),
        "train_against_test": beta_sweep.train_against_test(results),
    }
    for name, figure in drawn.items():
        texts = [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]
        shown = results.experiment.seeds[:1] if name == "training_curves" else None
        assert style.stamp(results, shown) in texts, name
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    panels = {axes.get_ylabel().split(",")[0].split("\n")[0] for axes in drawn["sweep"].axes}
    regression = "dataset" in keys
    assert ("test accuracy" in panels) != regression and ("individual squared error" in panels) == regression


def test_accuracies_are_those_of_the_best_checkpoint(tiny):
    results = jointens.run(tiny(seeds=[0, 1, 2]), progress=False)
    alone = jointens.run(tiny(num_learners=1, beta_vals=[0]), progress=False)
    tests = results.tests().query("checkpoint == 'best'")
    figure = beta_sweep.accuracies(results, alone=alone)
    for axes, column in zip(figure.axes, ("accuracy", "individual_accuracy"), strict=True):
        means = 100 * tests.groupby("beta")[column].mean()
        drawn = [line for line in axes.lines if len(line.get_xdata()) == len(means)]
        seeds = [line.get_ydata() for line in drawn if line.get_alpha()]
        expected = [100 * runs.sort_values("beta")[column] for _, runs in tests.groupby("seed")]
        np.testing.assert_allclose(seeds, expected)
        assert axes.get_xticks()[[0, -1]] == pytest.approx([0, 1])
        (mean,) = [line for line in drawn if line.get_marker() in ("o", "s")]
        np.testing.assert_allclose(mean.get_xydata(), np.column_stack([means.index, means]))
    level = 100 * alone.tests().query("checkpoint == 'best'")["accuracy"].mean()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert f"one network of their weights: {level:.1f} %" in texts
    assert len(beta_sweep.accuracies(results).axes[0].texts) == len(texts) - 1
