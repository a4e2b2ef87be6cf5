"""Published results: finished cells of the shipped profiles, small enough to be committed, in `results/`.

results/cifar10_resnet18-scores/experiment.yml            whose results these are
results/cifar10_resnet18-scores/cells/beta=0,seed=0.json  a finished cell, as in the folder where it was trained
results/README.md                                         what is published and what is missing, in the order to run

`results/publish.py` writes them; outputs and weights stay where they were trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..common import profiles_root, published_root
from ..experiment import Experiment, Results

if TYPE_CHECKING:
    import pandas as pd

SMALL = ("cifar10_cnn", "cifar10_cnn_fair", "cifar10_cnn_single", "cifar10_cnn_wide")  # for a CPU
PANELS = ("cifar10_resnet18", "cifar100_resnet18", "cifar10_resnet34", "cifar100_resnet34")  # of Figure 6, left
PANEL_AVERAGES = ("scores", "released", "probabilities")  # of each panel, in the order to run them
IMAGENET = tuple(  # of Table 1
    f"imagenet_{name}"
    for name in ("resnet18", "resnet34", "squeezenet", "densenet", "shufflenet", "mobilenet", "mobilevit")
)


class Setting(NamedTuple):
    """A shipped profile with one way to average."""

    profile: str
    average: str

    def __str__(self) -> str:
        return f"{self.profile}-{self.average}"

    @property
    def experiment(self) -> Experiment:
        """Its experiment, with the whole grid of the profile."""
        return Experiment.from_profile(profiles_root() / f"{self.profile}.yml", average=self.average)

    @property
    def results(self) -> Results:
        """Its published results, perhaps none."""
        return Results(self.experiment, published_root() / str(self))


def settings() -> list[Setting]:
    """List every setting that is to be published, in the order in which they should be run."""
    return [
        *(Setting(profile, "scores") for profile in SMALL),
        *(Setting(profile, average) for average in PANEL_AVERAGES for profile in PANELS),
        *(Setting(profile, "probabilities") for profile in IMAGENET),
    ]


def sweeps() -> list[Results]:
    """Open the published sweeps: of settings with more than one β, in the order of `settings`, without ImageNet."""
    found = [setting.results for setting in settings() if len(setting.experiment.beta_vals) > 1]
    return [results for results in found if results.records() and results.experiment.dataset != "ImageNet"]


def on_imagenet() -> list[Results]:
    """Open the published results of Table 1's learners."""
    found = [Setting(profile, "probabilities").results for profile in IMAGENET]
    return [results for results in found if results.records()]


def state() -> pd.DataFrame:
    """Count the cells of every sweep, and those of them that are published."""
    import pandas as pd

    rows = []
    for setting in settings():
        if setting.profile in IMAGENET:
            continue
        results = setting.results
        done = len(results.records())
        rows.append((setting.profile, setting.average, len(results.experiment.cells), done))
    return pd.DataFrame(rows, columns=["profile", "average", "cells", "published"]).set_index("profile")
