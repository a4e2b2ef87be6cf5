"""Figure and table of forests, on frames whose means and differences are known."""

import numpy as np
import pytest
from seeds_and_betas import SEEDS, frame

from jointens.analysis import mean_interval
from jointens.reports import forests


def sample():
    """Checkpoints and ridges as `at_ridges` names them: with the chosen one, test loss grows by half as much."""
    rows = frame()
    chosen = rows["checkpoint"] == "best"
    rows["ensemble"] = rows["ensemble"].where(~chosen, 1 + rows["beta"] / 2)
    rows["diversity"] = 1 + 9 * rows["beta"]
    rows["ridge"] = np.where(chosen, 0.1 - 0.09 * rows["beta"], 1e-6)
    return rows.assign(checkpoint=np.where(chosen, "chosen ridge", "one ridge"))


def test_a_column_for_each_forest_has_both_ridges(tmp_path):
    figure = forests.sweep({"low": sample(), "high": sample()}, "whose they are")
    assert [axes.get_title() for axes in figure.axes[:2]] == ["low", "high"]
    assert figure._supxlabel.get_text() == "whose they are"
    expected = {
        "train_ensemble": {"one ridge": [0, -0.5, -1], "chosen ridge": [0, -0.5, -1]},
        "ensemble": {"one ridge": [0, 0.5, 1], "chosen ridge": [0, 0.25, 0.5]},
        "diversity": {"one ridge": [1, 5.5, 10], "chosen ridge": [1, 5.5, 10]},
    }
    for number, axes in enumerate(figure.axes):
        metric = list(expected)[number // 2]
        for bars in axes.containers:
            np.testing.assert_allclose(
                np.asarray(bars.lines[0].get_ydata(orig=False), dtype=float), expected[metric][bars.get_label()]
            )
        assert {bars.get_label() for bars in axes.containers} == set(forests.RIDGE_STYLES)
        assert axes.get_yscale() == ("log" if metric == "diversity" else "symlog")
    figure.savefig(tmp_path / "forests.png")


def test_the_table_and_the_texts_have_paired_differences():
    told = forests.table({"low": sample(), "values": sample().drop(columns="accuracy")})
    row = told.loc[("low", "chosen ridge")]
    assert row["ridges"] == "0.1 → 0.01" and row["Δ test loss"] == "+0.500 ± 0.000"
    assert row["Δ training loss"] == "−1.000 ± 0.000" and row["diversity"] == "1.00 → 10.00"
    half_width = 100 * mean_interval([s / 100 for s in SEEDS])[1]
    assert row["Δ accuracy, points"] == f"−102.0 ± {half_width:.1f}"
    assert told.loc[("values", "one ridge"), "ridges"] == "1e-06 → 1e-06"
    assert forests.difference_text(sample(), "one ridge") == "+1.000 ± 0.000"
    assert forests.difference_text(sample(), "one ridge", 0.5, "accuracy").startswith("−51.0 ± ")
    assert forests.ratio(sample(), "chosen ridge") == pytest.approx(10)
