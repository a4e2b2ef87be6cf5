"""Intervals and paired differences on frames whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jointens.analysis import statistics
from jointens.reports import beta_sweep
from jointens.sweeps.sweep import run

# Accuracy of seed s at β: s/10 − β · (1 + s/100). Seeds differ a lot, paired differences hardly.
SEEDS, BETAS = range(5), (0.0, 0.5, 1.0)


def frame(seeds=SEEDS, betas=BETAS):
    rows = [
        {"beta": b, "seed": s, "checkpoint": c, "accuracy": s / 10 - b * (1 + s / 100), "individual_accuracy": 0.5,
         "ensemble": 1 + b, "individual": 2 + b, "diversity": 1.0,
         "train_individual": 2 - b, "train_ensemble": 1 - b, "train_diversity": 1.0}
        for b in betas for s in seeds for c in ("best", "last")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_mean_interval_is_scipys():
    values = np.array([1.0, 2.0, 4.0, 4.5])
    mean, half_width = statistics.mean_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))
    assert np.isnan(statistics.mean_interval(np.array([3.0]))[1])


def test_paired_intervals_leave_out_what_differs_between_seeds():
    plain, paired = (
        statistics.over_beta(frame(), "accuracy", paired=p).set_index(["checkpoint", "beta"]) for p in (False, True)
    )
    assert plain.loc[("best", 1.0), "mean"] == pytest.approx(0.2 - 1.02)
    assert paired.loc[("best", 1.0), "mean"] == pytest.approx(-1.02)
    assert paired.loc[("best", 0.0), "mean"] == 0
    differences = [-(1 + s / 100) for s in SEEDS]
    assert paired.loc[("best", 1.0), "half_width"] == pytest.approx(statistics.mean_interval(differences)[1])
    assert paired.loc[("best", 1.0), "half_width"] < 0.2 * plain.loc[("best", 1.0), "half_width"]


def test_seeds_that_lack_a_beta_are_left_out():
    tests = frame().drop(index=frame().query("seed == 4 and beta == 1.0").index)
    paired = statistics.over_beta(tests, "accuracy", paired=True).set_index(["checkpoint", "beta"])
    assert paired.loc[("last", 1.0), "mean"] == pytest.approx(-1.015)
    assert statistics.shift(tests, "accuracy", 1.0)[0] == pytest.approx(0)


def test_the_reference_is_the_beta_nearest_to_zero():
    assert statistics.reference_beta(frame()) == 0
    assert statistics.reference_beta(frame(betas=(0.5, 1.0))) == 0.5


def test_table():
    table = statistics.table(frame())
    assert list(table.columns) == [
        "ensemble accuracy, %", "Δ accuracy, points", "individual accuracy, %", "ensemble loss", "Δ ensemble loss"
    ]  # fmt: skip
    assert (
        table.loc[("last", 1.0), "Δ accuracy, points"]
        == f"−102.00 ± {100 * statistics.mean_interval([s / 100 for s in SEEDS])[1]:.2f}"
    )
    assert table.loc[("last", 0.0), "Δ accuracy, points"] == "–"
    assert statistics.table(frame(seeds=[3]).assign(accuracy=0.5)).loc[("last", 1.0), "Δ accuracy, points"] == "+0.00"
    assert statistics.table(frame(seeds=[3])).loc[("last", 1.0), "Δ accuracy, points"] == "−103.00"


def test_generalisation_sets_training_beside_test():
    table = statistics.generalisation(frame(), [0.0, 1.0])
    assert table.index.to_list() == [("best", 0.0), ("best", 1.0), ("last", 0.0), ("last", 1.0)]
    assert table.loc[("last", 1.0)].to_list() == ["1.000", "3.000", "1.000", "1.000", "0.000", "2.000"]


def test_shift_is_the_difference_of_the_paired_differences():
    tests = frame()
    moved = (tests["checkpoint"] == "last") & (tests["beta"] == 1.0)
    tests.loc[moved, "accuracy"] -= 0.5 + tests["seed"] / 50
    mean, half_width = statistics.shift(tests, "accuracy", 1.0)
    assert mean == pytest.approx(-0.54)
    assert half_width == pytest.approx(statistics.mean_interval([s / 50 for s in SEEDS])[1])


def test_texts_are_the_numbers_of_the_tables():
    texts = statistics.texts(frame(), 1.0)
    assert texts["accuracy_last"] == "−82.0" and texts["accuracy_last_reference"] == "20.0"
    half_width = 100 * statistics.mean_interval([s / 100 for s in SEEDS])[1]
    assert texts["accuracy_last_difference"] == f"−102.00 ± {half_width:.2f}"
    assert texts["ensemble_best_difference"] == "+1.000 ± 0.000"
    assert texts["accuracy_shift"] == "+0.00 ± 0.00"
    assert texts["diversity_last_ratio"] == "1" and texts["gain_best"] == "−30.0"
    assert statistics.texts(frame(seeds=[3]), 1.0)["accuracy_last_difference"] == "−103.00"


def test_compare_and_verdicts():
    compared = statistics.compare(frame(), 1.0)
    assert compared.loc[("accuracy", "last"), "verdict"] == "lower"
    assert compared.loc[("ensemble", "best"), "verdict"] == "higher"
    assert compared.loc[("diversity", "best"), "verdict"] == "no difference seen"
    assert compared.loc[("train_ensemble", "last"), ["reference", "beta", "difference"]].tolist() == [1, 0, -1]
    assert set(statistics.compare(frame(seeds=[0]), 1.0)["verdict"]) == {"one seed, no interval"}
    assert set(statistics.compare(frame(), 0.0)["verdict"]) == {"reference"}
    side_by_side = statistics.verdicts({"a": frame(), "b": frame()}, [0.5, 1.0])
    assert side_by_side.columns.to_list() == ["a, β = 0.5", "a, β = 1", "b, β = 0.5", "b, β = 1"]
    assert set(side_by_side.loc[("ensemble accuracy", "last")]) == {"lower"}
    assert set(side_by_side.loc[("diversity", "last")]) == {"–"}
    diverged = frame().assign(ensemble=lambda f: f["ensemble"].where(f["beta"] < 1))
    assert statistics.compare(diverged, 1.0).loc[("ensemble", "last"), "verdict"] == "not finite"
    assert statistics.compare(diverged, 0.5).loc[("ensemble", "last"), "verdict"] == "higher"
    assert statistics.table(diverged).loc[("last", 1.0), "ensemble loss"] == "not finite"
    assert [statistics.verdict(*x) for x in ((0.1, 0.2), (-0.3, 0.2), (0.3, 0.2))] == [
        "no difference seen",
        "lower",
        "higher",
    ]


def test_changes_are_the_paired_differences_on_training_and_on_test_data():
    told = statistics.changes({"one": frame(), "other": frame(betas=(0.0, 1.0))}, 1.0)
    assert told.index.to_list() == [(name, at) for name in ("one", "other") for at in ("best", "last")]
    assert set(told["Δ training loss"]) == {"−1.0000 ± 0.0000 lower"}
    assert set(told["Δ test loss"]) == {"+1.0000 ± 0.0000 higher"}
    assert set(told["diversity"]) == {"× 1"}
    noisy = frame().assign(ensemble=lambda f: f["beta"] * (-1.0) ** f["seed"])
    assert "er" not in statistics.changes({"one": noisy}, 1.0).loc[("one", "last"), "Δ test loss"]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"seeds": [0]},
        {"beta_vals": [0.5]},
        {"average": "released"},
        {"beta_vals": [0, 1], "learning_rate": 1e30},
        {"dataset": "diabetes", "train_size": None, "learning_rate": 0.01},
    ],
    ids=["sweep", "one seed", "one beta", "released", "diverged", "regression"],
)
def test_every_figure_draws_every_kind_of_results(tiny, tmp_path, keys):
    results = run(tiny(**keys), progress=False)
    drawn = {
        "sweep": beta_sweep.sweep(results),
        "training_curves": beta_sweep.training_curves(results, seed=results.experiment.seeds[0]),
        "train_against_test": beta_sweep.train_against_test(results),
    }
    for name, figure in drawn.items():
        texts = [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]
        shown = results.experiment.seeds[:1] if name == "training_curves" else None
        assert beta_sweep.stamp(results, shown) in texts, name
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    panels = {axes.get_ylabel().split(",")[0].split("\n")[0] for axes in drawn["sweep"].axes}
    regression = "dataset" in keys
    assert ("test accuracy" in panels) != regression and ("individual squared error" in panels) == regression


def test_the_stamp_tells_where_numbers_come_from(tiny):
    results = run(tiny(seeds=[0, 1, 4], label_noise=0.2), progress=False)
    assert beta_sweep.stamp(results) == (
        "quick results · digits, 64 training examples, 20% label noise · MLP, M = 2, score averaging · "
        f"seeds 0–1, 4 · cpu · experiment {results.experiment.hash}"
    )
