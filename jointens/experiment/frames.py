"""Records of finished cells as tables: tidy frames, and the authors' own columns.

`Results` has these frames as methods, whose docstrings say what the columns mean. A record of the authors' code,
converted, has no training metrics and no test metrics at the last epoch: frames then lack those rows and columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .record import CellRecord, Metrics

if TYPE_CHECKING:
    import pandas as pd

AUTHORS_COLUMNS = (
    "beta", "run", "train_loss", "val_loss", "val_div", "val_ind_loss", "val_ens_loss", "val_acc_ens", "val_acc_ind",
    "test_loss", "test_div", "test_ind_loss", "test_ens_loss", "test_acc_ens", "test_acc_ind",
)  # fmt: skip


def tests(records: Sequence[CellRecord]) -> pd.DataFrame:
    """Make one row for each cell and checkpoint, as `Results.tests` says."""
    import pandas as pd

    rows = []
    for record in records:
        epochs = {"best": record.best_epoch, "last": len(record.history.learning_rate)}
        train = record.history.train.columns() if record.history.train else {}
        for checkpoint, epoch in epochs.items():
            if (metrics := record.test.get(checkpoint)) is None:
                continue
            losses = [name for name in ("individual", "ensemble", "diversity") if name in train]
            at_epoch = {f"train_{name}": train[name][epoch - 1] if epoch else math.nan for name in losses}
            at_epoch["val_ensemble"] = record.history.val.ensemble[epoch - 1] if epoch else math.nan
            row = {"beta": record.beta, "seed": record.seed, "checkpoint": checkpoint, "epoch": epoch}
            rows.append(row | metrics.columns() | at_epoch)
    return pd.DataFrame(rows)


def history(records: Sequence[CellRecord]) -> pd.DataFrame:
    """Make one row for each cell, epoch and split, as `Results.history` says."""
    import pandas as pd

    parts = []
    for record in records:
        steps = {"step": record.history.step} if record.history.step is not None else {}
        for split, metrics in record.history.splits.items():
            columns = metrics.columns()
            epochs = range(1, len(columns["ensemble"]) + 1)
            keys = {"beta": record.beta, "seed": record.seed, "split": split, "epoch": epochs}
            parts.append(pd.DataFrame(keys | steps | columns))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def learner_history(records: Sequence[CellRecord]) -> pd.DataFrame:
    """Make one row for each cell, epoch, split and learner, as `Results.learner_history` says."""
    import pandas as pd

    rows = []
    for record in records:
        steps = record.history.step
        for split, metrics in record.history.splits.items():
            for epoch, learners in enumerate(metrics.learner_accuracy or [], 1):
                keys = {"beta": record.beta, "seed": record.seed, "split": split, "epoch": epoch}
                keys |= {"step": steps[epoch - 1]} if steps is not None else {}
                rows += [keys | {"learner": index, "accuracy": value} for index, value in enumerate(learners)]
    return pd.DataFrame(rows)


def authors_table(records: Sequence[CellRecord]) -> pd.DataFrame:
    """Make the authors' `results.csv`: a row for each cell, test metrics at the best epoch.

    Columns of validation and `train_loss` hold lists, an entry for each epoch; `acc_ind` lists the learners.
    """
    import pandas as pd

    return pd.DataFrame([_authors_row(record) for record in records], columns=AUTHORS_COLUMNS)


def _authors_row(record: CellRecord) -> dict[str, Any]:
    best = record.test["best"]
    return {
        "beta": record.beta,
        "run": record.seed,
        "train_loss": record.history.objective or [],  # the authors' ImageNet code logs it by epoch
        **_authors_columns(record.history.val, "val", record.beta),
        **(_authors_columns(best, "test", record.beta) if best else {}),
    }


def _authors_columns(metrics: Metrics, prefix: str, beta: float) -> dict[str, Any]:
    columns, names = metrics.columns(), {"div": "diversity", "ind_loss": "individual", "ens_loss": "ensemble"}
    row = {f"{prefix}_{short}": columns[name] for short, name in names.items()}
    row[f"{prefix}_loss"] = columns["individual"] - beta * columns["diversity"]
    if metrics.accuracy is not None:
        row |= {f"{prefix}_acc_ens": columns["accuracy"], f"{prefix}_acc_ind": metrics.learner_accuracy}
    return {name: np.asarray(value, dtype=float).tolist() for name, value in row.items()}
