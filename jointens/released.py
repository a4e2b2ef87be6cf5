"""The bridge to the authors' repository (alanjeffares/joint-ensembles): its configurations, and its results both ways.

A results folder of theirs holds copies of the configuration (experiment.json, optim.json, data.json) and results.csv, a
row for each β and seed with the columns `frames.AUTHORS_COLUMNS`. Three things there are not as in ours:

- `train_loss` is the sum over the images seen, divided by the size of the official training set (50,000 for CIFAR, of
  which 40,000 are seen); ours, the objective, is the mean over the images seen.
- The best epoch is the last one with the lowest validation ensemble loss; ours is the first.
- Training data in evaluation mode and the last epoch's test are not measured; our folder then lacks them.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import difflib
import io
import json
import math
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import atomic
from .data import DATASETS
from .errors import InputError
from .experiment import Cell, Experiment, canonical_beta
from .frames import AUTHORS_COLUMNS, authors_table, read_authors_table
from .results import RELEASED, Results
from .training import TrainedCell, learning_rate

EXPERIMENT_KEYS = ("dataset", "base_learner", "num_learners", "seeds", "beta_vals", "probs", "device")
OPTIM_KEYS = (
    "optimiser", "scheduler", "learning_rate", "momentum", "weight_decay", "gamma", "factor", "lr_switch", "batch_size",
    "num_epochs", "max_patience",
)  # fmt: skip
# What only some optimisers and schedulers take; every other key of a file has to be there.
TAKEN_BY = {"momentum": ("SGD", "RMSprop"), "gamma": ("ExponentialLR",), "factor": ("Linear",)}
OPTIONAL = (*TAKEN_BY, "probs", "device", "max_patience")
# By what their code divides the training loss, in images; for other data sets by the images seen.
OFFICIAL_TRAINING = {"CIFAR-10": 50_000, "CIFAR-100": 50_000, "SVHN": 73_257}

AUTHORS = "authors' code"
ORIGIN = "computed_by"  # stands in the experiment.json of results that are not the authors', with the value OURS
OURS = "jointens"


# ---- their configuration


def read_experiment(folder: str | os.PathLike, /, **overrides: Any) -> Experiment:
    """The experiment that three files of the authors' repository describe.

    Args:
        folder: of experiment.json and optim.json; data.json lies beside them or in the folder above, as in their
            src/configs.
        overrides: keys of an `Experiment` that win over the files. `average` has to be among them where `probs` is
            false, since that has two meanings: "scores" is what it says, "released" what their sweep then computes.

    Raises:
        InputError: a file is missing or no JSON object, a key unknown or missing, a value not allowed.
    """
    folder = Path(folder).expanduser()
    ours = [name for name in Experiment.names() if name not in OPTIM_KEYS]  # they may stand there, too: see `convert`
    files = {"experiment.json": EXPERIMENT_KEYS, "optim.json": OPTIM_KEYS}
    keys: dict[str, Any] = {}
    for name, known in files.items():
        extra = [*ours, ORIGIN] if name == "experiment.json" else []
        told = _read_object(folder / name)
        _check_names(told, [*known, *extra], folder / name)
        for key in known:
            if key not in OPTIONAL and key not in {**told, **overrides}:
                raise InputError(f"{folder / name} lacks the key {key!r}")
        keys |= told
    keys.pop("max_patience", None)  # their sweep never stops early: when patience ends it prints a line, and goes on
    keys.pop(ORIGIN, None)
    keys["average"] = _average(keys, overrides, folder / "experiment.json")
    keys.pop("probs", None)
    if keys.get("scheduler", ...) is None:
        keys["scheduler"] = "none"
    if keys.get("factor") is False:  # their word for none, which is not 0
        del keys["factor"]
    keys |= overrides
    for name, kinds in TAKEN_BY.items():
        if name not in keys and (keys["optimiser"] in kinds or keys["scheduler"] in kinds):
            raise InputError(f"{folder / 'optim.json'} lacks the key {name!r}, needed by {' and '.join(kinds)}")
    experiment = Experiment.from_dict(keys)
    _check_data(folder, experiment.dataset, listed="dataset" not in overrides)
    return experiment


def _average(keys: Mapping[str, Any], overrides: Mapping[str, Any], file: Path) -> str:
    for told in (overrides, keys):
        if "average" in told:
            return told["average"]
    if "probs" not in keys:
        raise InputError(f"{file} lacks the key 'probs'")
    if not isinstance(keys["probs"], bool):
        raise InputError(f"{file}: probs is {keys['probs']!r}; allowed is true or false")
    if keys["probs"]:
        return "probabilities"
    raise InputError(
        f"{file}: probs is false, which has two meanings; choose average=scores (what the configuration says) or "
        "average=released (what the authors' code computes from it: averaged probabilities, handed on as scores)"
    )


def _check_data(folder: Path, dataset: str, *, listed: bool) -> None:
    """data.json says of the data set what we know of it; it has to list it unless that is not from these files."""
    file = next((at / "data.json" for at in (folder, folder.resolve().parent) if (at / "data.json").exists()), None)
    if file is None:
        raise InputError(f"{folder / 'data.json'} is missing, and there is none in the folder above")
    data = _read_object(file)
    if dataset not in data:
        if listed:
            raise InputError(f"{file} does not list the data set {dataset}; it lists {', '.join(data) or 'none'}")
        return
    if not isinstance(data[dataset], dict):
        raise InputError(f"{file}: {dataset} is {data[dataset]!r}; allowed is an object of keys and values")
    _check_names(data[dataset], ("num_classes", "num_workers"), file)
    known, told = DATASETS[dataset].num_outputs, data[dataset].get("num_classes")
    if told != known:
        raise InputError(f"{file}: num_classes of {dataset} is {told}; allowed is {known}")


def _read_object(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise InputError(f"{file} holds a {type(told).__name__}; allowed is an object of keys and values")
    return told


def _check_names(told: Mapping[str, Any], known: Sequence[str], file: Path) -> None:
    for name in told:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise InputError(f"{file}: unknown key {name!r}; the nearest known one is {near!r}")


# ---- results, both ways


def convert(source: str | os.PathLike, out: str | os.PathLike, /, **overrides: Any) -> Path:
    """A results folder of ours as one of the authors', or one of theirs as ours.

    To theirs: the four files, with every key of ours that their code does not know and that is not at its default; it
    ignores them, and `read_experiment` takes them back. Training metrics, the last epoch's test, outputs and weights
    have no place there.

    To ours: experiment.yml, cells without outputs and weights, and results.csv; `Results.at` opens the folder. What
    they do not log is absent or null. `numbers` is "released" there, so that `run` never trains into it.

    Args:
        source: a results folder of either kind.
        out: the new folder; it is not there yet, or is empty.
        overrides: as in `read_experiment`, for results of theirs only.

    Returns:
        `out`.

    Raises:
        InputError: `source` is no results folder or is damaged, or `out` holds something. Nothing is written then.
    """
    source, out = Path(source).expanduser(), Path(out).expanduser()
    try:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise InputError(f"{out} is there already; allowed is a folder that is new or empty")
        if (source / "experiment.yml").exists() and (source / "cells").is_dir():
            if overrides:
                raise InputError(f"{source} is jointens' own and knows its keys; given was {', '.join(overrides)}")
            files = _authors_files(Results.at(source))
            with _whole(out) as folder:
                for name, text in files.items():
                    atomic.write(folder / name, text.encode())
        elif (source / "results.csv").exists() and (source / "experiment.json").exists():
            experiment = dataclasses.replace(
                read_experiment(source, **overrides), store_outputs=False, save_weights=False
            )
            cells = _cells(source, experiment)
            with _whole(out) as folder:
                results = Results(experiment, folder, numbers=RELEASED)
                results.prepare()
                for trained, provenance in cells:
                    results.write(trained, provenance)
                results.write_csv()
        else:
            raise InputError(
                f"{source} is no results folder: it holds neither experiment.yml and cells (ours) nor results.csv and "
                "experiment.json (the authors')"
            )
    except OSError as error:
        raise InputError(f"cannot convert {source} to {out}: {error.strerror}") from error
    return out


@contextlib.contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A folder to fill, which then becomes `out`; of what was not filled to the end nothing stays."""
    place = out.resolve()
    folder = place.with_name(f".{place.name}{atomic.TEMPORARY}{platform.node()}.{os.getpid()}")
    try:
        folder.mkdir(parents=True)
        yield folder
        if place.exists():  # it stays the same folder: somebody may be in it
            for path in folder.iterdir():
                path.rename(place / path.name)
        else:
            folder.rename(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- ours to theirs


def _authors_files(results: Results) -> dict[str, str]:
    """Names and contents of the files of a results folder of theirs."""
    experiment, records = results.experiment, results.records()
    if not records:
        raise InputError(f"{results.folder} holds no finished cell")
    if experiment.loss != "cross_entropy":
        raise InputError(
            f"{results.folder} holds results of {experiment.dataset}; the authors' format has no regression"
        )
    theirs = all(record["provenance"]["device"] == AUTHORS for record in records)
    table = io.StringIO()
    writer = csv.DictWriter(table, AUTHORS_COLUMNS)
    writer.writeheader()
    writer.writerows(_authors_row(record, experiment) for record in records)
    contents = {
        "experiment.json": _experiment_keys(experiment) | ({} if theirs else {ORIGIN: OURS}),
        "optim.json": _optim_keys(experiment),
        "data.json": {experiment.dataset: {"num_classes": DATASETS[experiment.dataset].num_outputs}},
    }
    return {name: json.dumps(keys, indent=4) + "\n" for name, keys in contents.items()} | {
        "results.csv": table.getvalue()
    }


def _authors_row(record: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    if "row" in record["provenance"]:
        return record["provenance"]["row"]
    (row,) = authors_table([record]).to_dict("records")
    return row | {"train_loss": [loss * _share_seen(experiment) for loss in row["train_loss"]]}


def _experiment_keys(experiment: Experiment) -> dict[str, Any]:
    keys = {name: getattr(experiment, name) for name in EXPERIMENT_KEYS if name not in ("probs", "device")}
    keys |= {"probs": experiment.average == "probabilities", "device": "cuda"}  # theirs knows no "auto"
    if not keys["probs"]:
        keys["average"] = experiment.average  # which of the two meanings
    default = Experiment(dataset=experiment.dataset).identity()
    elsewhere = {"numbers", "average", *EXPERIMENT_KEYS, *OPTIM_KEYS}
    ours = {name: value for name, value in experiment.identity().items() if name not in elsewhere}
    return keys | {name: value for name, value in ours.items() if value != default[name]}


def _optim_keys(experiment: Experiment) -> dict[str, Any]:
    keys = {name: getattr(experiment, name) for name in OPTIM_KEYS if name not in ("factor", "max_patience")}
    keys |= {"lr_switch": experiment.switches, "max_patience": experiment.num_epochs}  # which never ends
    if experiment.scheduler == "none":
        keys["scheduler"] = None
    return keys | ({"factor": experiment.fall} if experiment.scheduler == "Linear" else {})


def _share_seen(experiment: Experiment) -> float:
    """The images seen in an epoch, as a share of those by which the authors' code divides the training loss."""
    seen = experiment.train_size or DATASETS[experiment.dataset].sizes[0]
    return seen / OFFICIAL_TRAINING.get(experiment.dataset, seen)


# ---- theirs to ours


def _cells(source: Path, experiment: Experiment) -> list[tuple[TrainedCell, dict[str, Any]]]:
    """Every row of their results.csv as a cell, with its provenance."""
    ours = _read_object(source / "experiment.json").get(ORIGIN) == OURS
    file, sizes = source / "results.csv", {"epochs": experiment.num_epochs, "learners": experiment.num_learners}
    seen: dict[Cell, int] = {}
    cells = []
    for number, row in enumerate(read_authors_table(file, **sizes), 1):
        cell = Cell(canonical_beta(row["beta"]), row["run"])
        if cell in seen:
            raise InputError(f"{file}, row {number}: {cell} is in row {seen[cell]} already")
        seen[cell] = number
        provenance = {
            "source": f"{source.resolve().name}/results.csv",
            "stack": [list(cell)],
            "device": OURS if ours else AUTHORS,
            # Their numbers as they stand: in a cell infinity is null, and what is derived may end in another digit.
            "row": {name: str(value) for name, value in row.items()},
        }
        cells.append((_cell(cell, row, experiment, ours=ours), provenance))
    return cells


def _cell(cell: Cell, row: Mapping[str, Any], experiment: Experiment, *, ours: bool) -> TrainedCell:
    names = {
        "individual": "ind_loss", "ensemble": "ens_loss", "diversity": "div", "accuracy": "acc_ens",
        "learner_accuracy": "acc_ind",
    }  # fmt: skip
    val, test = ({name: row[f"{part}_{short}"] for name, short in names.items()} for part in ("val", "test"))
    best_epoch = _best_epoch(val["ensemble"], last=not ours)
    if best_epoch == 0 and not ours:
        test = None  # no epoch was kept; their code then tests the model that another run has left
    epochs = range(1, experiment.num_epochs + 1)
    history = {
        "learning_rate": [learning_rate(experiment, epoch) for epoch in epochs],
        "objective": [_objective(loss, _share_seen(experiment)) for loss in row["train_loss"]],
        "val": val,
    }
    return TrainedCell(cell, best_epoch, history, {"best": test, "last": None}, outputs={}, weights={})


def _best_epoch(losses: Sequence[float], *, last: bool) -> int:
    """The epoch, from 1, with the lowest loss, the `last` or the first of several; 0 if none was ever kept."""
    lowest, best = math.inf, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < lowest or (last and loss == lowest):
            lowest, best = loss, epoch
    return best


def _objective(train_loss: float, share: float) -> float:
    """The mean over the images seen; with the nine digits of float32 if those say the same."""
    objective = train_loss / share
    short = float(f"{objective:.9g}")
    return short if short * share == train_loss else objective
