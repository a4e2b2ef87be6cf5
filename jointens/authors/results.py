"""Convert results folders of the authors' repository to ours, and ours to theirs.

A results folder of theirs holds copies of the configuration (experiment.json, optim.json, data.json) and results.csv, a
row for each β and seed with the columns `AUTHORS_COLUMNS`. Three things there are not as in ours:

- `train_loss` is the sum over the images seen, divided by the size of the official training set (50,000 for CIFAR, of
  which 40,000 are seen); ours, the objective, is the mean over the images seen.
- The best epoch is the last one with the lowest validation ensemble loss; ours is the first.
- Training data in evaluation mode and the last epoch's test are not measured; our folder then lacks them.

Results on ImageNet are files of another kind (imagenet.py). Of regression they publish outputs alone (outputs.py).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common import InputError, expanded, read_json_object, whole_folder, write_atomically
from ..experiment import (
    AUTHORS_COLUMNS,
    RELEASED,
    Cell,
    CellRecord,
    Experiment,
    Results,
    authors_table,
    canonical_beta,
)
from ..sweeps import describe_diverged, make_schedule
from ..training import best_validation
from . import imagenet, outputs
from .config import ENDLESS, EXPERIMENT_KEYS, OPTIM_KEYS, ORIGIN, OURS, read_experiment
from .table import read_authors_table

# By what their code divides the training loss, in images; for other data sets by the images seen.
OFFICIAL_TRAINING = {"CIFAR-10": 50_000, "CIFAR-100": 50_000, "SVHN": 73_257}

AUTHORS = "authors' code"


def convert(source: str | os.PathLike, out: str | os.PathLike, /, **overrides: Any) -> Path:
    """Convert a results folder of ours to the authors' format, or one of theirs to ours.

    To theirs: the four files, with every key of ours that their code does not know and that is not at its default; it
    ignores them, and `read_experiment` takes them back. Training metrics, the last epoch's test, outputs and weights
    have no place there. On ImageNet there is a file for each cell in place of the table, of those in training, too.
    Of regression there are the files on which their three diagnostics are made, with nothing but test outputs
    (outputs.py); `jointens.stored_outputs` reads such files, theirs as well.

    To ours: experiment.yml, cells without outputs and weights, and results.csv; `Results.at` opens the folder. What
    they do not log is absent or null. `numbers` is "released" there, so that `run` never trains into it.

    Args:
        source: a results folder of either kind.
        out: the new folder; it is not there yet, or is empty.
        overrides: `average`, for results of theirs whose files leave it open; nothing else can be said of what is
            finished.

    Returns:
        `out`.

    Raises:
        InputError: `source` is no results folder or is damaged, or `out` holds something. Nothing is written then.
    """
    source, out = expanded(source), expanded(out)
    try:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise InputError(f"{out} is there already; allowed is a folder that is new or empty")
        if (source / "experiment.yml").exists() and (source / "cells").is_dir():
            if overrides:
                raise InputError(f"{source} is jointens' own and knows its keys; given was {', '.join(overrides)}")
            files = _authors_files(Results.at(source))
            with whole_folder(out) as folder:
                for name, text in files.items():
                    write_atomically(folder / name, text.encode())
        elif (source / "experiment.json").exists() and _results_of_theirs(source):
            _check_overrides(source, overrides)
            experiment = dataclasses.replace(
                read_experiment(source, **overrides), store_outputs=False, save_weights=False
            )
            cells = _imagenet_cells(source, experiment) if experiment.validate_every else _cells(source, experiment)
            with whole_folder(out) as folder:
                results = Results(experiment, folder, numbers=RELEASED)
                results.prepare()
                for record in cells:
                    results.write(record)
                results.write_csv()
        else:
            raise InputError(
                f"{source} is no results folder: it holds neither experiment.yml and cells (ours) nor experiment.json "
                f"and results.csv or {imagenet.PATTERN} (the authors')"
            )
    except OSError as error:
        raise InputError(f"cannot convert {source} to {out}: {error.strerror}") from error
    return out


def _results_of_theirs(source: Path) -> bool:
    return (source / "results.csv").exists() or any(source.glob(imagenet.PATTERN))


def _check_overrides(source: Path, overrides: Mapping[str, Any]) -> None:
    """Refuse overrides of what the files of finished results say; only `average` may be open."""
    keys = read_json_object(source / "experiment.json")
    settled = "average" in keys or keys.get("probs") is True
    if wrong := [name for name in overrides if name != "average" or settled]:
        open_ones = "none" if settled else "average"
        raise InputError(f"{source} is finished, and its files say {wrong[0]}; allowed here: {open_ones}")


# ---- ours to theirs


def _authors_files(results: Results) -> dict[str, str]:
    """Return the names and contents of the files of a results folder of theirs."""
    experiment, diverged = results.experiment, results.diverged()
    records = [record for record in results.records() if record.cell not in diverged]
    on_files, told = experiment.about_data.files, describe_diverged(results)
    if not records and not (on_files and results.unfinished_records()):
        raise InputError(
            f"{results.folder} holds no finished cell" + (f" but those that diverged; {told}" if told else "")
        )
    if experiment.loss == "squared_error":
        return outputs.authors_files(results)
    if told:
        warnings.warn(f"{told}; they are left out, since the authors' format cannot say so", stacklevel=3)
    looks_back = make_schedule(experiment).depends_on_validation
    if on_files != bool(experiment.validate_every) or (looks_back and not on_files):
        raise InputError(
            f"{results.folder} was trained with validate_every={experiment.validate_every}; the authors' code "
            "validates every so many steps on ImageNet, after each epoch elsewhere, and looks back on ImageNet alone"
        )
    theirs = all(record.provenance["device"] == AUTHORS for record in [*records, *results.unfinished_records()])
    contents = {
        "experiment.json": _experiment_keys(experiment) | ({} if theirs else {ORIGIN: OURS}),
        "optim.json": _optim_keys(experiment),
        "data.json": {experiment.dataset: {"num_classes": experiment.about_data.num_outputs}},
    }
    contents = {name: json.dumps(keys, indent=4) + "\n" for name, keys in contents.items()}
    if on_files:
        return contents | imagenet.authors_files(results)
    table = io.StringIO()
    writer = csv.DictWriter(table, AUTHORS_COLUMNS)
    writer.writeheader()
    writer.writerows(_authors_row(record, experiment) for record in records)
    return contents | {"results.csv": table.getvalue()}


def _authors_row(record: CellRecord, experiment: Experiment) -> dict[str, Any]:
    if "row" in record.provenance:
        return record.provenance["row"]
    (row,) = authors_table([record]).to_dict("records")
    return row | {"train_loss": [loss * _share_seen(experiment) for loss in row["train_loss"]]}


def _experiment_keys(experiment: Experiment) -> dict[str, Any]:
    keys = {name: getattr(experiment, name) for name in EXPERIMENT_KEYS if name not in ("probs", "device")}
    keys |= {"probs": experiment.average == "probabilities", "device": "cuda"}  # theirs knows no "auto"
    if not keys["probs"]:
        keys["average"] = experiment.average  # which of the two meanings
    default = Experiment(dataset=experiment.dataset).identity()
    if experiment.about_data.files:
        keys["validate_every"] = experiment.validate_every  # which is not in their files
    elsewhere = {"numbers", "average", *keys, *EXPERIMENT_KEYS, *OPTIM_KEYS}
    ours = {name: value for name, value in experiment.identity().items() if name not in elsewhere}
    return keys | {name: value for name, value in ours.items() if value != default[name]}


def _optim_keys(experiment: Experiment) -> dict[str, Any]:
    keys = {name: getattr(experiment, name) for name in OPTIM_KEYS if name not in ("factor", "max_patience")}
    keys |= {"lr_switch": experiment.switches}
    keys |= {"max_patience": experiment.max_patience or ENDLESS}
    if experiment.scheduler == "none":
        keys["scheduler"] = None
    return keys | ({"factor": experiment.fall} if experiment.scheduler == "Linear" else {})


def _share_seen(experiment: Experiment) -> float:
    """Return the share of the images by which the authors' code divides the training loss that an epoch sees."""
    seen = experiment.train_size or experiment.about_data.sizes[0]
    return seen / OFFICIAL_TRAINING.get(experiment.dataset, seen)


# ---- theirs to ours


def _imagenet_cells(source: Path, experiment: Experiment) -> list[CellRecord]:
    device = OURS if read_json_object(source / "experiment.json").get(ORIGIN) == OURS else AUTHORS
    records = imagenet.read_cells(source, experiment, ours=device == OURS)
    return [
        dataclasses.replace(record, provenance=record.provenance | {"stack": [list(record.cell)], "device": device})
        for record in records
    ]


def _cells(source: Path, experiment: Experiment) -> list[CellRecord]:
    """Read every row of their results.csv as a record."""
    ours = read_json_object(source / "experiment.json").get(ORIGIN) == OURS
    file, sizes = source / "results.csv", {"epochs": experiment.num_epochs, "learners": experiment.num_learners}
    seen: dict[Cell, int] = {}
    records = []
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
        records.append(_record(cell, row, experiment, provenance, ours=ours))
    return records


def _record(
    cell: Cell, row: Mapping[str, Any], experiment: Experiment, provenance: dict[str, Any], *, ours: bool
) -> CellRecord:
    names = {
        "individual": "ind_loss", "ensemble": "ens_loss", "diversity": "div", "accuracy": "acc_ens",
        "learner_accuracy": "acc_ind",
    }  # fmt: skip
    val, test = ({name: row[f"{part}_{short}"] for name, short in names.items()} for part in ("val", "test"))
    best_epoch = best_validation(val["ensemble"], last=not ours)
    if best_epoch == 0:
        test = None  # no epoch was kept, and what was tested is not of this run: with their code, another run's model
    schedule = make_schedule(experiment)
    history = {
        "learning_rate": [schedule.rate_before(epoch) for epoch in range(1, experiment.num_epochs + 1)],
        "objective": [_objective(loss, _share_seen(experiment)) for loss in row["train_loss"]],
        "val": val,
    }
    test = {"best": test, "last": None}
    return CellRecord.of(cell, best_epoch=best_epoch, test=test, history=history, provenance=provenance)


def _objective(train_loss: float, share: float) -> float:
    """Return the mean over the images seen, with the nine digits of float32 if those say the same."""
    objective = train_loss / share
    short = float(f"{objective:.9g}")
    return short if short * share == train_loss else objective
