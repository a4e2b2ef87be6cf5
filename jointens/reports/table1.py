"""The paper's Table 1: independent beside joint training on ImageNet, one row for each learner and β."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis import calibration_error
from ..common import InputError, paper_values_file, read_yaml_file
from ..experiment import CellRecord, Results
from .tables import number_text

if TYPE_CHECKING:
    import pandas as pd

# The columns of `evaluated` in words; accuracies in per cent.
COLUMN_NAMES = {
    "accuracy": "top\N{NON-BREAKING HYPHEN}1, %",
    "top5_accuracy": "top\N{NON-BREAKING HYPHEN}5, %",
    "individual_accuracy": "individual top\N{NON-BREAKING HYPHEN}1, %",
    "ensemble": "NLL",
    "individual": "individual NLL",
    "diversity": "diversity",
    "calibration_error": "calibration error, %",
}
SEE_PAPER = "see the paper, Table 1"


def evaluated(
    sweeps: Sequence[Results], *, data_root: str | os.PathLike | None = None, device: str = "auto"
) -> pd.DataFrame:
    """Collect the metrics on validation images of every cell at its best checkpoint, finished or in training.

    Args:
        sweeps: results on images, of one or more learners.
        data_root: where the images are, if outputs are not stored.
        device: where outputs are computed then.

    Returns:
        Columns learner, beta, seed, validations (so far), finished; those of `COLUMN_NAMES`, as fractions and in nats.
        calibration_error is NaN where neither outputs nor weights are stored, and with a warning where the images are
        missing.
    """
    import pandas as pd

    rows = []
    for results in sweeps:
        diverged = results.diverged()
        for record in [*results.records(), *results.unfinished_records()]:
            cell = record.cell
            if cell in diverged:
                continue
            row = {"learner": results.experiment.base_learner, "beta": cell.beta, "seed": cell.seed}
            row |= {"validations": len(record.history.learning_rate), "finished": results.is_done(cell)}
            row |= _metrics_at_best(record)
            row["calibration_error"] = math.nan
            if any(results.path(cell, suffix).exists() for suffix in (".npz", ".safetensors")):
                try:
                    row["calibration_error"] = calibration_error(results, cell, data_root=data_root, device=device)
                except InputError as error:
                    warnings.warn(f"no calibration error of {cell}: {error}", stacklevel=2)
            rows.append(row)
    known = ["learner", "beta", "seed", "validations", "finished", *COLUMN_NAMES]
    return pd.DataFrame(rows, columns=None if rows else known)


def _metrics_at_best(record: CellRecord) -> dict[str, float]:
    """Return the metrics at the best checkpoint; of a cell in training, at the best validation so far."""
    if record.test["best"]:
        return record.test["best"].columns()
    if record.best_epoch:
        return record.history.val.at(record.best_epoch).columns()
    return dict.fromkeys(record.history.val.at(1).columns(), math.nan)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Make the table of what `evaluated` gives: means over seeds, a row for each learner and β."""
    names = [name for name in COLUMN_NAMES if name in rows]
    means = rows.groupby(["learner", "beta"], sort=False)[names].mean()
    for name in names:
        means[name] = [_text(name, value) for value in means[name]]
    counts = rows.groupby(["learner", "beta"], sort=False)[["validations", "finished"]].agg(["min"])
    means["validations"] = [
        f"{number}" if finished else f"{number}, in training"
        for number, finished in zip(counts["validations", "min"], counts["finished", "min"], strict=True)
    ]
    means.index = means.index.map(lambda row: (row[0], f"{row[1]:g}"))
    return means.rename(columns=COLUMN_NAMES).rename_axis(["learner", "β"])


def texts(rows: pd.DataFrame, beta: float) -> dict[str, str]:
    """Write the numbers of one β that a chapter's sentences quote, by the keys of `COLUMN_NAMES`: means over seeds."""
    rows = rows[rows["beta"] == beta]
    return {name: _text(name, rows[name].mean()) for name in COLUMN_NAMES if name in rows}


def _text(name: str, value: float) -> str:
    scale, style = (100, ".1f") if "%" in COLUMN_NAMES[name] else (1, ".3f")
    return number_text(value, style, scale=scale, missing="–")


def beside_the_paper(rows: pd.DataFrame) -> pd.DataFrame:
    """Make the table of the seven learners' top-1 accuracy at β = 0 and β = 1, ours beside the paper's.

    Args:
        rows: of ImageNet at full scale, as `evaluated` gives them; perhaps none.
    """
    import pandas as pd

    names = {"independent": 0.0, "joint": 1.0}
    comparison = {}
    for learner, entries in paper_values("table_1").items():
        row = {}
        for beta in names.values():
            ours = rows[(rows["learner"] == learner) & (rows["beta"] == beta)] if len(rows) else rows
            accuracy = number_text(100 * ours["accuracy"].mean(), ".1f", missing="–") if len(ours) else None
            row[f"β = {beta:g}, here"] = accuracy or "not trained yet"
        for name, beta in names.items():
            entry = entries.get(name)
            row[f"β = {beta:g}, paper"] = SEE_PAPER if entry is None else number_text(entry, "g")
        comparison[learner] = row
    return pd.DataFrame.from_dict(comparison, orient="index").rename_axis("learner")


def paper_values(table: str, file: str | os.PathLike | None = None) -> dict[str, dict[str, float | None]]:
    """Read one of the paper's tables from `book/paper_values.yml`, by row and column; None where nothing is filled in.

    Args:
        table: a key of the file, such as "table_1".
        file: another file than that of the repository.

    Raises:
        InputError: the file cannot be read, or an entry is no number.
    """
    file = Path(file) if file else paper_values_file()
    tables = read_yaml_file(file)
    rows = tables.get(table) if isinstance(tables, dict) else None
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise InputError(f"{file} holds no {table}: allowed are lines `row: {{column: number}}` below it")
    for name, row in rows.items():
        for column, value in row.items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise InputError(f"{file}, {table}, {name}: {column} is {value!r}; allowed is a number, or null")
    return rows
