"""The published results that claims are checked on, by name, and the scale that each of them has.

A name is that of a folder of `results/`, such as "cifar10_resnet8-scores", or of a table there, such as
"tabular/abalone".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..analysis import at_rates, choose_rates, complete_seeds, over_rates
from ..common import InputError, published_root, read_yaml_file, unknown_name
from ..data import TABULAR_SETS
from ..experiment import Experiment
from . import published, published_tables

if TYPE_CHECKING:
    import pandas as pd

SELECTIONS = ("each_of", "first_of", "best_rate_of")
"""How a claim names its data: all of them, the first that can be compared, or each β at its best learning rate."""


class PublishedRuns(NamedTuple):
    """Tests of one sweep: rows of β, seed and checkpoint; empty if nothing is published."""

    name: str
    tests: pd.DataFrame
    scale: str
    num_learners: int
    loss: str


def known_data() -> list[str]:
    """List the names of all results that are, or are to be, published."""
    return [*map(str, published.settings()), *(f"tabular/{name}" for name in TABULAR_SETS)]


@functools.cache
def _paper_scales() -> dict[str, str]:
    """Return the scale of each setting of the paper's, by the hash of its experiment."""
    of_profiles = {
        "CIFAR": [(profile, average) for profile in published.PANELS for average in published.PANEL_AVERAGES],
        "ImageNet": [(profile, "probabilities") for profile in published.IMAGENET],
    }
    scales = {
        published.Setting(*setting).experiment.hash: scale
        for scale, settings in of_profiles.items()
        for setting in settings
    }
    return scales | {published_tables.published_experiment(name).hash: "regression sets" for name in TABULAR_SETS}


def scale_of(experiment: Experiment) -> str:
    """Return the scale of an experiment: one of the paper's if it is a shipped setting of the paper's, else "small"."""
    return _paper_scales().get(experiment.hash, "small")


def read_data(name: str) -> PublishedRuns:
    """Read published results.

    Raises:
        InputError: an unknown name, or a damaged file.
    """
    if name not in known_data():
        raise unknown_name(name, known_data(), where="published results")
    if name.startswith("tabular/"):
        return _table(name)
    (setting,) = [setting for setting in published.settings() if str(setting) == name]
    results = setting.results
    experiment = results.experiment
    tests = results.tests() if results.records() else _no_tests()
    return PublishedRuns(name, tests, scale_of(experiment), experiment.num_learners, "cross_entropy")


def _table(name: str) -> PublishedRuns:
    data_set = name.removeprefix("tabular/")
    experiment = published_tables.published_experiment(data_set)
    tests = published_tables.read_tables().get(data_set)
    about = published_root() / f"{name}.yml"
    is_papers = tests is not None and read_yaml_file(about).get("hash") == experiment.hash
    scale = scale_of(experiment) if is_papers else "small"
    return PublishedRuns(name, _no_tests() if tests is None else tests, scale, experiment.num_learners, "squared_error")


def _no_tests() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=["beta", "seed", "checkpoint"])


def can_compare(tests: pd.DataFrame, betas: Sequence[float]) -> bool:
    """Return whether two seeds or more have every one of some β."""
    rows = tests[tests["beta"].isin(betas)]
    try:
        return set(betas) <= set(rows["beta"]) and len(complete_seeds(rows)) > 1
    except InputError:  # no seed has all of them
        return False


def select(
    chosen: Mapping[str, Sequence[str]],
    betas: Callable[[pd.DataFrame], Sequence[float]],
    read: Callable[[str], PublishedRuns],
) -> tuple[list[PublishedRuns], list[str]]:
    """Read the data that a claim names.

    Args:
        chosen: one of `SELECTIONS` and names.
        betas: gives the β of a frame that are compared; none if there are none to compare.
        read: reads data by name, such as `read_data`.

    Returns:
        Data with two seeds or more at each of these β, and the names of those without.
    """
    ((how, names),) = chosen.items()
    found, missing = [], []
    for name in names:
        data = read(name)
        compared = betas(data.tests)
        if compared and can_compare(data.tests, compared):
            found.append(data)
            if how == "first_of":
                return found, []
        else:
            missing.append(name)
    if how == "best_rate_of" and found:
        rates = {_rate(data.name): data.tests for data in found}
        joined = over_rates(rates)
        name = f"{found[0].name}, {len(rates)} rates"
        return [found[0]._replace(name=name, tests=at_rates(joined, choose_rates(joined)))], []
    return found, missing


def _rate(name: str) -> float:
    (setting,) = [setting for setting in published.settings() if str(setting) == name]
    return setting.experiment.learning_rate
