"""The paper's three diagnostics over a sweep, as tidy frames: a row for each checkpoint, β and run.

The frames have the columns checkpoint, beta and seed, so that `summaries.over_beta` gives means and paired differences
of any other column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..common.errors import InputError
from ..diagnostics.codependence import expected_increase
from ..diagnostics.diagnosis import debias, diagnose, increases
from ..diagnostics.statistics import REPEATS, SHARES, dropped_of
from ..losses.decomposition import decompose
from .stored import StoredOutputs

if TYPE_CHECKING:
    import pandas as pd


def explosion(stored: StoredOutputs) -> pd.DataFrame:
    """Individual loss, ensemble loss and diversity on test data: the first diagnostic, diversity explosion."""
    return _frame(
        key | {name: part.mean().item() for name, part in _parts(stored, outputs, targets).items()}
        for key, outputs, targets in _ensembles(stored)
    )


def debiased(stored: StoredOutputs) -> pd.DataFrame:
    """Diversity, what is left of it without the learners' constant shifts, and the share by which it falls.

    The second diagnostic, debiased diversity: columns diversity, debiased, fall. Classification is debiased in its
    outputs, as they are averaged.
    """
    rows = []
    for key, outputs, targets in _ensembles(stored):
        before, after = (_parts(stored, of, targets)["diversity"].mean().item() for of in (outputs, debias(outputs)))
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
    """What dropping random learners does: the third diagnostic, learner codependence.

    Columns: share; drop and keep, learners that go and that stay; increase of the ensemble loss, drawn; for squared
    error expected, the same without drawing; for classification accuracy_lost, as a fraction.

    Args:
        stored: the outputs.
        shares: of the learners that are dropped, rounded down as in the authors' code. Of two that come to the same
            number there is one row, of one that comes to none there is none.
        repeats: subsets for each example.
        seed: of the subsets, which are the same for every β.
        checkpoints: some of `stored.checkpoints`; None: all of them.

    Raises:
        InputError: a share that is none, or ensembles of which nothing can be dropped.
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
                chance = torch.Generator().manual_seed(seed)
                how = {"keep": keep, "repeats": repeats, "generator": chance}
                rises = increases(outputs, targets, list(losses.values()), stored.average, **how)
                told = {column: rises[loss].tolist() for column, loss in losses.items()}
                if stored.loss == "squared_error":
                    told["expected"] = expected_increase(diversity, num_learners, keep).tolist()
                for number, beta in enumerate(stored.betas):
                    row = {
                        "checkpoint": checkpoint,
                        "beta": beta,
                        "seed": run,
                        "share": share,
                        "drop": drop,
                        "keep": keep,
                    }
                    rows.append(row | {column: values[number] for column, values in told.items()})
    if not rows:
        raise InputError(f"{stored.source}: of {num_learners} learners no share of {list(shares)} is one to drop")
    return _frame(rows)


def signs(stored: StoredOutputs, checkpoint: str | None = None) -> pd.DataFrame:
    """What `diagnose` finds in every ensemble of one checkpoint, a row for each β and run.

    Columns: beta, seed; constant_shifts, systematic_drift, error_correlation and paid_back, the values; alarms, the
    names of the findings that are signs of collusion. The reference is the run's ensemble of β = 0, or what is nearest
    to it; that itself has none.

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
            against = None if beta == stored.independent else reference
            rows.append({"beta": beta, "seed": run} | _values(stored, outputs, targets, against, names))
    return _frame(rows)


def control(stored: StoredOutputs, checkpoint: str | None = None) -> pd.DataFrame:
    """The negative control: half of the independent learners with the other half as reference, a row for each run.

    Nobody colludes there, so no column of `signs` may tell otherwise; `ratio` is how many times the diversity of the
    other half the first has. Of fewer than four learners there are no halves, and no rows.
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
        told = _values(stored, outputs[:half], targets, outputs[half : 2 * half], names)
        rows.append({"seed": run, "ratio": told.pop("diversity_ratio_to_reference"), **told})
    return _frame(rows)


def _values(
    stored: StoredOutputs, outputs: Tensor, targets: Tensor, reference: Tensor | None, names: Sequence[str]
) -> dict:
    report = diagnose(outputs, targets, loss=stored.loss, average=stored.average, reference=reference)
    values = report.frame()["value"].to_dict()
    told = {name.replace(",", "").replace(" ", "_"): values.get(name, float("nan")) for name in names}
    return told | {"alarms": ", ".join(report.alarms)}


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
