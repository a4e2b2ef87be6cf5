"""Tables and texts on frames whose answers are known."""

import numpy as np
import pytest
from seeds_and_betas import SEEDS, frame

import jointens
from jointens.analysis import statistics
from jointens.reports import tables
from jointens.sweeps import num_parameters


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((-1.5, ".1f"), "−1.5"),
        ((0.125, "+.2f", 0.03), "+0.12 ± 0.03"),
        ((-0.5, "+.1f", np.nan), "−0.5"),
        ((np.nan, ".1f"), "not finite"),
        ((-np.inf, ".1f", 0.1), "not finite"),
        ((1e-9, "g"), "1e−09"),
    ],
)
def test_numbers_have_a_true_minus_and_their_interval(arguments, text):
    assert tables.number_text(*arguments) == text


def test_numbers_are_scaled_with_their_interval():
    assert tables.number_text(-0.25, ".1f", 0.015, scale=100) == "−25.0 ± 1.5"
    assert tables.number_text(np.nan, ".1f", scale=100, missing="–") == "–"


def test_table():
    table = tables.table(frame())
    assert list(table.columns) == [
        "ensemble accuracy, %", "Δ accuracy, points", "individual accuracy, %", "ensemble loss", "Δ ensemble loss"
    ]  # fmt: skip
    assert (
        table.loc[("last", 1.0), "Δ accuracy, points"]
        == f"−102.00 ± {100 * statistics.mean_interval([s / 100 for s in SEEDS])[1]:.2f}"
    )
    assert table.loc[("last", 0.0), "Δ accuracy, points"] == "–"
    assert tables.table(frame(seeds=[3]).assign(accuracy=0.5)).loc[("last", 1.0), "Δ accuracy, points"] == "+0.00"
    assert tables.table(frame(seeds=[3])).loc[("last", 1.0), "Δ accuracy, points"] == "−103.00"


def test_generalisation_sets_training_beside_test():
    table = tables.generalisation(frame(), [0.0, 1.0])
    assert table.index.to_list() == [("best", 0.0), ("best", 1.0), ("last", 0.0), ("last", 1.0)]
    assert table.loc[("last", 1.0)].to_list() == ["1.000", "3.000", "1.000", "1.000", "0.000", "2.000"]


def test_texts_are_the_numbers_of_the_tables():
    texts = tables.texts(frame(), 1.0)
    assert texts["accuracy_last"] == "−82.0" and texts["accuracy_last_reference"] == "20.0"
    half_width = 100 * statistics.mean_interval([s / 100 for s in SEEDS])[1]
    assert texts["accuracy_last_difference"] == f"−102.00 ± {half_width:.2f}"
    assert texts["ensemble_best_difference"] == "+1.000 ± 0.000"
    assert texts["accuracy_shift"] == "+0.00 ± 0.00"
    assert texts["diversity_last_ratio"] == "1" and texts["gain_best"] == "−30.0"
    assert tables.texts(frame(seeds=[3]), 1.0)["accuracy_last_difference"] == "−103.00"


def test_verdicts_stand_side_by_side():
    side_by_side = tables.verdicts({"a": frame(), "b": frame()}, [0.5, 1.0])
    assert side_by_side.columns.to_list() == ["a, β = 0.5", "a, β = 1", "b, β = 0.5", "b, β = 1"]
    assert set(side_by_side.loc[("ensemble accuracy", "last")]) == {"lower"}
    assert set(side_by_side.loc[("diversity", "last")]) == {"–"}


def test_what_is_not_finite_is_said():
    diverged = frame().assign(ensemble=lambda f: f["ensemble"].where(f["beta"] < 1))
    assert tables.table(diverged).loc[("last", 1.0), "ensemble loss"] == "not finite"


def test_changes_are_the_paired_differences_on_training_and_on_test_data():
    told = tables.changes({"one": frame(), "other": frame(betas=(0.0, 1.0))}, 1.0)
    assert told.index.to_list() == [(name, at) for name in ("one", "other") for at in ("best", "last")]
    assert set(told["Δ training loss"]) == {"−1.0000 ± 0.0000 lower"}
    assert set(told["Δ test loss"]) == {"+1.0000 ± 0.0000 higher"}
    assert set(told["diversity"]) == {"× 1"}
    half_width = 100 * statistics.mean_interval([s / 100 for s in SEEDS])[1]
    assert set(told["Δ test accuracy"]) == {f"−102.00 ± {half_width:.2f} lower"}
    regression = frame().drop(columns=["accuracy", "individual_accuracy"])
    assert list(tables.changes({"one": regression}, 1.0).columns) == ["Δ training loss", "Δ test loss", "diversity"]
    noisy = frame().assign(ensemble=lambda f: f["beta"] * (-1.0) ** f["seed"])
    assert "er" not in tables.changes({"one": noisy}, 1.0).loc[("one", "last"), "Δ test loss"]


def test_baselines_stand_below_the_ensembles_they_are_compared_with(tiny):
    sweep = jointens.run(tiny(beta_vals=[0, 0.5, 1]), progress=False)
    alone = jointens.run(tiny(num_learners=1, width=1.5, beta_vals=[0]), progress=False)
    table = tables.baselines(sweep, {"one": alone}, betas=[0, 1])
    names = [f"{of}, β = {beta}" for of in ("ensemble", "mean learner") for beta in (0, 1)]
    assert table.index.to_list() == [*names, "one"]
    assert len(tables.baselines(sweep, {"one": alone})) == len(table) + 2
    assert table.loc["ensemble, β = 1", "weights"] == 2 * table.loc["mean learner, β = 1", "weights"]
    assert table.loc["one", "weights"] == num_parameters(alone.experiment)
    best = sweep.tests().query("checkpoint == 'best' and beta == 1")
    mean, half_width = statistics.mean_interval(100 * best["individual_accuracy"])
    assert table.loc["mean learner, β = 1", "accuracy, %"] == f"{mean:.1f} ± {half_width:.1f}"
    empty = jointens.Results(tiny(num_learners=1, width=3, beta_vals=[0]))
    with pytest.raises(jointens.InputError, match="holds no finished cell"):
        tables.baselines(sweep, {"one": empty})
