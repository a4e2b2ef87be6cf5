"""The bridge to the authors' repository (alanjeffares/joint-ensembles): experiments from its configurations.

Results go both ways in results.py.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common import InputError, check_names, expanded, read_json_object
from ..data import DATASETS
from ..experiment import Experiment

EXPERIMENT_KEYS = ("dataset", "base_learner", "num_learners", "seeds", "beta_vals", "probs", "device")
OPTIM_KEYS = (
    "optimiser", "scheduler", "learning_rate", "momentum", "weight_decay", "gamma", "factor", "lr_switch", "batch_size",
    "num_epochs", "max_patience",
)  # fmt: skip
# What only some optimisers and schedulers take; every other key of a file has to be there.
TAKEN_BY = {"momentum": ("SGD", "RMSprop"), "gamma": ("ExponentialLR",), "factor": ("Linear",)}
OPTIONAL = (*TAKEN_BY, "probs", "device", "max_patience")
IN_FILES = [name for name, dataset in DATASETS.items() if dataset.files]
IMAGENET_VALIDATE_EVERY = 2000  # steps, in their imagenet.py
ENDLESS = 10**9  # validations of patience: how `convert` writes that it never ends, for which they have no word
ORIGIN = "computed_by"  # in the experiment.json of results that the authors' code has not computed: OURS
OURS = "jointens"


def read_experiment(folder: str | os.PathLike, /, **overrides: Any) -> Experiment:
    """Read the experiment that three files of the authors' repository describe.

    Args:
        folder: of experiment.json and optim.json; data.json lies beside them or in the folder above, as in their
            src/configs.
        overrides: keys of an `Experiment`, as ours are, that win over the files. `average` has to be among them
            where `probs` is false, which has two meanings: "scores" is what it says, "released" what their sweep then
            computes.

    Raises:
        InputError: a file is missing or no JSON object, a key unknown or missing, a value not allowed.
    """
    folder = expanded(folder)
    ours = [name for name in Experiment.names() if name not in OPTIM_KEYS]  # they may stand there, too: see `convert`
    files = {"experiment.json": EXPERIMENT_KEYS, "optim.json": OPTIM_KEYS}
    keys: dict[str, Any] = {}
    for name, known in files.items():
        extra = [*ours, ORIGIN] if name == "experiment.json" else []
        content = read_json_object(folder / name)
        check_names(content, [*known, *extra], where=str(folder / name))
        for key in known:
            if key not in OPTIONAL and key not in {**content, **overrides}:
                raise InputError(f"{folder / name} lacks the key {key!r}")
        keys |= content
    ours_computed = keys.pop(ORIGIN, None) == OURS
    if keys.get("dataset") in IN_FILES:  # their imagenet.py
        keys.setdefault("validate_every", IMAGENET_VALIDATE_EVERY)
    else:  # their sweep.py
        if isinstance(keys.get("lr_switch"), int) and "lr_switch" not in overrides:
            raise InputError(
                f"{folder / 'optim.json'}: lr_switch is {keys['lr_switch']}; a sweep takes a list of epochs"
            )
        keys.pop("max_patience", None)  # it never stops early: when patience ends it prints a line, and goes on
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
    if ours_computed and experiment.max_patience == ENDLESS:
        experiment = dataclasses.replace(experiment, max_patience=None)
    _check_data(folder, experiment, must_list="dataset" not in overrides)
    return experiment


def _average(keys: Mapping[str, Any], overrides: Mapping[str, Any], file: Path) -> str:
    for given in (overrides, keys):
        if "average" in given:
            return given["average"]
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


def _check_data(folder: Path, experiment: Experiment, *, must_list: bool) -> None:
    """Check that data.json lists the data set, unless that is not from these files, as we know it."""
    file = next((at / "data.json" for at in (folder, folder.resolve().parent) if (at / "data.json").exists()), None)
    if file is None:
        raise InputError(f"{folder / 'data.json'} is missing, and there is none in the folder above")
    data, dataset = read_json_object(file), experiment.dataset
    if dataset not in data:
        if must_list:
            raise InputError(f"{file} does not list the data set {dataset}; it lists {', '.join(data) or 'none'}")
        return
    if not isinstance(data[dataset], dict):
        raise InputError(f"{file}: {dataset} is {data[dataset]!r}; allowed is an object of keys and values")
    check_names(data[dataset], ("num_classes", "num_workers"), where=str(file))
    known, listed = experiment.about_data.num_outputs, data[dataset].get("num_classes")
    if listed != known:
        raise InputError(f"{file}: num_classes of {dataset} is {listed}; allowed is {known}")
