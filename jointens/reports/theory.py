"""The figures of the theory chapters. As in `figures`, each function gives a matplotlib Figure in the book's style."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..analysis.statistics import mean_interval
from ..experiment.folder import Results
from ..losses.decomposition import decompose
from ..theory.gradients import output_curvature, output_gradient
from .beta_sweep import AVERAGE_NAMES, ENSEMBLE_COLOUR, LEARNERS_COLOUR, STYLE, stamp, stamp_of_many, styled

EXACT = "computed, nothing is trained"
# Okabe and Ito's, one for each average; line styles differ as well.
AVERAGES = {"scores": ("#0072B2", "-"), "probabilities": ("#D55E00", "--"), "released": ("#009E73", "-.")}
BETA_STYLES = {0.0: {"marker": "o"}, 0.5: {"marker": "s", "linestyle": "--"}, 1.0: {"marker": "^", "linestyle": "-."}}


def svg(figure: Figure) -> str:
    """A figure as SVG, the same text whenever the same figure is drawn."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": STYLE["svg.hashsalt"]}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def collusion(outputs: Tensor, moves: Tensor) -> Figure:
    """Learners in the plane, where moves take them, and their average, which stays: the paper's picture of collusion.

    outputs `(M, 2)`; moves `(M, 2)`, zero for learners that stay.
    """
    with styled(1, 1, size=(4.6, 3.6), told=EXACT) as (figure, grid):
        axes = grid[0, 0]
        moved = outputs + moves
        changed = moves.abs().sum(-1) > 0
        axes.plot(*outputs[changed].T, linestyle="", marker="o", markersize=9, fillstyle="none", color=LEARNERS_COLOUR)
        axes.plot(*moved.T, linestyle="", marker="o", markersize=9, color=LEARNERS_COLOUR, label="base learners")
        for index in changed.nonzero().flatten().tolist():
            axes.annotate(
                "", xytext=outputs[index].tolist(), xy=moved[index].tolist(),
                arrowprops={"arrowstyle": "-|>", "color": "#D55E00", "linewidth": 2, "shrinkA": 5, "shrinkB": 5},
            )  # fmt: skip
        axes.plot([], [], color="#D55E00", linewidth=2, label="opposite moves")
        axes.plot(
            *moved.mean(0),
            linestyle="",
            marker="s",
            markersize=9,
            color=ENSEMBLE_COLOUR,
            label="their average: it stays",
        )
        for index, (x, y) in enumerate(moved.tolist()):
            axes.annotate(f"$f_{{{index + 1}}}$", (x, y), textcoords="offset points", xytext=(8, -8))
        axes.annotate(r"$\bar{f}$", moved.mean(0).tolist(), textcoords="offset points", xytext=(8, -4))
        axes.set(xlabel="first output", ylabel="second output", aspect="equal")
        axes.margins(0.18)
        figure.legend(loc="outside upper center", ncols=3, handletextpad=0.4, columnspacing=1.2)
    return figure


def diversity_over_distance(num_classes: int = 10, furthest: float = 12.0) -> Figure:
    """Diversity of two learners that disagree, over how far their logits are apart, for the three averages.

    Learner 1 gives class 1 the logit d, and learner 2 gives it to class 2; all other logits are 0. At least three
    classes, so that there is one about which they agree.
    """
    distances = torch.linspace(0, furthest, 121, dtype=torch.float64)
    outputs = torch.zeros(2, len(distances), num_classes, dtype=torch.float64)
    outputs[0, :, 0] = outputs[1, :, 1] = distances
    panels = {"the label is one of their classes": 0, "the label is a third class": 2}
    told = f"{EXACT} · two learners, {num_classes} classes"
    with styled(1, 2, size=(7.6, 3.2), told=told, sharey=True) as (figure, grid):
        for axes, (title, label) in zip(grid.flat, panels.items(), strict=True):
            targets = torch.full((len(distances),), label)
            for average, (colour, line) in AVERAGES.items():
                diversity = decompose(outputs, targets, average=average).diversity
                axes.plot(distances, diversity, color=colour, linestyle=line, label=AVERAGE_NAMES[average])
            axes.set(title=title, xlabel="logit d of each learner's class")
        grid.flat[0].set_ylabel("diversity, nats")
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def gradients(outputs: Tensor, target: int) -> Figure:
    """How hard each learner of one example is pulled, over how sure it is of the right class, for the three averages.

    outputs `(M, K)`. The length of M · ∂L^β/∂f_i, so that it does not shrink with the number of learners.
    """
    order = outputs.softmax(-1)[:, target].argsort()
    outputs, targets = outputs[order].unsqueeze(1), torch.tensor([target])  # (M, 1, K)
    own = outputs[:, 0].softmax(-1)[:, target]
    told = f"{EXACT} · one example, {len(outputs)} learners, {outputs.shape[-1]} classes"
    with styled(1, 3, size=(7.6, 3.0), told=told, sharey=True) as (figure, grid):
        for axes, average in zip(grid.flat, AVERAGES, strict=True):
            for beta, style in BETA_STYLES.items():
                pulls = len(outputs) * output_gradient(outputs, targets, beta, average=average).norm(dim=-1)[:, 0]
                axes.plot(own, pulls, markersize=4, label=f"β = {beta:g}", **style)
            axes.set(title=AVERAGE_NAMES[average], xlabel="its probability of\nthe right class")
        grid.flat[0].set_ylabel("length of M · gradient")
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(BETA_STYLES))
    return figure


def curvature(outputs: Tensor, targets: Mapping[str, Tensor], betas: Sequence[float]) -> Figure:
    """The eigenvalues of L^β's Hessian in the learners' outputs over β: squared error, and cross-entropy of scores.

    outputs `(M, 1, K)`; targets: of each loss, `(1, K)` and `(1,)`.
    """
    titles = {"squared_error": "squared error", "cross_entropy": "cross-entropy, score averaging"}
    told = f"{EXACT} · one example, M = {outputs.shape[0]}, K = {outputs.shape[2]}"
    with styled(1, 2, size=(7.6, 3.2), told=told) as (figure, grid):
        for axes, (loss, title) in zip(grid.flat, titles.items(), strict=True):
            values = torch.stack([output_curvature(outputs, targets[loss], beta, loss=loss)[0] for beta in betas])
            axes.plot(betas, values, color=ENSEMBLE_COLOUR, linewidth=0.9, alpha=0.7)
            axes.axhline(0, color="black", linewidth=0.8)
            axes.axvline(1, color=LEARNERS_COLOUR, linewidth=0.8, linestyle=":")
            axes.set(title=title, xlabel="β")
        grid.flat[0].set_ylabel("eigenvalues of the Hessian")
        beside = {"textcoords": "offset points", "fontsize": 9}
        grid.flat[0].annotate("all move alike", (betas[-1], 2 / len(outputs)), xytext=(0, 4), ha="right", **beside)
        grid.flat[0].annotate("zero-sum", (1, 0), xytext=(6, 4), **beside)
    return figure


def over_epochs(results: Results) -> Figure:
    """Objective and diversity on training data over the epochs, a line for each run in the colour of its β."""
    history = results.history()
    history = history[history["split"] == "train"]
    betas = sorted(history["beta"].unique())
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(betas)))
    with styled(1, 2, size=(7.6, 3.4), told=stamp(results)) as (figure, grid):
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
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=6, columnspacing=1)
    return figure


def learners_alone(sweeps: Mapping[str, Mapping[int, Results]]) -> Figure:
    """Individual test loss of independent learners over how many of them train side by side, for two settings.

    Independent learners never meet, so the number should not matter. Last epoch, means and 95 % t intervals over seeds.
    """
    styles = ({"color": "#D55E00", "marker": "s", "linestyle": "--"}, {"color": "#0072B2", "marker": "o"})
    every = [results for by_size in sweeps.values() for results in by_size.values()]
    with styled(1, 1, size=(7.6, 3.4), told=stamp_of_many(every)) as (figure, grid):
        axes = grid[0, 0]
        for (setting, by_size), style in zip(sweeps.items(), styles, strict=True):
            tests = [results.tests().query("checkpoint == 'last' and beta == 0") for results in by_size.values()]
            means, half_widths = zip(*(mean_interval(of["individual"].to_numpy()) for of in tests), strict=True)
            axes.errorbar(list(by_size), means, half_widths, label=setting, capsize=2.5, markersize=4, **style)
        axes.set(xlabel="learners M (log scale)", ylabel="individual test loss", xscale="log")
        axes.set_xticks(list(by_size), list(map(str, by_size)))
        axes.minorticks_off()
        axes.legend()
    return figure
