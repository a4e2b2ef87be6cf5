"""Published results: finished cells of the shipped profiles, small enough to be committed, in `results/`.

results/cifar10_resnet18-scores/experiment.yml            whose results these are
results/cifar10_resnet18-scores/cells/beta=0,seed=0.json  a finished cell, as in the folder where it was trained
results/README.md                                         what is published and what is missing, in the order to run

Outputs and weights stay where they were trained, and so does the name of the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..common.errors import InputError
from ..common.files import write_atomically
from ..common.paths import profiles_root, published_root
from ..data.uci import TABULAR_SETS
from ..experiment.config import Experiment
from ..experiment.folder import Results
from ..experiment.record import Cell
from .published_tables import is_published, publish_table

if TYPE_CHECKING:
    import pandas as pd

PANELS = ("cifar10_resnet18", "cifar100_resnet18", "cifar10_resnet34", "cifar100_resnet34")  # of Figure 6, left
AVERAGES = ("scores", "released", "probabilities")  # in the order to run them
IMAGENET = tuple(  # of Table 1
    f"imagenet_{name}"
    for name in ("resnet18", "resnet34", "squeezenet", "densenet", "shufflenet", "mobilenet", "mobilevit")
)
SMALL = ("cifar10_cnn", "cifar10_cnn_fair", "cifar10_cnn_single", "cifar10_cnn_wide")  # for a CPU


class Setting(NamedTuple):
    """A shipped profile with one way to average."""

    profile: str
    average: str

    def __str__(self) -> str:
        return f"{self.profile}-{self.average}"

    @property
    def experiment(self) -> Experiment:
        return Experiment.from_profile(profiles_root() / f"{self.profile}.yml", average=self.average)

    @property
    def results(self) -> Results:
        """What is published of it, perhaps nothing."""
        return Results(self.experiment, published_root() / str(self))


def sweeps() -> list[Results]:
    """What is published of settings with more than one β, in the order of `settings`; ImageNet's are no sweeps."""
    found = [setting.results for setting in settings() if len(setting.experiment.beta_vals) > 1]
    return [of for of in found if of.records() and of.experiment.dataset != "ImageNet"]


def on_imagenet() -> list[Results]:
    """What is published of Table 1's learners."""
    found = [Setting(profile, "probabilities").results for profile in IMAGENET]
    return [results for results in found if results.records()]


def state() -> pd.DataFrame:
    """Every sweep with the number of its cells and how many of them are published."""
    import pandas as pd

    rows = []
    for setting in settings():
        if setting.profile in IMAGENET:
            continue
        results = setting.results
        done = len(results.records())
        rows.append((setting.profile, setting.average, len(results.experiment.cells), done))
    return pd.DataFrame(rows, columns=["profile", "average", "cells", "published"]).set_index("profile")


class Batch(NamedTuple):
    """Cells that one command trains."""

    setting: Setting
    beta_vals: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def cells(self) -> list[Cell]:
        return [Cell(beta, seed) for seed in self.seeds for beta in self.beta_vals]

    @property
    def missing(self) -> list[Cell]:
        results = self.setting.results  # which reads the profile and looks into the folder
        return [cell for cell in self.cells if not results.is_done(cell)]

    @property
    def command(self) -> str:
        betas, seeds = (str(list(values)).replace(" ", "") for values in (self.beta_vals, self.seeds))
        return (
            f"python -m jointens run notebooks/profiles/{self.setting.profile}.yml average={self.setting.average} "
            f'"beta_vals={betas}" "seeds={seeds}" store_outputs=false save_weights=false'
        )


def settings() -> list[Setting]:
    """Everything that is to be published, in the order in which it should be run."""
    sweeps = [Setting(profile, average) for average in AVERAGES for profile in PANELS]
    return (
        [Setting(profile, "scores") for profile in SMALL]
        + sweeps
        + [Setting(profile, "probabilities") for profile in IMAGENET]
    )


def batches() -> Iterator[Batch]:
    """All cells to publish, in the order to run: of each panel both ends of one seed, then its other β, other seeds."""
    for setting in settings():
        betas, seeds = setting.experiment.beta_vals, setting.experiment.seeds
        if setting.profile in (*SMALL, *IMAGENET):
            yield Batch(setting, betas, seeds)
            continue
        ends = (betas[0], betas[-1])
        yield Batch(setting, ends, seeds[:1])
        yield Batch(setting, betas[1:-1], seeds[:1])
        yield Batch(setting, betas, seeds[1:])


def publish(folder: Path) -> Path:
    """Copy the finished cells of a results folder to its place in `results/`; what is published already stays.

    Of the paper's regression sets it is a table of the whole sweep (published_tabular.py).

    Raises:
        InputError: the folder's experiment is none of the shipped settings, or the files cannot be written.
    """
    source = Results.at(folder)
    if is_published(source.experiment):
        return publish_table(source)
    setting = next((of for of in settings() if of.experiment.hash == source.experiment.hash), None)
    if setting is None or source.converted:
        known = ", ".join([*map(str, settings()), *TABULAR_SETS])
        raise InputError(f"{folder} holds no results of a setting to publish; those are {known}")
    target = setting.results
    found = {Cell(record["beta"], record["seed"]): record for record in source.all_records()}
    cells = [cell for cell in setting.experiment.cells if cell in found]  # others belong to no figure
    if not cells:
        raise InputError(f"{folder} holds no finished cell of {setting}")
    if any(found[cell]["provenance"].get("skipped") for cell in cells):
        raise InputError(f"{folder} was trained without the images that were damaged, which is another data set")
    try:
        target.prepare()
        for cell in cells:
            if not target.is_done(cell):
                found[cell]["provenance"].pop("host", None)
                text = json.dumps(found[cell], allow_nan=False, separators=(",", ":"))
                write_atomically(target.path(cell), text.encode())
        target.write_csv()
        write_list()
    except OSError as error:
        raise InputError(f"cannot publish to {target.folder}: {error.strerror} ({error.filename})") from error
    return target.folder


def write_list() -> None:
    """Bring the list in results/README.md up to date: what is published, what is missing, and the commands for that."""
    file = published_root() / "README.md"
    before, _, rest = file.read_text(encoding="utf-8").partition(LIST[0])
    after = rest.partition(LIST[1])[2]
    write_atomically(file, f"{before}{LIST[0]}\n{list_of_cells()}\n{LIST[1]}{after}".encode())


LIST = ("<!-- list: python -m jointens publish -->", "<!-- end of list -->")


def list_of_cells() -> str:
    """The batches as a Markdown table and, below it, the command of the first that is missing."""
    rows = ["| | setting | β | seeds | published | missing |", "|---|---|---|---|---|---|"]
    next_one = []
    for number, batch in enumerate(batches(), 1):
        betas, seeds = (", ".join(f"{value:g}" for value in values) for values in (batch.beta_vals, batch.seeds))
        missing = len(batch.missing)
        done = len(batch.cells) - missing
        rows.append(f"| {number} | {batch.setting} | {betas} | {seeds} | {done or '–'} | {missing or '–'} |")
        if missing and not next_one:
            told = f"The next is row {number}; for the others, change profile, `average`, `beta_vals` and `seeds`:"
            next_one = ["", told, "", "```bash", batch.command, "```"]
    return "\n".join([*rows, *next_one])
