"""Intervals and paired differences on frames whose answers are known."""

import numpy as np
import pytest
from scipy import stats
from seeds_and_betas import SEEDS, frame

from jointens import InputError
from jointens.analysis import statistics


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
    betas = (-2.0, 0.25, 0.5, 1.5, 3.0)
    assert (statistics.independent(betas), statistics.joint(betas)) == (0.25, 0.5)
    assert (statistics.independent((0.0, 1.0)), statistics.joint((0.0, 1.0))) == (0, 1)


def test_nothing_to_compare_is_one_line():
    tests = frame()
    with pytest.raises(InputError, match="hold no test: no cell is finished, or all of them diverged"):
        statistics.over_beta(tests[:0], "accuracy")
    apart = tests[(tests["beta"] == 0) == (tests["seed"] % 2 == 0)]
    with pytest.raises(InputError, match=r"no seed has every β, .* the β are 0 \(\d seeds\), 0.5 \(\d seeds\), 1"):
        statistics.compare(apart, 1.0)
    with pytest.raises(
        InputError, match=r"β = 0.75 has no finished cell that did not diverge; the β here are 0, 0.5, 1"
    ):
        statistics.compare(tests, 0.75)


def test_shift_is_the_difference_of_the_paired_differences():
    tests = frame()
    moved = (tests["checkpoint"] == "last") & (tests["beta"] == 1.0)
    tests.loc[moved, "accuracy"] -= 0.5 + tests["seed"] / 50
    mean, half_width = statistics.shift(tests, "accuracy", 1.0)
    assert mean == pytest.approx(-0.54)
    assert half_width == pytest.approx(statistics.mean_interval([s / 50 for s in SEEDS])[1])


def test_compare_and_verdicts():
    compared = statistics.compare(frame(), 1.0)
    assert compared.loc[("accuracy", "last"), "verdict"] == "lower"
    assert compared.loc[("ensemble", "best"), "verdict"] == "higher"
    assert compared.loc[("diversity", "best"), "verdict"] == "no difference seen"
    assert compared.loc[("train_ensemble", "last"), ["reference", "beta", "difference"]].tolist() == [1, 0, -1]
    assert set(statistics.compare(frame(seeds=[0]), 1.0)["verdict"]) == {"one seed, no interval"}
    assert set(statistics.compare(frame(), 0.0)["verdict"]) == {"reference"}
    diverged = frame().assign(ensemble=lambda f: f["ensemble"].where(f["beta"] < 1))
    assert statistics.compare(diverged, 1.0).loc[("ensemble", "last"), "verdict"] == "not finite"
    assert statistics.compare(diverged, 0.5).loc[("ensemble", "last"), "verdict"] == "higher"
    assert [statistics.verdict(*x) for x in ((0.1, 0.2), (-0.3, 0.2), (0.3, 0.2))] == [
        "no difference seen",
        "lower",
        "higher",
    ]
