"""The paper's Table 1: independent beside joint training on ImageNet, one row for each learner and β."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..analysis.calibration import calibration_error
from ..common.errors import InputError
from ..experiment.folder import Results
from ..experiment.frames import metrics_of
from ..experiment.record import Cell
from .paper_values import paper_values

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {  # of `evaluated`, as a reader is told of them; accuracies in per cent
    "accuracy": "top\N{NON-BREAKING HYPHEN}1, %",
    "top5_accuracy": "top\N{NON-BREAKING HYPHEN}5, %",
    "individual_accuracy": "individual top\N{NON-BREAKING HYPHEN}1, %",
    "ensemble": "NLL",
    "individual": "individual NLL",
    "diversity": "diversity",
    "calibration_error": "calibration error, %",
}
SEE_PAPER = "see the paper, Table 1"


def evaluated(sweeps: Sequence[Results], *, data_root: str | os.PathLike | None = None, device: str = "auto"):
    """What the validation images say of every cell at its best checkpoint, finished or in training.

    Columns: learner, beta, seed, validations (so far), finished; those of `COLUMNS`, as fractions and in nats;
    calibration_error is NaN where neither outputs nor weights are there, and with a warning where the data are not.

    Args:
        sweeps: results on images, of one or more learners.
        data_root: where the images are, if outputs are not stored.
        device: where outputs are computed then.
    """
    import pandas as pd

    told = []
    for results in sweeps:
        for record in [*results.records(), *results.unfinished_records()]:
            cell = Cell(record["beta"], record["seed"])
            row = {"learner": results.experiment.base_learner, "beta": cell.beta, "seed": cell.seed}
            row |= {"validations": len(record["history"]["learning_rate"]), "finished": results.is_done(cell)}
            row |= _metrics_at_best(record)
            row["calibration_error"] = math.nan
            if any(results.path(cell, suffix).exists() for suffix in (".npz", ".safetensors")):
                try:
                    row["calibration_error"] = calibration_error(results, cell, data_root=data_root, device=device)
                except InputError as error:
                    warnings.warn(f"no calibration error of {cell}: {error}", stacklevel=2)
            told.append(row)
    known = ["learner", "beta", "seed", "validations", "finished", *COLUMNS]
    return pd.DataFrame(told, columns=None if told else known)


def _metrics_at_best(record: Mapping[str, Any]) -> dict[str, float]:
    """The metrics at the best checkpoint; of a cell in training, at the best validation so far."""
    if record["test"]["best"]:
        return metrics_of(record["test"]["best"])
    number = record["best_epoch"] - 1
    at_best = metrics_of({name: values[number] for name, values in record["history"]["val"].items()})
    return at_best if number >= 0 else dict.fromkeys(at_best, math.nan)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """What `evaluated` gives as a reader sees it: means over seeds, a row for each learner and β."""
    shown = [name for name in COLUMNS if name in rows]
    means = rows.groupby(["learner", "beta"], sort=False)[shown].mean()
    for name in shown:
        means[name] = [_told(name, value) for value in means[name]]
    counts = rows.groupby(["learner", "beta"], sort=False)[["validations", "finished"]].agg(["min"])
    means["validations"] = [
        f"{number}" if finished else f"{number}, in training"
        for number, finished in zip(counts["validations", "min"], counts["finished", "min"], strict=True)
    ]
    means.index = means.index.map(lambda row: (row[0], f"{row[1]:g}"))
    return means.rename(columns=COLUMNS).rename_axis(["learner", "β"])


def beside_the_paper(rows: pd.DataFrame) -> pd.DataFrame:
    """The seven learners with the ensemble's top-1 accuracy at β = 0 and β = 1, ours and the paper's.

    Args:
        rows: of ImageNet at full scale, as `evaluated` gives them; perhaps none.
    """
    import pandas as pd

    names = {"independent": 0.0, "joint": 1.0}
    told = {}
    for learner, entries in paper_values("table_1").items():
        row = {}
        for beta in names.values():
            own = rows[(rows["learner"] == learner) & (rows["beta"] == beta)] if len(rows) else rows
            row[f"β = {beta:g}, here"] = _number(100 * own["accuracy"].mean(), ".1f") if len(own) else "not trained yet"
        for name, beta in names.items():
            entry = entries.get(name)
            row[f"β = {beta:g}, paper"] = SEE_PAPER if entry is None else _number(entry, "g")
        told[learner] = row
    return pd.DataFrame.from_dict(told, orient="index").rename_axis("learner")


def _number(value: float, style: str) -> str:
    return "–" if math.isnan(value) else format(value, style).replace("-", "−")


def texts(rows: pd.DataFrame, beta: float) -> dict[str, str]:
    """The numbers of one β that a chapter's sentences quote, by the names of `COLUMNS`: means over seeds."""
    of = rows[rows["beta"] == beta]
    return {name: _told(name, of[name].mean()) for name in COLUMNS if name in of}


def _told(name: str, value: float) -> str:
    return _number(100 * value, ".1f") if "%" in COLUMNS[name] else _number(value, ".3f")
