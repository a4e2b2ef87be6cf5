"""The authors' results on ImageNet: a JSON file for each β and seed, written anew at each validation.

Where their sweep has one list entry for each epoch, these files have one for each validation; `lr_switch` lists the
validations after which the rate fell, and `train_loss` is the mean over each whole epoch. There is no test: what a
record of ours calls test is what the validation at the best checkpoint showed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common.errors import InputError
from ..experiment.config import Experiment
from ..experiment.fields import LARGEST, read_object
from ..experiment.folder import Results
from ..experiment.frames import finite, has_shape
from ..experiment.record import Cell, TrainedCell, canonical_beta
from ..training.schedule import best_validation, rate_after

PATTERN = "results_seed:*_beta:*.json"
# Of a validation: their name and ours.
LISTS = {
    "val_div": "diversity", "val_ind_loss": "individual", "val_ens_loss": "ensemble", "val_acc_ens": "accuracy",
    "val_acc_ind": "learner_accuracy", "val_top_5_acc": "top5_accuracy",
}  # fmt: skip
KEYS = ("beta", "run", "lr_switch", "train_loss", "val_loss", *LISTS)


def authors_files(results: Results) -> dict[str, str]:
    """Names and contents of the files of every cell, of those in training as well."""
    files = {}
    for record in [*results.records(), *results.unfinished_records()]:
        file = record["provenance"].get("file")
        told = json.loads(file) if file else _authors_keys(record)
        files[f"results_seed:{told['run']}_beta:{told['beta']}.json"] = json.dumps(told, indent=4) + "\n"
    return files


def _authors_keys(record: Mapping[str, Any]) -> dict[str, Any]:
    history = record["history"]
    val, rates = history["val"], history["learning_rate"]
    falls = [number for number in range(1, len(rates)) if rates[number] != rates[number - 1]]
    losses = zip(finite(val["individual"]), finite(val["diversity"]), strict=True)
    return {
        "beta": float(record["beta"]),
        "run": record["seed"],
        "lr_switch": falls,
        "train_loss": finite(history.get("epoch_objective", history.get("objective", []))),
        "val_loss": [individual - record["beta"] * diversity for individual, diversity in losses],
        **{theirs: finite(val[ours]) for theirs, ours in LISTS.items() if ours in val},
    }


def read_cells(source: Path, experiment: Experiment, *, ours: bool) -> list[tuple[TrainedCell, dict[str, Any]]]:
    """What the files in a folder of theirs hold, each as a cell, with its provenance but for who computed it.

    Raises:
        InputError: a file is damaged, or not what its name says.
    """
    cells, seen = [], {}
    for file in sorted(source.glob(PATTERN)):
        told = read_object(file)
        _check(file, told, experiment)
        cell = Cell(canonical_beta(told["beta"]), told["run"])
        if cell in seen:
            raise InputError(f"{file}: {cell} is in {seen[cell]} already")
        seen[cell] = file.name
        about = {"source": f"{source.resolve().name}/{file.name}", "file": json.dumps(told)}
        cells.append((_cell(cell, told, experiment, ours=ours), about))
    if not cells:
        raise InputError(f"{source} holds no {PATTERN}")
    return cells


def _check(file: Path, told: Mapping[str, Any], experiment: Experiment) -> None:
    if missing := [key for key in KEYS if key not in told]:
        raise InputError(f"{file} lacks the key {missing[0]!r}")
    if not (has_shape(told["beta"], ()) and abs(told["beta"]) <= LARGEST):
        raise InputError(f"{file}: beta is {told['beta']!r}; allowed is a finite number")
    if type(told["run"]) is not int or told["run"] < 0:
        raise InputError(f"{file}: run is {told['run']!r}; allowed is a seed, a whole number from 0")
    named = re.fullmatch(r"results_seed:(\d+)_beta:(.+)\.json", file.name)
    if named is None or [str(told["run"]), str(told["beta"])] != list(named.groups()):
        raise InputError(f"{file} is of seed {told['run']} and beta {told['beta']}, not of what its name says")
    number = len(told["val_ens_loss"]) if isinstance(told["val_ens_loss"], list) else 0
    if not number:
        raise InputError(f"{file} holds no validation")
    for key in ("val_loss", *LISTS):
        shape = (number, experiment.num_learners) if key == "val_acc_ind" else (number,)
        if not has_shape(told[key], shape):
            raise InputError(f"{file}: {key} is no list of {'×'.join(map(str, shape))} numbers")
    for key in ("train_loss", "lr_switch"):
        if not isinstance(told[key], list) or not has_shape(told[key], (len(told[key]),)):
            raise InputError(f"{file}: {key} is no list of numbers")


def _cell(cell: Cell, told: Mapping[str, Any], experiment: Experiment, *, ours: bool) -> TrainedCell:
    val = {ours: told[theirs] for theirs, ours in LISTS.items()}
    numbers = range(1, len(told["val_ens_loss"]) + 1)
    every, of_epoch = experiment.validate_every, experiment.num_validations // experiment.num_epochs
    epochs = [(number - 1) // of_epoch + 1 for number in numbers]
    steps = [
        (epoch - 1) * experiment.steps_per_epoch + ((number - 1) % of_epoch + 1) * every
        for number, epoch in zip(numbers, epochs, strict=True)
    ]
    falls = [sum(switch < number for switch in told["lr_switch"]) for number in numbers]
    history = {
        "learning_rate": [rate_after(experiment, number) for number in falls],
        "epoch": epochs,
        "step": steps,
        "val": val,
        "epoch_objective": told["train_loss"],
    }
    best = best_validation(told["val_ens_loss"], last=not ours)
    at = {"best": best, "last": len(numbers)}
    test = {when: {name: of[number - 1] for name, of in val.items()} if number else None for when, number in at.items()}
    return TrainedCell(cell, best, history, test, outputs={}, weights={})
