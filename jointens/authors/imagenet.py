"""The authors' results on ImageNet: a JSON file for each β and seed, written anew at each validation.

Where their sweep has one list entry for each epoch, these files have one for each validation; `lr_switch` lists the
validations after which the rate fell, and `train_loss` is the mean over each whole epoch. There is no test: what a
record of ours calls test is what the validation at the best checkpoint showed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..common import LARGEST, InputError, read_json_object
from ..experiment import Cell, CellRecord, Experiment, Metrics, Results, canonical_beta
from ..sweeps import make_schedule
from ..training import best_validation
from .table import has_shape

PATTERN = "results_seed:*_beta:*.json"
# Of a validation: their name and ours.
LISTS = {
    "val_div": "diversity", "val_ind_loss": "individual", "val_ens_loss": "ensemble", "val_acc_ens": "accuracy",
    "val_acc_ind": "learner_accuracy", "val_top_5_acc": "top5_accuracy",
}  # fmt: skip
KEYS = ("beta", "run", "lr_switch", "train_loss", "val_loss", *LISTS)


def authors_files(results: Results) -> dict[str, str]:
    """Return the names and contents of the files of every cell that did not diverge, those in training included."""
    files, diverged = {}, results.diverged()
    for record in [*results.records(), *results.unfinished_records()]:
        if record.cell in diverged:
            continue
        file = record.provenance.get("file")
        content = json.loads(file) if file else _authors_keys(record)
        files[f"results_seed:{content['run']}_beta:{content['beta']}.json"] = json.dumps(content, indent=4) + "\n"
    return files


def _authors_keys(record: CellRecord) -> dict[str, Any]:
    history, val = record.history, record.history.val
    rates = history.learning_rate
    switches = [number for number in range(1, len(rates)) if rates[number] != rates[number - 1]]
    objective = history.objective if history.epoch_objective is None else history.epoch_objective
    return {
        "beta": float(record.beta),
        "run": record.seed,
        "lr_switch": switches,
        "train_loss": _floats(objective or []),
        "val_loss": [
            individual - record.beta * diversity
            for individual, diversity in zip(val.individual, val.diversity, strict=True)
        ],
        **{theirs: _floats(getattr(val, ours)) for theirs, ours in LISTS.items() if getattr(val, ours) is not None},
    }


def _floats(values: Sequence) -> list:
    """Convert nested lists of numbers to floats."""
    return np.asarray(values, dtype=float).tolist()


def read_cells(source: Path, experiment: Experiment, *, ours: bool) -> list[CellRecord]:
    """Read the files in a folder of theirs as records, whose provenance lacks who computed them.

    Raises:
        InputError: a file is damaged, or not what its name says.
    """
    records, seen = [], {}
    for file in sorted(source.glob(PATTERN)):
        content = read_json_object(file)
        _check(file, content, experiment)
        cell = Cell(canonical_beta(content["beta"]), content["run"])
        if cell in seen:
            raise InputError(f"{file}: {cell} is in {seen[cell]} already")
        seen[cell] = file.name
        provenance = {"source": f"{source.resolve().name}/{file.name}", "file": json.dumps(content)}
        records.append(_record(cell, content, experiment, provenance, ours=ours))
    if not records:
        raise InputError(f"{source} holds no {PATTERN}")
    return records


def _check(file: Path, content: Mapping[str, Any], experiment: Experiment) -> None:
    if missing := [key for key in KEYS if key not in content]:
        raise InputError(f"{file} lacks the key {missing[0]!r}")
    if not (has_shape(content["beta"], ()) and abs(content["beta"]) <= LARGEST):
        raise InputError(f"{file}: beta is {content['beta']!r}; allowed is a finite number")
    if type(content["run"]) is not int or content["run"] < 0:
        raise InputError(f"{file}: run is {content['run']!r}; allowed is a seed, a whole number from 0")
    named = re.fullmatch(r"results_seed:(\d+)_beta:(.+)\.json", file.name)
    if named is None or [str(content["run"]), str(content["beta"])] != list(named.groups()):
        raise InputError(f"{file} is of seed {content['run']} and beta {content['beta']}, not of what its name says")
    number = len(content["val_ens_loss"]) if isinstance(content["val_ens_loss"], list) else 0
    if not number:
        raise InputError(f"{file} holds no validation")
    for key in ("val_loss", *LISTS):
        shape = (number, experiment.num_learners) if key == "val_acc_ind" else (number,)
        if not has_shape(content[key], shape):
            raise InputError(f"{file}: {key} is no list of {'×'.join(map(str, shape))} numbers")
    for key in ("train_loss", "lr_switch"):
        if not isinstance(content[key], list) or not has_shape(content[key], (len(content[key]),)):
            raise InputError(f"{file}: {key} is no list of numbers")


def _record(
    cell: Cell, content: Mapping[str, Any], experiment: Experiment, provenance: dict[str, Any], *, ours: bool
) -> CellRecord:
    val = {ours: content[theirs] for theirs, ours in LISTS.items()}
    numbers = range(1, len(content["val_ens_loss"]) + 1)
    every, per_epoch = experiment.validate_every, experiment.num_validations // experiment.num_epochs
    epochs = [(number - 1) // per_epoch + 1 for number in numbers]
    steps = [
        (epoch - 1) * experiment.steps_per_epoch + ((number - 1) % per_epoch + 1) * every
        for number, epoch in zip(numbers, epochs, strict=True)
    ]
    num_decays = [sum(switch < number for switch in content["lr_switch"]) for number in numbers]
    schedule = make_schedule(experiment)
    history = {
        "learning_rate": [schedule.rate_after(number) for number in num_decays],
        "epoch": epochs,
        "step": steps,
        "val": val,
        "epoch_objective": content["train_loss"],
    }
    best = best_validation(content["val_ens_loss"], last=not ours)
    metrics, at = Metrics.from_dict(val), {"best": best, "last": len(numbers)}
    test = {checkpoint: metrics.at(number).to_dict() if number else None for checkpoint, number in at.items()}
    return CellRecord.of(cell, best_epoch=best, test=test, history=history, provenance=provenance)
