"""Figures of a map over settings: heat maps of a paired difference, and its scatter over how far data are fitted."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ..analysis import PREDICTORS, Line, fit_line, leave_one_out, predict_signs
from .style import BLUE, CHECKPOINT_STYLES, DARK_GREY, GREEN, ORANGE, VERMILION, styled
from .tables import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

OUTCOME_NAMES = {  # label, scale and format of the value in a cell
    "accuracy": ("change in test accuracy, points", 100, "+.1f"),
    "loss": ("change in test loss", 1, "+.2f"),
    "relative_loss": ("change in test loss, per cent", 100, "+.0f"),
}
CHANGE = "from β = 0 to β = 1"
FAMILY_STYLES = ((BLUE, "o"), (VERMILION, "D"), (GREEN, "s"), (ORANGE, "^"))
FOOTER_WIDTH = 96  # characters below a figure for a phone


def heat_maps(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    across: str,
    down: str,
    names: Mapping[str, str],
    footer: str,
    outcome: str = "accuracy",
    limit: float | None = None,
) -> Figure:
    """Draw a difference over two axes of settings, a panel for each value of two others.

    Red is worse at β = 1, blue is better: lower accuracy, or higher loss. Values in bold with a frame are those whose
    interval leaves out zero; a grid point without a setting stays empty.

    Args:
        frame: rows of `map_settings` of one checkpoint, with the settings' keys as columns.
        x: the key along each panel's x axis.
        y: the key along its y axis.
        across: the key that differs between columns of panels.
        down: the key that differs between rows of panels.
        names: of the keys, in words.
        footer: the line below the figure.
        outcome: "accuracy", "loss" or "relative_loss".
        limit: the difference with the darkest colour, in the unit that is shown; None: the largest there is.
    """
    label, scale, _ = OUTCOME_NAMES[outcome]
    ticks = {key: sorted(frame[key].unique()) for key in (x, y, across, down)}
    limit = limit or np.nanmax(np.abs(frame[outcome].to_numpy(dtype=float))) * scale
    size = (5.6, 1.6 + 0.42 * len(ticks[y]) * len(ticks[down]) + 0.45 * len(ticks[down]))
    panels = (len(ticks[down]), len(ticks[across]))
    with styled(*panels, size=size, footer=_wrapped(footer), sharex=True, sharey=True) as (figure, grid):
        for row, value_down in enumerate(ticks[down]):
            for column, value_across in enumerate(ticks[across]):
                axes = grid[row, column]
                rows = frame[(frame[down] == value_down) & (frame[across] == value_across)]
                image = _panel(axes, rows, x, y, ticks, outcome, limit)
                axes.set_title(f"{_text(value_across)} {names[across]}, {_text(value_down)} {names[down]}", fontsize=9)
            grid[row, 0].set_ylabel(names[y])
        for axes in grid[-1]:
            axes.set_xlabel(names[x])
        extend = "both" if (frame[outcome].abs() * scale > limit).any() else "neither"
        bar = figure.colorbar(image, ax=grid, location="top", aspect=40, extend=extend)
        bar.set_label(f"{label}, {CHANGE}")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, x: str, y: str, ticks: Mapping, outcome: str, limit: float):
    """Draw one heat map and return its image."""
    _, scale, style = OUTCOME_NAMES[outcome]
    better = 1 if outcome == "accuracy" else -1
    values = np.full((len(ticks[y]), len(ticks[x])), np.nan)
    for _, row in rows.iterrows():
        at = ticks[y].index(row[y]), ticks[x].index(row[x])
        values[at] = scale * row[outcome]
        decided = row[f"{outcome}_verdict"] in ("higher", "lower")
        dark = abs(values[at]) > 0.6 * limit
        axes.text(
            at[1], at[0], number_text(values[at], style, missing="–"), ha="center", va="center",
            fontsize=9, fontweight="bold" if decided else "normal", color="white" if dark else "black",
        )  # fmt: skip
        if decided:
            axes.add_patch(matplotlib.patches.Rectangle((at[1] - 0.44, at[0] - 0.44), 0.88, 0.88, fill=False, lw=1.4))
    colours = matplotlib.colormaps["RdBu" if better > 0 else "RdBu_r"]
    image = axes.imshow(values, cmap=colours, vmin=-limit, vmax=limit, aspect="auto", origin="lower")
    axes.set_xticks(range(len(ticks[x])), map(_text, ticks[x]))
    axes.set_yticks(range(len(ticks[y])), map(_text, ticks[y]))
    axes.grid(False)
    return image


def scatter(
    families: Mapping[str, pd.DataFrame],
    lines: Mapping[str, Line],
    *,
    predictor: str,
    outcome: str,
    footer: str,
    limits: Sequence[float] | None = None,
) -> Figure:
    """Draw a difference over how far training data are fitted: a dot for each setting, a panel for each checkpoint.

    Filled dots are settings whose interval leaves out zero. The line is drawn over all values of the predictor, with
    its 95 % band; the families other than the first are numbered in their order.

    Args:
        families: rows of `map_settings`, by the name of the family; the line was fitted on the first.
        lines: by checkpoint, as `fit_line` fits them.
        predictor: one of PREDICTORS.
        outcome: "accuracy", "loss" or "relative_loss".
        footer: the line below the figure.
        limits: of the y axis, in the unit that is shown; dots beyond stand at its edge as triangles.
    """
    label, scale, _ = OUTCOME_NAMES[outcome]
    size = (5.6, 0.9 + 3.1 * len(lines))
    with styled(len(lines), 1, size=size, footer=_wrapped(footer), sharex=True, sharey=True) as (figure, grid):
        for axes, (checkpoint, line) in zip(grid.flat, lines.items(), strict=True):
            rows = {name: _at(family, checkpoint, predictor, outcome) for name, family in families.items()}
            every = np.concatenate([of[predictor].to_numpy(dtype=float) for of in rows.values()])
            x = np.linspace(every.min(), every.max(), 100)
            axes.axhline(0, color="black", linewidth=0.8, zorder=1)
            axes.plot(x, scale * line.at(x), color=DARK_GREY, linestyle="--", label=f"line through {next(iter(rows))}")
            low, high = (scale * (line.at(x) + sign * line.band(x)) for sign in (-1, 1))
            axes.fill_between(x, low, high, color=DARK_GREY, alpha=0.15, linewidth=0)
            for number, (name, of) in enumerate(rows.items()):
                _dots(axes, of, predictor, outcome, name, number, limits)
            axes.set_title(CHECKPOINT_STYLES[checkpoint][0])
            axes.set_ylabel(f"{label},\n{CHANGE}")
            if limits:
                axes.set_ylim(*limits)
        grid.flat[-1].set_xlabel(PREDICTORS[predictor])
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _dots(axes: Axes, rows: pd.DataFrame, predictor: str, outcome: str, name: str, number: int, limits) -> None:
    """Draw the settings of one family with their intervals; all but the first family with their numbers."""
    scale = OUTCOME_NAMES[outcome][1]
    colour, marker = FAMILY_STYLES[number % len(FAMILY_STYLES)]
    x, y, half_width = (
        rows[column].to_numpy(dtype=float) * factor
        for column, factor in ((predictor, 1), (outcome, scale), (f"{outcome}_half_width", scale))
    )
    decided = rows[f"{outcome}_verdict"].isin(["higher", "lower"]).to_numpy()
    inside = np.ones(len(y), bool) if limits is None else (limits[0] <= y) & (y <= limits[1])
    axes.errorbar(x[inside], y[inside], half_width[inside], fmt="none", color=colour, alpha=0.4, linewidth=0.9)
    size = 26 if number == 0 else 44
    for chosen, face in ((decided, colour), (~decided, "white")):
        axes.scatter(
            x[chosen & inside], y[chosen & inside], size, marker=marker, facecolors=face, edgecolors=colour, zorder=3
        )
    axes.scatter([], [], size, marker=marker, facecolors=colour, edgecolors=colour, label=name)
    for place in np.flatnonzero(~inside):
        edge, mark = (limits[1], "^") if y[place] > limits[1] else (limits[0], "v")
        face = colour if decided[place] else "white"
        axes.scatter(
            x[place], edge, size, marker=mark, facecolors=face, edgecolors=colour, zorder=3, clip_on=False
        )  # fmt: skip
    if number:
        for at in zip(x, y, rows["number"], strict=True):
            place = {"xytext": (5, 4), "textcoords": "offset points", "fontsize": 8, "color": colour}
            axes.annotate(str(at[2]), at[:2], **place)


def _at(family: pd.DataFrame, checkpoint: str, predictor: str, outcome: str) -> pd.DataFrame:
    """Return the rows of a checkpoint that have both values, with the number of each setting in its family."""
    numbers = {name: number for number, name in enumerate(family.index.unique("setting"), 1)}
    rows = family.xs(checkpoint, level="checkpoint").assign(number=lambda of: of.index.map(numbers))
    return rows[rows[[predictor, outcome]].notna().all(axis=1)]


def predictions(fitted: pd.DataFrame, others: Mapping[str, pd.DataFrame], outcomes: Mapping[str, str]) -> pd.DataFrame:
    """Make the table of lines fitted on some settings, and of how often each has the sign of the difference in others.

    A row for each checkpoint, outcome and predictor: the slope ± the half-width of its 95 % interval; where the line
    crosses zero; the signs that are right among settings whose interval leaves out zero, each predicted from all other
    settings of the fit ("left out"), and in other families; in brackets what guessing the commonest sign gets right.

    Args:
        fitted: rows of `map_settings`.
        others: the same of other families, by name.
        outcomes: names of outcomes, as columns of the frames and in words.
    """
    import pandas as pd

    rows = {}
    for checkpoint in fitted.index.unique("checkpoint"):
        ours = fitted.xs(checkpoint, level="checkpoint")
        for outcome, words in outcomes.items():
            for predictor in PREDICTORS:
                line = fit_line(ours, predictor, outcome)
                hits = {"left out": leave_one_out(ours, predictor, outcome)}
                for name, family in others.items():
                    rows_of = family.xs(checkpoint, level="checkpoint")
                    hits[name] = predict_signs(line, rows_of, predictor, outcome)
                rows[checkpoint, words, predictor.replace("_", " ")] = {
                    "slope": number_text(line.slope, "+.2f", line.slope_half_width),
                    "zero at": number_text(line.crossing, ".2f"),
                    **{name: f"{of} ({of.commonest})" if of.decided else "–" for name, of in hits.items()},
                }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["checkpoint", "difference", "over"])


def table(family: pd.DataFrame, outcomes: Sequence[str] = ("accuracy", "loss")) -> pd.DataFrame:
    """Make the table of a family of settings, numbered as in `scatter`: differences and how far data are fitted.

    Args:
        family: rows of `map_settings`.
        outcomes: the differences that are shown, each with the half-width of its interval.
    """
    import pandas as pd

    styles = {"accuracy": ("Δ accuracy, points", 100, "+.2f"), "loss": ("Δ test loss", 1, "+.3f")}
    styles["relative_loss"] = ("Δ test loss, %", 100, "+.1f")
    numbers = {name: number for number, name in enumerate(family.index.unique("setting"), 1)}
    rows = []
    for (name, checkpoint), row in family.iterrows():
        told = {"": numbers[name], "setting": name, "checkpoint": checkpoint}
        for outcome in outcomes:
            title, scale, style = styles[outcome]
            half_width = row[f"{outcome}_half_width"]
            told[title] = number_text(row[outcome], style, half_width, scale=scale, missing="–")
        told["training loss, β = 0"] = number_text(row["train_loss"], ".3f")
        told["share absent"] = number_text(row["relative_gap"], ".2f")
        rows.append(told)
    return pd.DataFrame(rows).set_index("")


def _wrapped(footer: str) -> str:
    return "\n".join(line for part in footer.split("\n") for line in textwrap.wrap(part, FOOTER_WIDTH))


def _text(value: object) -> str:
    """Write a key's value on an axis: whole numbers with thousands apart."""
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
