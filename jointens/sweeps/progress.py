"""How far a sweep is: the progress bar while it runs, and for a results folder what is done, in work and missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tqdm import tqdm

from ..experiment import Cell, Results
from .claims import ClaimContent, Claims
from .grids import asked_cells

MOST_NAMED = 20  # cells


class Progress:
    """One progress bar for all processes that train a sweep: validations of all cells, cells done, time left.

    Args:
        results: the folder.
        missing: the cells that are to be trained.
        enabled: show it on standard error.
    """

    def __init__(self, results: Results, missing: Sequence[Cell], *, enabled: bool = True):
        experiment = results.experiment
        self.results, self.missing = results, tuple(missing)
        self.validations = None if experiment.max_patience else experiment.num_validations
        self._of_cell = dict.fromkeys(missing, 0)  # validations
        self._losses: dict[str, float] = {}  # that were measured last
        self.bar = tqdm(
            total=self.validations and len(missing) * self.validations,
            desc=experiment.name,
            unit=_unit(results),
            disable=not (enabled and missing),
            dynamic_ncols=True,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def report(self, stack: Sequence[Cell], number: int, losses: dict[str, float]) -> None:
        """Show a validation of a stack that this process trains; see `jointens.sweeps.stack.Report`."""
        if not losses and not self.bar.disable:
            self.say(f"{self.bar.desc}: {stack[0]} goes on after {number} validations")
        self._show([(stack, number)], losses)

    def look(self, claims: Claims) -> None:
        """Show how far the processes are that hold claims."""
        self._show([(claim.cells, claim.validations) for claim in claims.in_work()], {})

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self.bar.write(text, file=sys.stderr)

    def _show(self, in_work: Sequence[tuple[Sequence[Cell], int]], losses: dict[str, float]) -> None:
        done = {cell for cell in self.missing if self.results.is_done(cell)}
        self._of_cell |= {cell: number for stack, number in in_work for cell in stack if cell in self._of_cell}
        if self.validations:
            self._of_cell |= dict.fromkeys(done, self.validations)
        self._losses = losses or self._losses
        shown = {f"val {name}": f"{value:.4f}" for name, value in self._losses.items()}
        self.bar.set_postfix({"cells": f"{len(done)}/{len(self.missing)}"} | shown, refresh=False)
        self.bar.update(sum(self._of_cell.values()) - self.bar.n)


def describe_progress(results: Results) -> str:
    """Say which cells of the grids that were asked for are done, in work and missing; "" if all are done."""
    asked = asked_cells(results)
    claims = Claims(results.folder).all()
    in_work = [claim for claim, state in claims if state != "dead" and not all(map(results.is_done, claim.cells))]
    taken = {cell for claim in in_work for cell in claim.cells}
    missing = [cell for cell in asked if not results.is_done(cell) and cell not in taken]
    if not missing and not in_work:
        return ""
    done = sum(1 for _ in results.folder.glob("cells/*.json"))
    lines = [f"{done} cells are done, {len(taken)} in work, {len(missing)} missing."]
    lines += [f"in work: {_described(claim, results)}" for claim in in_work]
    if missing:
        kept = {cell for cell in missing if results.unfinished_path(cell, ".pt").exists()}
        named = [f"{cell} (has a checkpoint)" if cell in kept else f"{cell}" for cell in missing[:MOST_NAMED]]
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        lines.append(f"missing: {'; '.join(named)}{more}")
    return "\n".join(lines)


def describe_diverged(results: Results, most: int = MOST_NAMED) -> str:
    """Name the finished cells of the grid that diverged, `most` of them, and since when; "" if there are none."""
    diverged = results.diverged()
    if not diverged:
        return ""
    named = [f"{cell} ({_unit(results)} {since})" for cell, since in list(diverged.items())[:most]]
    more = f" and {len(diverged) - most} more" if len(diverged) > most else ""
    return f"{len(diverged)} of {len(results.experiment.cells)} cells diverged: {'; '.join(named)}{more}"


def _unit(results: Results) -> str:
    return "validation" if results.experiment.validate_every else "epoch"


def _described(claim: ClaimContent, results: Results) -> str:
    """Describe a claim in a line: `beta=0,seed=3, epoch 5 of 24, by process 12 on host, since 2026-01-31T12:00 UTC`."""
    cells = f"{claim.cells[0]}" if claim.cells else "a cell"
    more = f" and {len(claim.cells) - 1} more" if len(claim.cells) > 1 else ""
    of = f" of {claim.total}" if claim.total else ""
    since = claim.since.replace("+00:00", " UTC")
    return f"{cells}{more}, {_unit(results)} {claim.validations}{of}, by {claim.owner}, since {since}"
