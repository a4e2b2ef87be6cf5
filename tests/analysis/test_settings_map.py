"""The map over settings on frames whose differences are known; lines and signs against scipy and by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from seeds_and_betas import SEEDS, frame

from jointens import InputError
from jointens.analysis import Line, fit_line, leave_one_out, map_settings, mean_interval, predict_signs


def test_each_setting_has_its_paired_differences_and_its_fit():
    """Test loss is 1 + β and training loss 1 − β in the frame; validation loss and noise are added here."""
    clean = frame()
    other = frame(betas=(0.0, 1.0)).assign(val_ensemble=1.25)
    other.loc[other["beta"] == 0, "ensemble"] = 0.5
    found = map_settings({"one": clean, "other": other})
    assert found.index.to_list() == [(name, at) for name in ("one", "other") for at in ("best", "last")]
    one, of_other = found.loc[("one", "last")], found.loc[("other", "best")]
    assert one["accuracy"] == pytest.approx(-1.02)
    half_width = mean_interval([-(1 + s / 100) for s in SEEDS])[1]
    assert one["accuracy_half_width"] == pytest.approx(half_width) and one["accuracy_verdict"] == "lower"
    assert (one["loss"], one["relative_loss"], one["loss_verdict"]) == (1, 1, "higher")
    assert (one["train_loss"], one["gap"], one["relative_gap"]) == (1, 0, 0)  # of test and training loss
    assert (of_other["loss"], of_other["relative_loss"]) == (1.5, 3)
    assert (of_other["gap"], of_other["relative_gap"]) == pytest.approx((0.25, 0.2))  # of validation and training loss


def test_regression_has_no_accuracy():
    values = frame().drop(columns=["accuracy", "individual_accuracy"])
    found = map_settings({"values": values, "classes": frame()})
    assert found.loc["values", "accuracy"].isna().all() and found.loc["values", "accuracy_verdict"].isna().all()
    assert found["loss"].notna().all() and found.loc["classes", "accuracy"].notna().all()


def test_seeds_that_lack_a_beta_have_no_part_in_the_fit():
    tests = frame().assign(val_ensemble=lambda rows: rows["seed"].astype(float))
    tests = tests.drop(index=tests.query("seed == 4 and beta == 1.0").index)
    assert map_settings({"one": tests}).loc[("one", "last"), "gap"] == pytest.approx(1.5 - 1)


def test_without_training_losses_there_is_no_map():
    with pytest.raises(InputError, match="one holds no ensemble loss on training data: measured_size was 0"):
        map_settings({"one": frame().drop(columns="train_ensemble")})


def points(x, y, half_width=0.1):
    verdicts = ["no difference seen" if abs(value) <= half_width else "er" for value in y]
    verdicts = [v if v != "er" else ("higher" if value > 0 else "lower") for v, value in zip(verdicts, y, strict=True)]
    return pd.DataFrame({"gap": x, "accuracy": y, "accuracy_verdict": verdicts}, index=[f"s{i}" for i in range(len(x))])


X, Y = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 6.0]), np.array([1.2, 0.4, 0.05, -1.0, -0.8, -2.5])


def test_the_line_is_that_of_the_normal_equations():
    line = fit_line(points(X, Y), "gap", "accuracy")
    design = np.stack([np.ones_like(X), X], 1)
    (intercept, slope), residuals, *_ = np.linalg.lstsq(design, Y, rcond=None)
    covariance = residuals[0] / 4 * np.linalg.inv(design.T @ design)
    quantile = stats.t.ppf(0.975, 4)
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept))
    assert line.slope_half_width == pytest.approx(quantile * np.sqrt(covariance[1, 1]))
    assert line.crossing == pytest.approx(-intercept / slope)
    at = np.array([1.0, 2.5])
    np.testing.assert_allclose(line.at(at), intercept + slope * at)
    new = np.array([1, 2.5])
    assert line.band(2.5) == pytest.approx(quantile * np.sqrt(new @ covariance @ new))
    assert np.isnan(Line(0.0, 1.0, 0.1, 3, 0.0, 1.0, 1.0).crossing)


def test_settings_without_the_outcome_are_left_out_of_the_line():
    with_regression = pd.concat([points(X, Y), points([9.0], [np.nan]).rename(index={"s0": "table"})])
    assert fit_line(with_regression, "gap", "accuracy") == fit_line(points(X, Y), "gap", "accuracy")
    for few in (points(X[:2], Y[:2]), points(np.ones(6), Y)):
        with pytest.raises(InputError, match="a line over gap needs three settings and two values; there are"):
            fit_line(few, "gap", "accuracy")


def test_signs_are_counted_where_the_setting_itself_has_one():
    """The line 1 − x; at 0.5 and 3 it is right, at 0 and 2 wrong, and at 1.5 nothing is decided."""
    line = Line(slope=-1.0, intercept=1.0, slope_half_width=0, num_points=9, centre=0, spread=1, residual_deviation=0)
    new = points([0.0, 0.5, 1.5, 2.0, 3.0], [-1.0, 2.0, 0.0, 0.4, -0.5])
    hits = predict_signs(line, new, "gap", "accuracy")
    assert (hits.right, hits.decided, hits.commonest) == (2, 4, 2) and str(hits) == "2 of 4"
    assert predict_signs(line, new[2:3], "gap", "accuracy") == (0, 0, 0)


def test_each_setting_is_predicted_by_the_others():
    """By numpy's polynomials; s2 is undecided, and serves the fits of the others."""
    expected = 0
    for i in (0, 1, 3, 4, 5):
        others = np.arange(6) != i
        expected += (np.polyval(np.polyfit(X[others], Y[others], 1), X[i]) > 0) == (Y[i] > 0)
    hits = leave_one_out(points(X, Y), "gap", "accuracy")
    assert hits == (expected, 5, 3)
    turned = leave_one_out(points(X, np.array([-9.0, 0.4, 0.05, -1.0, -0.8, -2.5])), "gap", "accuracy")
    assert turned.right < turned.decided
