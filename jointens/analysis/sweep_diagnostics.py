"""The paper's three diagnostics for every ensemble of a sweep, as tidy frames: a row for each checkpoint, β and run.

The frames have the columns checkpoint, beta and seed, so that `statistics.over_beta` gives means and paired differences
of any other column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..common import InputError
from ..diagnostics import REPEATS, SHARES, debias, diagnose, dropped_of, expected_increase, increases
from ..losses import decompose
from .stored import StoredOutputs

if TYPE_CHECKING:
    import pandas as pd


def explosion(stored: StoredOutputs) -> pd.DataFrame:
    """Compute individual loss, ensemble loss and diversity on test data: the first diagnostic, diversity explosion."""
    return _frame(
        key | {name: part.mean().item() for name, part in _parts(stored, outputs, targets).items()}
        for key, outputs, targets in _ensembles(stored)
    )


def debiased(stored: StoredOutputs) -> pd.DataFrame:
    """Compute diversity with and without the learners' constant shifts: the second diagnostic, debiased diversity.

    Columns: diversity; debiased, the same without the shifts; fall, the share of diversity that goes with them.
    Classification is debiased in its outputs, as they are averaged.
    """
    rows = []
    for key, outputs, targets in _ensembles(stored):
        before, after = (_parts(stored, o, targets)["diversity"].mean().item() for o in (outputs, debias(outputs)))
        rows.append(
            key | {"diversity": before, "debiased": after, "fall": (before - after) / before if before else 0.0}
        )
    return _frame(rows)


def dropped(
    stored: StoredOutputs,
    *,
    shares: Sequence[float] = SHARES,
    repeats: int = REPEATS,
    seed: int = 0,
    checkpoints: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Drop random learners and compute the ensemble's loss: the third diagnostic, learner codependence.

    Columns: share; drop and keep, the numbers of learners that go and that stay; increase of the ensemble loss over
    random subsets; for squared error expected, the same in closed form; for classification accuracy_lost, as a
    fraction.

    Args:
        stored: the outputs.
        shares: of the learners that are dropped, rounded down as in the authors' code. Two shares that come to the same
            number have one row, a share that comes to no learner has none.
        repeats: subsets for each example.
        seed: of the subsets, which are the same for every β.
        checkpoints: some of `stored.checkpoints`; None: all of them.

    Raises:
        InputError: a share is not between 0 and 1, or no learner can be dropped.
    """
    for share in shares:
        if not 0 < share < 1:
            raise InputError(f"share is {share}; allowed is above 0 and below 1")
    rows = []
    losses = {"increase": "squared_error"}
    if stored.loss == "cross_entropy":
        losses = {"increase": "cross_entropy", "accuracy_lost": "zero_one"}
    for checkpoint in checkpoints or stored.checkpoints:
        for run in stored.runs:
            outputs, targets = zip(*(stored.read(beta, run, checkpoint) for beta in stored.betas), strict=True)
            outputs, targets = torch.stack(outputs), targets[0]  # (β, M, N, K), (N,)
            num_learners = outputs.shape[1]
            diversity = _parts(stored, outputs, targets.expand(len(outputs), -1))["diversity"].mean(-1)  # (β,)
            drops = {dropped_of(num_learners, share): share for share in reversed(shares)}  # each number once
            for drop, share in sorted(drops.items()):
                keep = num_learners - drop
                if not drop:
                    continue
                generator = torch.Generator().manual_seed(seed)
                increase = increases(
                    outputs, targets, list(losses.values()), stored.average,
                    keep=keep, repeats=repeats, generator=generator,
                )  # fmt: skip
                columns = {column: increase[loss].tolist() for column, loss in losses.items()}
                if stored.loss == "squared_error":
                    columns["expected"] = expected_increase(diversity, num_learners, keep).tolist()
                for number, beta in enumerate(stored.betas):
                    row = {"checkpoint": checkpoint, "beta": beta, "seed": run}
                    row |= {"share": share, "drop": drop, "keep": keep}
                    rows.append(row | {column: values[number] for column, values in columns.items()})
    if not rows:
        raise InputError(f"{stored.source}: of {num_learners} learners no share of {list(shares)} is one to drop")
    return _frame(rows)


def signs(stored: StoredOutputs, checkpoint: str | None = None) -> pd.DataFrame:
    """Apply `diagnose` to every ensemble of one checkpoint, a row for each β and run.

    Columns: beta, seed; constant_shifts, systematic_drift, error_correlation and paid_back, the values; alarms, the
    names of the findings that are signs of collusion. The reference is the run's ensemble of β = 0, or of the β nearest
    to it, which itself has no reference.

    Args:
        stored: the outputs.
        checkpoint: one of `stored.checkpoints`; None: the last of them.
    """
    names = ("constant shifts", "systematic drift", "error correlation", "paid back")
    rows = []
    for run in stored.runs:
        reference, targets = stored.read(stored.independent, run, checkpoint)
        for beta in stored.betas:
            outputs, _ = stored.read(beta, run, checkpoint)
            others = None if beta == stored.independent else reference
            rows.append({"beta": beta, "seed": run} | _values(stored, outputs, targets, others, names))
    return _frame(rows)


def control(stored: StoredOutputs, checkpoint: str | None = None) -> pd.DataFrame:
    """Apply `diagnose` to half of the independent learners, with the other half as reference: the negative control.

    Independent learners do not collude, so that no column of `signs` should say so. A row for each run; `ratio` is the
    diversity of the first half over that of the other. With fewer than four learners there are no rows.
    """
    import pandas as pd

    rows = []
    for run in stored.runs:
        outputs, targets = stored.read(stored.independent, run, checkpoint)
        half = len(outputs) // 2
        if half < 2:
            return pd.DataFrame(
                columns=["seed", "ratio", "constant_shifts", "systematic_drift", "alarms"], dtype=object
            )
        names = ("constant shifts", "systematic drift", "diversity, ratio to reference")
        values = _values(stored, outputs[:half], targets, outputs[half : 2 * half], names)
        rows.append({"seed": run, "ratio": values.pop("diversity_ratio_to_reference"), **values})
    return _frame(rows)


def _values(
    stored: StoredOutputs, outputs: Tensor, targets: Tensor, reference: Tensor | None, names: Sequence[str]
) -> dict:
    report = diagnose(outputs, targets, loss=stored.loss, average=stored.average, reference=reference)
    found = report.frame()["value"].to_dict()
    values = {name.replace(",", "").replace(" ", "_"): found.get(name, float("nan")) for name in names}
    return values | {"alarms": ", ".join(report.alarms)}


def _ensembles(stored: StoredOutputs) -> Iterator[tuple[dict, Tensor, Tensor]]:
    for checkpoint in stored.checkpoints:
        for beta in stored.betas:
            for run in stored.runs:
                yield {"checkpoint": checkpoint, "beta": beta, "seed": run}, *stored.read(beta, run, checkpoint)


def _parts(stored: StoredOutputs, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    return decompose(outputs, targets, loss=stored.loss, average=stored.average)._asdict()


def _frame(rows) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))
