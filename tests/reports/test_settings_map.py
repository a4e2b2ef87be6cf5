"""Figures and tables of the map: what is drawn, marked and counted, on frames whose numbers are known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from jointens.analysis import Line, fit_line
from jointens.reports import settings_map

KEYS = {"x": "size", "y": "width", "across": "epochs", "down": "noise"}


def family(values, checkpoints=("best", "last")):
    """Rows of `map_settings`; a difference beyond 0.03 has an interval that leaves out zero."""
    rows = {}
    for checkpoint in checkpoints:
        for name, (gap, accuracy) in values.items():
            verdict = "no difference seen" if abs(accuracy) <= 0.03 else "higher" if accuracy > 0 else "lower"
            rows[name, checkpoint] = {
                "accuracy": accuracy, "accuracy_half_width": 0.03, "accuracy_verdict": verdict, "loss": -accuracy,
                "loss_half_width": 0.03, "loss_verdict": verdict, "train_loss": 1 - gap, "gap": gap,
                "relative_gap": gap,
            }  # fmt: skip
    index = pd.MultiIndex.from_tuples(list(rows), names=["setting", "checkpoint"])
    return pd.DataFrame(list(rows.values()), index=index)


VALUES = {"a": (0.0, 0.1), "b": (0.2, 0.02), "c": (0.5, -0.05), "d": (0.9, -0.2)}


def texts_of(figure):
    return [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]


def test_heat_maps_have_a_cell_for_each_setting_and_frame_those_that_are_decided(tmp_path):
    grid = list(itertools.product([4, 16], [100, 1000], [5, 50], [0.0, 0.2]))[:-1]  # one is missing
    differences = {f"s{n}": (0.0, (n - 7) / 100) for n in range(len(grid))}
    keys = pd.DataFrame(grid, columns=["width", "size", "epochs", "noise"], index=list(differences))
    frame = family(differences).xs("last", level="checkpoint").join(keys)
    names = {key: f"the {key}" for key in KEYS.values()}
    figure = settings_map.heat_maps(frame, **KEYS, names=names, footer="whose they are", limit=5)
    panels = [axes for axes in figure.axes if axes.images and axes.get_title()]
    assert [axes.get_title() for axes in panels] == [
        f"{epochs} the epochs, {noise} the noise" for noise in ("0", "0.2") for epochs in (5, 50)
    ]
    for axes, (noise, epochs) in zip(panels, itertools.product([0.0, 0.2], [5, 50]), strict=True):
        (image,) = axes.images
        assert image.get_clim() == (-5, 5)
        for row, width in enumerate([4, 16]):
            for column, size in enumerate([100, 1000]):
                there = frame[frame[["width", "size", "epochs", "noise"]].eq([width, size, epochs, noise]).all(axis=1)]
                drawn = np.ma.filled(image.get_array().astype(float), np.nan)[row, column]
                assert drawn == pytest.approx(100 * there["accuracy"].iloc[0]) if len(there) else np.isnan(drawn)
        inside = frame[(frame["epochs"] == epochs) & (frame["noise"] == noise)]
        assert len(axes.patches) == (inside["accuracy"].abs() > 0.03).sum()
        assert len(axes.texts) == len(inside)
    told = texts_of(figure)
    assert "whose they are" in told and "+6.0" in told and "−7.0" in told
    figure.savefig(tmp_path / "map.png")


def test_higher_loss_has_the_colour_of_lower_accuracy():
    keys = pd.DataFrame({key: [1, 1, 1, 1] for key in KEYS.values()} | {"size": [1, 2, 3, 4]}, index=list(VALUES))
    frame = family(VALUES).xs("best", level="checkpoint").join(keys)
    names = {key: key for key in KEYS.values()}
    maps = [
        settings_map.heat_maps(frame, **KEYS, names=names, footer="", outcome=outcome, limit=limit)
        for outcome, limit in (("accuracy", 20), ("loss", 0.2))
    ]
    colours = [image.cmap(image.norm(image.get_array())) for image in (drawn.axes[0].images[0] for drawn in maps)]
    np.testing.assert_allclose(*colours, atol=0.02)  # the colour map has 256 steps
    red, _, _, blue = colours[0][0, ::-1]  # d loses, a gains
    assert red[0] > red[2] and blue[2] > blue[0]


def test_the_scatter_has_dots_of_every_family_and_the_line_of_the_first(tmp_path):
    first, other = family(VALUES), family({"e": (0.3, 0.5), "f": (0.1, -0.01), "g": (0.4, np.nan)})
    lines = {at: fit_line(first.xs(at, level="checkpoint"), "gap", "accuracy") for at in ("best", "last")}
    figure = settings_map.scatter(
        {"ours": first, "theirs": other}, lines, predictor="gap", outcome="accuracy", footer="below", limits=(-25, 25)
    )
    assert [axes.get_title() for axes in figure.axes] == ["best checkpoint", "last epoch"]
    for axes, line in zip(figure.axes, lines.values(), strict=True):
        (drawn,) = [of for of in axes.lines if of.get_linestyle() == "--"]
        x, y = drawn.get_data()
        assert (x[0], x[-1]) == (0, 0.9)
        np.testing.assert_allclose(y, 100 * (line.intercept + line.slope * x))
        dots = np.concatenate([of.get_offsets() for of in axes.collections if len(of.get_offsets())])
        expected = [(gap, 100 * value) for gap, value in VALUES.values()] + [(0.1, -1), (0.3, 25)]  # at the edge
        offsets = {tuple(np.round(dot, 6)) for dot in np.ma.filled(dots, np.nan)}
        assert {tuple(np.round(dot, 6)) for dot in expected} <= offsets
        assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert "below" in texts_of(figure) and "line through ours" in texts_of(figure)
    figure.savefig(tmp_path / "scatter.png")


def test_the_table_of_predictions_has_the_lines_and_the_hits():
    """By hand: over gap the other family's line is right for e, and wrong for f; g has no sign of its own."""
    other = family({"e": (0.0, 0.1), "f": (0.9, 0.2), "g": (0.5, 0.01)})
    told = settings_map.predictions(family(VALUES), {"theirs": other}, {"accuracy": "accuracy"})
    assert told.index.to_list() == [
        (at, "accuracy", of) for at in ("best", "last") for of in ("train loss", "gap", "relative gap")
    ]
    slope, intercept = np.polyfit(*np.array(list(VALUES.values())).T, 1)
    row = told.loc[("last", "accuracy", "gap")]
    assert row["slope"].startswith(f"−{-slope:.2f} ± ") and row["zero at"] == f"{-intercept / slope:.2f}"
    assert row["theirs"] == "1 of 2 (2)"
    right = 0
    for left in ("a", "c", "d"):
        rest = np.array([of for name, of in VALUES.items() if name != left]).T
        right += (np.polyval(np.polyfit(*rest, 1), VALUES[left][0]) > 0) == (VALUES[left][1] > 0)
    assert row["left out"] == f"{right} of 3 (2)"


def test_the_table_has_the_numbers_of_the_scatter():
    told = settings_map.table(family(VALUES))
    assert told.index.to_list() == [1, 2, 3, 4, 1, 2, 3, 4] and told["setting"].to_list() == [*"abcd"] * 2
    row = told.iloc[-1]
    assert row["Δ accuracy, points"] == "−20.00 ± 3.00" and row["Δ test loss"] == "+0.200 ± 0.030"
    assert (row["training loss, β = 0"], row["share absent"]) == ("0.100", "0.90")
    regression = settings_map.table(family({"r": (0.1, np.nan)}))
    assert regression["Δ accuracy, points"].to_list() == ["–", "–"]


def test_a_long_stamp_is_broken_for_a_phone():
    footer = " · ".join(["a part of the stamp"] * 9) + "\nleft out: none"
    line = Line(slope=1, intercept=0, slope_half_width=0, num_points=4, centre=0, spread=1, residual_deviation=0)
    figure = settings_map.scatter(
        {"one": family(VALUES)}, {"last": line}, predictor="gap", outcome="accuracy", footer=footer
    )
    lines = figure._supxlabel.get_text().split("\n")
    assert len(lines) == 4 and max(map(len, lines)) <= settings_map.FOOTER_WIDTH and lines[-1] == "left out: none"
