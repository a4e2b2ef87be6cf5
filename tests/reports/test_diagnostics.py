"""Figures of the tabular chapter and of the diagnostics: their lines are the numbers they are said to be."""

import json

import numpy as np
import pandas as pd
import pytest

import jointens
from jointens import InputError
from jointens.analysis import sweep_diagnostics
from jointens.authors.results import convert
from jointens.reports import diagnostics, published_tables, style
from jointens.reports.published_tables import COLUMNS


@pytest.fixture
def regression(tiny):
    keys = {"dataset": "diabetes", "train_size": None, "learning_rate": 0.01, "num_learners": 4, "measure_test": True}
    return jointens.run(tiny(**keys, beta_vals=[0, 0.5, 1]), progress=False)


@pytest.fixture
def classes(tiny):
    return jointens.run(tiny(num_learners=5), progress=False)


def line(axes, label):
    (found,) = [of for of in axes.get_lines() if of.get_label() == label]
    return found.get_xdata(), found.get_ydata()


def test_the_course_shows_training_and_test_data_of_each_beta(regression):
    figure = diagnostics.course(regression, [0, 1])
    history = regression.history()
    for axes, loss in zip(figure.axes, ("ensemble", "individual", "diversity"), strict=True):
        for split, data in (("train", "training"), ("test", "test")):
            rows = history[(history["beta"] == 1) & (history["split"] == split)]
            x, y = line(axes, f"β = 1, {data}")
            np.testing.assert_array_equal(x, [1, 2])
            np.testing.assert_allclose(y, rows.groupby("epoch")[loss].mean())
    assert figure._supxlabel.get_text() == style.stamp(regression)


@pytest.mark.parametrize("keys", [{}, {"measure_test": True, "measured_size": 0}, {"measured_size": 20}])
def test_a_course_needs_training_and_test_data(tiny, keys):
    results = jointens.run(tiny(dataset="diabetes", train_size=None, learning_rate=0.01, **keys), progress=False)
    with pytest.raises(InputError, match="needs losses on training and on test data: measure_test and measured_size"):
        diagnostics.course(results, [0, 1])


def test_the_course_of_classes_is_in_nats(tiny):
    figure = diagnostics.course(jointens.run(tiny(measure_test=True), progress=False), [0, 1])
    assert figure.axes[0].get_ylabel() == "nats"


def test_the_explosion_is_mean_and_deviation_over_runs_at_both_checkpoints(regression):
    stored = jointens.stored_outputs(regression)
    frame = sweep_diagnostics.explosion(stored)
    loss, diversity = diagnostics.explosion(stored, frame).axes
    tests = regression.tests()
    for checkpoint, label in (("best", "best checkpoint"), ("last", "last epoch")):
        rows = tests[tests["checkpoint"] == checkpoint].groupby("beta")
        np.testing.assert_allclose(line(loss, label)[1], rows["ensemble"].mean(), rtol=1e-5)
        np.testing.assert_allclose(line(diversity, label)[1], rows["diversity"].mean(), rtol=1e-4)
    assert diversity.get_yscale() == "log" and loss.get_yscale() == "linear"


def test_the_fall_is_in_per_cent(regression):
    stored = jointens.stored_outputs(regression)
    frame = sweep_diagnostics.debiased(stored)
    (axes,) = diagnostics.debiased(stored, frame).axes
    means = frame[frame["checkpoint"] == "last"].groupby("beta")["fall"].mean()
    np.testing.assert_allclose(line(axes, "last epoch")[1], 100 * means)


def test_codependence_of_regression_has_the_formulas_circles_and_one_panel(regression):
    stored = jointens.stored_outputs(regression)
    frame = sweep_diagnostics.dropped(stored, shares=[0.5], repeats=3)
    (axes,) = diagnostics.codependence(stored, frame).axes
    (circles,) = [of for of in axes.get_lines() if of.get_marker() == "o" and len(of.get_xdata())]
    last = frame[frame["checkpoint"] == "last"].groupby("beta")
    np.testing.assert_allclose(circles.get_ydata(), last["expected"].mean())
    np.testing.assert_allclose(line(axes, "without 2 of 4")[1], last["increase"].mean())


def test_codependence_of_classes_has_accuracy_and_no_formula(classes):
    stored = jointens.stored_outputs(classes)
    frame = sweep_diagnostics.dropped(stored, shares=[0.2, 0.4], repeats=3)
    figure = diagnostics.codependence(stored, frame)
    last = frame[(frame["checkpoint"] == "last") & (frame["share"] == 0.4)].groupby("beta")
    np.testing.assert_allclose(line(figure.axes[1], "without 2 of 5")[1], 100 * last["accuracy_lost"].mean())
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["without 1 of 5", "without 2 of 5"]


def test_the_authors_files_are_named_as_such(regression, tmp_path):
    folder = convert(regression.folder, tmp_path / "theirs")
    stored = jointens.stored_outputs(folder / "deep_ensemble_diabetes_last.json")
    figure = diagnostics.explosion(stored, sweep_diagnostics.explosion(stored))
    told = figure._supxlabel.get_text()
    assert told == "outputs of the authors' format · deep_ensemble_diabetes_last.json · 2 runs"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["the authors' outputs"]


def test_correlations_are_shown_from_minus_one_to_one():
    of = np.array([[1, -0.5], [-0.5, 1]])
    first, second, _ = diagnostics.correlations({0.0: of, 1.0: -of}, "told").axes
    assert first.get_title() == "β = 0, independent" and second.get_title() == "β = 1, joint"
    np.testing.assert_array_equal(second.images[0].get_array(), -of)
    assert second.images[0].get_clim() == (-1, 1)


def table(shift):
    """A published table in which a larger β has a test loss higher by `shift`."""
    rows = [
        (checkpoint, beta, seed, 1, 0.5 - beta / 10, 0.5, 0.1, 0.6 + shift * beta, 0.7, 0.1 + beta, 0.1, 0.2)
        for checkpoint in ("best", "last")
        for beta in (0, 1)
        for seed in range(3)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_the_four_sets_have_a_column_each_with_paired_differences():
    figure = diagnostics.four_sets({"weather": table(0.25), "abalone": table(-0.25)})
    assert len(figure.axes) == 8
    assert [axes.get_title() for axes in figure.axes[:2]] == ["weather", "abalone"]
    for axes, change in zip(figure.axes[2:4], (0.25, -0.25), strict=True):
        lines = [of for of in axes.get_lines() if of.get_linestyle() == "--"]
        np.testing.assert_allclose(lines[0].get_ydata().astype(float), [0, change])
    assert "constant" in figure.axes[6].get_ylabel()
    told, about = figure._supxlabel.get_text(), published_tables.published_experiment
    assert "M = 10 · 3 seeds · " in told and told.startswith("results with other hyperparameters · ")
    assert told.endswith(f"weather {about('weather').hash}, abalone {about('abalone').hash}")


def test_what_is_published_is_whole_and_of_the_shipped_profiles():
    tables = published_tables.read_tables()
    assert list(tables) == ["bioconcentration", "facebook", "weather", "abalone"]
    for name, of in tables.items():
        shipped = jointens.Experiment.from_profile(f"notebooks/profiles/{name}.yml")
        assert tuple(of.columns) == COLUMNS
        assert len(of) == 2 * len(shipped.cells) and of.notna().all().all()
        about = (published_tables.folder() / f"{name}.yml").read_text()
        assert f"hash: {shipped.hash}" in about and "host" not in about
        np.testing.assert_allclose(of["individual"] - of["diversity"], of["ensemble"], atol=2e-5)


def test_json_of_the_format_has_an_entry_of_targets_for_each_beta(regression, tmp_path):
    folder = convert(regression.folder, tmp_path / "theirs")
    told = json.loads((folder / "deep_ensemble_diabetes_best.json").read_text())["0"]
    assert np.shape(told["targets"]) == (3, 89) and np.shape(told["ind_preds"]) == (3, 89, 4, 1)
