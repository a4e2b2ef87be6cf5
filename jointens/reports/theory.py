"""Figures of the theory chapters. Each function returns a matplotlib Figure in the book's style."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..analysis import mean_interval
from ..experiment import Results
from ..losses import decompose
from ..theory import output_curvature, output_gradient
from .style import (
    AVERAGE_NAMES,
    BLUE,
    ENSEMBLE_COLOUR,
    GREEN,
    LEARNERS_COLOUR,
    RC,
    VERMILION,
    legend_above,
    stamp,
    stamp_of_many,
    styled,
)

EXACT = "computed, nothing is trained"
AVERAGE_STYLES = {"scores": (BLUE, "-"), "probabilities": (VERMILION, "--"), "released": (GREEN, "-.")}
BETA_STYLES = {0.0: {"marker": "o"}, 0.5: {"marker": "s", "linestyle": "--"}, 1.0: {"marker": "^", "linestyle": "-."}}


def svg(figure: Figure) -> str:
    """Write a figure as SVG; the same figure always gives the same text."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": RC["svg.hashsalt"]}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def collusion(outputs: Tensor, moves: Tensor) -> Figure:
    """Draw learners in the plane before and after they move, and their average: the paper's picture of collusion.

    Args:
        outputs: `(M, 2)`.
        moves: `(M, 2)`, zero for learners that stay.
    """
    with styled(1, 1, size=(4.6, 3.6), footer=EXACT) as (figure, grid):
        axes = grid[0, 0]
        moved = outputs + moves
        changed = moves.abs().sum(-1) > 0
        axes.plot(*outputs[changed].T, linestyle="", marker="o", markersize=9, fillstyle="none", color=LEARNERS_COLOUR)
        axes.plot(*moved.T, linestyle="", marker="o", markersize=9, color=LEARNERS_COLOUR, label="base learners")
        for index in changed.nonzero().flatten().tolist():
            axes.annotate(
                "", xytext=outputs[index].tolist(), xy=moved[index].tolist(),
                arrowprops={"arrowstyle": "-|>", "color": VERMILION, "linewidth": 2, "shrinkA": 5, "shrinkB": 5},
            )  # fmt: skip
        axes.plot([], [], color=VERMILION, linewidth=2, label="opposite moves")
        square = {"linestyle": "", "marker": "s", "markersize": 9, "color": ENSEMBLE_COLOUR}
        axes.plot(*moved.mean(0), label="their average: it stays", **square)
        for index, (x, y) in enumerate(moved.tolist()):
            axes.annotate(f"$f_{{{index + 1}}}$", (x, y), textcoords="offset points", xytext=(8, -8))
        axes.annotate(r"$\bar{f}$", moved.mean(0).tolist(), textcoords="offset points", xytext=(8, -4))
        axes.set(xlabel="first output", ylabel="second output", aspect="equal")
        axes.margins(0.18)
        figure.legend(loc="outside upper center", ncols=3, handletextpad=0.4, columnspacing=1.2)
    return figure


def diversity_over_distance(num_classes: int = 10, furthest: float = 12.0) -> Figure:
    """Draw the diversity of two learners that disagree over the distance of their logits, for the three averages.

    Learner 1 gives class 1 the logit d, and learner 2 gives it to class 2; all other logits are 0.

    Args:
        num_classes: at least three, so that there is a class about which they agree.
        furthest: the largest d.
    """
    distances = torch.linspace(0, furthest, 121, dtype=torch.float64)
    outputs = torch.zeros(2, len(distances), num_classes, dtype=torch.float64)
    outputs[0, :, 0] = outputs[1, :, 1] = distances
    panels = {"the label is one of their classes": 0, "the label is a third class": 2}
    footer = f"{EXACT} · two learners, {num_classes} classes"
    with styled(1, 2, size=(7.6, 3.2), footer=footer, sharey=True) as (figure, grid):
        for axes, (title, label) in zip(grid.flat, panels.items(), strict=True):
            targets = torch.full((len(distances),), label)
            for average, (colour, line) in AVERAGE_STYLES.items():
                diversity = decompose(outputs, targets, average=average).diversity
                axes.plot(distances, diversity, color=colour, linestyle=line, label=AVERAGE_NAMES[average])
            axes.set(title=title, xlabel="logit d of each learner's class")
        grid.flat[0].set_ylabel("diversity, nats")
        legend_above(figure, grid.flat[0], ncols=3)
    return figure


def gradients(outputs: Tensor, target: int) -> Figure:
    """Draw the gradient of each learner of one example over its probability of the right class, for the three averages.

    The length of M · ∂L^β/∂f_i, so that it does not shrink with the number of learners.

    Args:
        outputs: `(M, K)`.
        target: the right class.
    """
    order = outputs.softmax(-1)[:, target].argsort()
    outputs, targets = outputs[order].unsqueeze(1), torch.tensor([target])  # (M, 1, K)
    right = outputs[:, 0].softmax(-1)[:, target]
    footer = f"{EXACT} · one example, {len(outputs)} learners, {outputs.shape[-1]} classes"
    with styled(1, 3, size=(7.6, 3.0), footer=footer, sharey=True) as (figure, grid):
        for axes, average in zip(grid.flat, AVERAGE_STYLES, strict=True):
            for beta, style in BETA_STYLES.items():
                lengths = len(outputs) * output_gradient(outputs, targets, beta, average=average).norm(dim=-1)[:, 0]
                axes.plot(right, lengths, markersize=4, label=f"β = {beta:g}", **style)
            axes.set(title=AVERAGE_NAMES[average], xlabel="its probability of\nthe right class")
        grid.flat[0].set_ylabel("length of M · gradient")
        legend_above(figure, grid.flat[0], ncols=len(BETA_STYLES))
    return figure


def curvature(outputs: Tensor, targets: Mapping[str, Tensor], betas: Sequence[float]) -> Figure:
    """Draw the eigenvalues of L^β's Hessian in the learners' outputs over β, for squared error and cross-entropy.

    Args:
        outputs: `(M, 1, K)`; cross-entropy averages them as scores.
        targets: by loss, `(1, K)` for "squared_error" and `(1,)` for "cross_entropy".
        betas: at which it is computed.
    """
    titles = {"squared_error": "squared error", "cross_entropy": "cross-entropy, score averaging"}
    footer = f"{EXACT} · one example, M = {outputs.shape[0]}, K = {outputs.shape[2]}"
    with styled(1, 2, size=(7.6, 3.2), footer=footer) as (figure, grid):
        for axes, (loss, title) in zip(grid.flat, titles.items(), strict=True):
            values = torch.stack([output_curvature(outputs, targets[loss], beta, loss=loss)[0] for beta in betas])
            axes.plot(betas, values, color=ENSEMBLE_COLOUR, linewidth=0.9, alpha=0.7)
            axes.axhline(0, color="black", linewidth=0.8)
            axes.axvline(1, color=LEARNERS_COLOUR, linewidth=0.8, linestyle=":")
            axes.set(title=title, xlabel="β")
        grid.flat[0].set_ylabel("eigenvalues of the Hessian")
        note = {"textcoords": "offset points", "fontsize": 9}
        grid.flat[0].annotate("all move alike", (betas[-1], 2 / len(outputs)), xytext=(0, 4), ha="right", **note)
        grid.flat[0].annotate("zero-sum", (1, 0), xytext=(6, 4), **note)
    return figure


def over_epochs(results: Results) -> Figure:
    """Draw objective and diversity on training data over the epochs, a line for each run in the colour of its β."""
    history = results.history()
    history = history[history["split"] == "train"]
    betas = sorted(history["beta"].unique())
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(betas)))
    with styled(1, 2, size=(7.6, 3.4), footer=stamp(results)) as (figure, grid):
        for index, (beta, colour) in enumerate(zip(betas, colours, strict=True)):
            style = {"color": colour, "linestyle": "-" if index % 2 == 0 else "--", "linewidth": 1.1}
            for seed, run in history[history["beta"] == beta].groupby("seed"):
                label = f"β = {beta:g}" if seed == history["seed"].min() else None
                objective = run["individual"] - beta * run["diversity"]
                grid[0, 0].plot(run["epoch"], objective, label=label, **style)
                grid[0, 1].plot(run["epoch"], run["diversity"], **style)
        grid[0, 0].set_yscale("symlog", linthresh=1)
        grid[0, 1].set_yscale("log")
        grid[0, 0].set(xlabel="epoch", title="objective, training data")
        grid[0, 1].set(xlabel="epoch", title="diversity, training data")
        legend_above(figure, grid.flat[0], ncols=6, columnspacing=1)
    return figure


def learners_alone(sweeps: Mapping[str, Mapping[int, Results]]) -> Figure:
    """Draw the individual test loss of independent learners over the number that train side by side, for two settings.

    Independent learners do not interact, so the number should not matter. Last epoch, means and 95 % t intervals over
    seeds.

    Args:
        sweeps: by name of the setting, and by number of learners.
    """
    styles = ({"color": VERMILION, "marker": "s", "linestyle": "--"}, {"color": BLUE, "marker": "o"})
    every = [results for by_size in sweeps.values() for results in by_size.values()]
    with styled(1, 1, size=(7.6, 3.4), footer=stamp_of_many(every)) as (figure, grid):
        axes = grid[0, 0]
        for (setting, by_size), style in zip(sweeps.items(), styles, strict=True):
            tests = [results.tests().query("checkpoint == 'last' and beta == 0") for results in by_size.values()]
            means, half_widths = zip(*(mean_interval(rows["individual"].to_numpy()) for rows in tests), strict=True)
            axes.errorbar(list(by_size), means, half_widths, label=setting, capsize=2.5, markersize=4, **style)
        axes.set(xlabel="learners M (log scale)", ylabel="individual test loss", xscale="log")
        axes.set_xticks(list(by_size), list(map(str, by_size)))
        axes.minorticks_off()
        axes.legend()
    return figure
