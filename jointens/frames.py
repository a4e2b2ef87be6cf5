"""Records of finished cells as tables: tidy frames, and the authors' own columns.

A record is what a cell's JSON file holds (results.py). `Results` has these frames as methods, whose docstrings say what
the columns mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .decomposition import Decomposition

if TYPE_CHECKING:
    import pandas as pd

Record = Mapping[str, Any]
AUTHORS_COLUMNS = (
    "beta", "run", "train_loss", "val_loss", "val_div", "val_ind_loss", "val_ens_loss", "val_acc_ens", "val_acc_ind",
    "test_loss", "test_div", "test_ind_loss", "test_ens_loss", "test_acc_ens", "test_acc_ind",
)  # fmt: skip


def tests(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each cell and checkpoint, as `Results.tests` says."""
    import pandas as pd

    rows = []
    for cell in records:
        epochs = {"best": cell["best_epoch"], "last": len(cell["history"]["learning_rate"])}
        course = _metrics(cell["history"]["train"])
        for checkpoint, epoch in epochs.items():
            seen = {f"train_{loss}": course[loss][epoch - 1] if epoch else math.nan for loss in Decomposition._fields}
            row = {"beta": cell["beta"], "seed": cell["seed"], "checkpoint": checkpoint, "epoch": epoch}
            rows.append(row | _metrics(cell["test"][checkpoint]) | seen)
    return pd.DataFrame(rows)


def history(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each cell, epoch and split, as `Results.history` says."""
    import pandas as pd

    parts = []
    for cell in records:
        for split in ("train", "val"):
            of = _metrics(cell["history"][split])
            epochs = range(1, len(of["ensemble"]) + 1)
            parts.append(
                pd.DataFrame({"beta": cell["beta"], "seed": cell["seed"], "split": split, "epoch": epochs, **of})
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def learner_history(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each cell, epoch, split and learner, as `Results.learner_history` says."""
    import pandas as pd

    rows = [
        {"beta": cell["beta"], "seed": cell["seed"], "split": split, "epoch": epoch, "learner": i, "accuracy": value}
        for cell in records
        for split in ("train", "val")
        for epoch, learners in enumerate(cell["history"][split].get("learner_accuracy", []), 1)
        for i, value in enumerate(learners)
    ]
    return pd.DataFrame(rows)


def authors_table(records: Sequence[Record]) -> pd.DataFrame:
    """The authors' `results.csv`: a row for each cell, test metrics at the best epoch.

    Columns of validation and `train_loss` hold lists, an entry for each epoch; `acc_ind` lists the learners.
    """
    import pandas as pd

    return pd.DataFrame([_authors_row(cell) for cell in records], columns=AUTHORS_COLUMNS)


def _authors_row(cell: Record) -> dict[str, Any]:
    def columns(stored: Record, prefix: str) -> dict[str, Any]:
        of, names = _metrics(stored), {"div": "diversity", "ind_loss": "individual", "ens_loss": "ensemble"}
        row = {f"{prefix}_{short}": of[name] for short, name in names.items()}
        row[f"{prefix}_loss"] = of["individual"] - cell["beta"] * of["diversity"]
        if "accuracy" in stored:
            row |= {f"{prefix}_acc_ens": of["accuracy"], f"{prefix}_acc_ind": stored["learner_accuracy"]}
        return {name: np.asarray(value, dtype=float).tolist() for name, value in row.items()}

    return {
        "beta": cell["beta"],
        "run": cell["seed"],
        "train_loss": [math.nan if value is None else value for value in cell["history"]["objective"]],
        **columns(cell["history"]["val"], "val"),
        **columns(cell["test"]["best"], "test"),
    }


def _metrics(stored: Record) -> dict[str, Any]:
    """A cell's stored metrics as the columns of a frame; null, a loss that was not finite, becomes NaN."""
    metrics = {name: np.array(stored[name], dtype=float) for name in Decomposition._fields}
    if "accuracy" in stored:
        metrics["accuracy"] = np.array(stored["accuracy"], dtype=float)
        metrics["individual_accuracy"] = np.array(stored["learner_accuracy"], dtype=float).mean(-1)
    return {name: value if value.ndim else float(value) for name, value in metrics.items()}
