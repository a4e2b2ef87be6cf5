"""Published results: finished cells of the shipped profiles, small enough to be committed, in `results/`.

results/cifar10_resnet8-scores/experiment.yml            whose results these are
results/cifar10_resnet8-scores/cells/beta=0,seed=0.json  a finished cell, as in the folder where it was trained
results/cifar10_resnet8_ends-scores-0.03/…               the same of a profile with another learning rate
results/cifar10_resnet8_map-scores-train_size=2000/…     the same of a profile with another value of a key
results/README.md                                        what is published and what is missing

`results/publish.py` writes them; outputs and weights stay where they were trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..common import profiles_root, published_root
from ..experiment import Cell, Experiment, Results


class Setting(NamedTuple):
    """A shipped profile with one way to average, and perhaps other values of some keys than its own."""

    profile: str
    average: str
    keys: tuple[tuple[str, Any], ...] = ()
    """Names and values of the keys that differ from the profile's."""

    def __str__(self) -> str:
        """Name its folder: a learning rate stands there without its name."""
        parts = [f"{value:g}" if name == "learning_rate" else f"{name}={value}" for name, value in self.keys]
        return f"{self.profile}-{self.average}" + (f"-{','.join(parts)}" if parts else "")

    def with_keys(self, **keys: Any) -> Setting:
        """Return the same profile and average with other values of some keys."""
        return self._replace(keys=tuple(keys.items()))

    @property
    def changes(self) -> dict[str, Any]:
        """The keys that differ from the profile's, or may do so."""
        return {"average": self.average, **dict(self.keys)}

    @property
    def experiment(self) -> Experiment:
        """Its experiment, with the whole grid of the profile."""
        return Experiment.from_profile(profiles_root() / f"{self.profile}.yml", **self.changes)

    @property
    def results(self) -> Results:
        """Its published results, perhaps none."""
        return Results(self.experiment, published_root() / str(self))

    @property
    def whole(self) -> Results:
        """Its published results at those β that every seed of the profile has; all of them if there is no such β."""
        results = self.results
        experiment = results.experiment
        everywhere = [
            beta for beta in experiment.beta_vals if all(results.is_done(Cell(beta, seed)) for seed in experiment.seeds)
        ]
        betas = everywhere or experiment.beta_vals
        return Results(dataclasses.replace(experiment, beta_vals=betas), results.folder)


RESNET8 = Setting("cifar10_resnet8", "scores")  # Figure 6, left, for a CPU
ENDS = Setting("cifar10_resnet8_ends", "scores")  # its first and last β alone, in bfloat16
AT_RATES = (ENDS, *(ENDS.with_keys(learning_rate=rate) for rate in (0.03, 0.3, 0.01)))
WITH_AVERAGES = (ENDS, *(ENDS._replace(average=average) for average in ("probabilities", "released")))
CROP_FLIP = Setting("cifar10_resnet8_crop_flip", "scores")
# The map of settings, in the order to train them: first the corners of width × images × epochs, then what lies between,
# each from cheap to dear. Another map point is ENDS, another CROP_FLIP.
MAP_KEYS = ("width", "train_size", "augmentation", "num_epochs")
MAP = tuple(
    Setting("cifar10_resnet8_map", "scores").with_keys(**dict(zip(MAP_KEYS, values, strict=True)))
    for values in (
        (0.5, 2000, "none", 8),
        (0.5, 2000, "none", 48),
        (0.5, 2000, "crop_flip", 48),
        (0.5, 20_000, "none", 8),
        (2, 2000, "none", 8),
        (0.5, 20_000, "none", 48),
        (0.5, 20_000, "crop_flip", 48),
        (2, 2000, "none", 48),
        (2, 20_000, "none", 8),
        (1, 2000, "none", 24),
        (0.5, 8000, "none", 24),
        (1, 8000, "none", 8),
        (1, 20_000, "none", 8),
        (1, 8000, "crop_flip", 24),
    )
)
SMALL = (  # for a CPU
    RESNET8,
    Setting("cifar10_resnet8_wide", "scores"),
    *dict.fromkeys((*AT_RATES, *WITH_AVERAGES)),  # ENDS once
    CROP_FLIP,
    *(Setting(f"cifar10_cnn{kind}", "scores") for kind in ("", "_fair", "_single", "_wide")),
    *MAP,
)
PANELS = ("cifar10_resnet18", "cifar100_resnet18", "cifar10_resnet34", "cifar100_resnet34")  # of Figure 6, left
PANEL_AVERAGES = ("scores", "released", "probabilities")  # of each panel, in the order to run them
IMAGENET = tuple(  # of Table 1
    f"imagenet_{name}"
    for name in ("resnet18", "resnet34", "squeezenet", "densenet", "shufflenet", "mobilenet", "mobilevit")
)


def settings() -> list[Setting]:
    """List every setting that is to be published, in the order in which they should be run."""
    return [
        *SMALL,
        *(Setting(profile, average) for average in PANEL_AVERAGES for profile in PANELS),
        *(Setting(profile, "probabilities") for profile in IMAGENET),
    ]


def on_imagenet() -> list[Results]:
    """Open the published results of Table 1's learners."""
    return _published(Setting(profile, "probabilities") for profile in IMAGENET)


def panels() -> list[Results]:
    """Open the published sweeps of Figure 6's panels."""
    return _published(Setting(profile, average) for average in PANEL_AVERAGES for profile in PANELS)


def by_rate() -> dict[float, Results]:
    """Open the whole sweeps of ResNet8 at the ends of β by learning rate, in ascending order."""
    found = {results.experiment.learning_rate: results for results in _whole(AT_RATES)}
    return dict(sorted(found.items()))


def by_average() -> dict[str, Results]:
    """Open the whole sweeps of ResNet8 at the ends of β by the way to average."""
    return {results.experiment.average: results for results in _whole(WITH_AVERAGES)}


def of_photographs() -> dict[str, Results]:
    """Open what is published of ensembles on CIFAR at β = 0 and β = 1, by the setting's name.

    A setting is among them as soon as every seed has both. Each has these two β alone.
    """
    found = {}
    for setting in settings():
        experiment = setting.experiment
        if experiment.dataset == "ImageNet" or not {0, 1} <= set(experiment.beta_vals):
            continue
        results = Results(dataclasses.replace(experiment, beta_vals=[0, 1]), published_root() / str(setting))
        if all(map(results.is_done, results.experiment.cells)):
            found[str(setting)] = results
    return found


def _published(settings: Iterable[Setting]) -> list[Results]:
    """Open the results of settings, without those of which nothing is published."""
    return [results for setting in settings if (results := setting.results).records()]


def _whole(settings: Iterable[Setting]) -> list[Results]:
    """Open the results of settings all of whose cells are published."""
    opened = [setting.results for setting in settings]
    return [results for results in opened if all(map(results.is_done, results.experiment.cells))]
