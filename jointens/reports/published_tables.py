"""Published results on the paper's regression sets: of each sweep a table, small enough to be committed.

results/tabular/abalone.csv    a row for each checkpoint, β and seed
results/tabular/abalone.yml    whose they are: the setting, its hash, and where and when it was trained

Histories, outputs and weights stay where they were trained: a sweep has a hundred cells and more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ..analysis.stored import stored_outputs
from ..analysis.sweep_diagnostics import debiased, signs
from ..common.errors import InputError
from ..common.files import write_atomically
from ..common.paths import profiles_root, published_root
from ..data.uci import TABULAR_SETS
from ..experiment.config import Experiment
from ..experiment.folder import Results

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "checkpoint", "beta", "seed", "epoch", "train_ensemble", "train_individual", "train_diversity",
    "ensemble", "individual", "diversity", "fall", "systematic_drift",
)  # fmt: skip
"""As in `Results.tests`; fall as in `diagnosed.debiased`, systematic_drift as in `diagnosed.signs`."""


def folder() -> Path:
    return published_root() / "tabular"


def is_published(experiment: Experiment) -> bool:
    """Whether it is the setting of the shipped profile of one of the paper's sets."""
    if experiment.dataset not in TABULAR_SETS:
        return False
    return published_experiment(experiment.dataset).hash == experiment.hash


def published_experiment(name: str) -> Experiment:
    """The setting of the shipped profile of one of the paper's sets."""
    return Experiment.from_profile(profiles_root() / f"{name}.yml")


def publish_table(results: Results) -> Path:
    """Write the table of a whole sweep, and whose it is, to `results/tabular`; what was there is replaced.

    Raises:
        InputError: a cell of the profile's grid is missing, or its outputs are, or the files cannot be written.
    """
    import pandas as pd

    shipped = published_experiment(results.experiment.dataset)
    whole = Results(shipped, results.folder)
    if missing := [str(cell) for cell in shipped.cells if not whole.is_done(cell)]:
        raise InputError(f"{results.folder} lacks {len(missing)} cells of its profile, {missing[0]} among them")
    frame, stored = whole.tests(), stored_outputs(whole)
    drift = [signs(stored, checkpoint).assign(checkpoint=checkpoint) for checkpoint in stored.checkpoints]
    for column, part in {"fall": debiased(stored), "systematic_drift": pd.concat(drift)}.items():
        keys = ["checkpoint", "beta", "seed"]
        frame = frame.merge(part[[*keys, column]], on=keys, validate="one_to_one")
    last = max((record["provenance"] for record in whole.records()), key=lambda told: told["finished"])
    about = {**shipped.identity(), "hash": shipped.hash}
    about["provenance"] = {name: last[name] for name in ("finished", "commit", "device", "threads", "versions")}
    try:
        folder().mkdir(parents=True, exist_ok=True)
        table = frame[list(COLUMNS)].sort_values(["checkpoint", "beta", "seed"])
        write_atomically(folder() / f"{shipped.dataset}.csv", table.to_csv(index=False, float_format="%.6g").encode())
        write_atomically(folder() / f"{shipped.dataset}.yml", yaml.safe_dump(about, sort_keys=False).encode())
    except OSError as error:
        raise InputError(f"cannot publish to {folder()}: {error.strerror}") from error
    return folder()


def published_tables() -> dict[str, pd.DataFrame]:
    """The tables that are there, by data set, in the paper's order."""
    import pandas as pd

    files = {name: folder() / f"{name}.csv" for name in TABULAR_SETS}
    return {name: pd.read_csv(file) for name, file in files.items() if file.exists()}
