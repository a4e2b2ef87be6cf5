"""Published results on the paper's regression sets: one table for each sweep, small enough to be committed.

results/tabular/abalone.csv        a row for each checkpoint, β and seed
results/tabular/abalone.yml        whose they are: the setting, its hash, and where and when it was trained
results/tabular/tabm_abalone.csv   the same of learners that share their weights

`results/publish.py` writes them; histories, outputs and weights stay where they were trained: a sweep has a hundred
cells and more.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..common import profiles_root, published_root
from ..data import TABULAR_SETS
from ..experiment import Experiment

if TYPE_CHECKING:
    import pandas as pd

SHARED = tuple(f"tabm_{name}" for name in TABULAR_SETS)
"""The profiles of the sets with learners that share their weights."""
PROFILES = (*TABULAR_SETS, *SHARED)
"""The profiles whose sweeps are published as tables, in the paper's order of the sets."""
COLUMNS = (
    "checkpoint", "beta", "seed", "epoch", "train_ensemble", "train_individual", "train_diversity",
    "ensemble", "individual", "diversity", "fall", "systematic_drift",
)  # fmt: skip
"""As in `Results.tests`; fall and systematic_drift as in `sweep_diagnostics.debiased` and `sweep_diagnostics.signs`."""


def folder() -> Path:
    """Return the folder of the tables."""
    return published_root() / "tabular"


def published_experiment(profile: str) -> Experiment:
    """Return the setting of one of `PROFILES`."""
    return Experiment.from_profile(profiles_root() / f"{profile}.yml")


def read_tables(profiles: Iterable[str] = tuple(TABULAR_SETS)) -> dict[str, pd.DataFrame]:
    """Read the tables that are there, by profile."""
    import pandas as pd

    files = {name: folder() / f"{name}.csv" for name in profiles}
    return {name: pd.read_csv(file) for name, file in files.items() if file.exists()}
