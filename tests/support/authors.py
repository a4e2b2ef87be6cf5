"""Files as the authors' repository has them, for the tests of what reads them."""

import csv
import json
import math

import numpy as np

# What the authors ship for their sweep, and the lines in which ImageNet's files differ from it.
DATA = {
    "CIFAR-10": {"num_classes": 10}, "CIFAR-100": {"num_classes": 100}, "SVHN": {"num_classes": 10},
    "ImageNet": {"num_classes": 1000, "num_workers": 4},
}  # fmt: skip
EXPERIMENT = {
    "dataset": "CIFAR-10", "base_learner": "ResNet18", "num_learners": 5, "seeds": [0, 1, 2, 3, 4],
    "beta_vals": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], "probs": False, "device": "cuda",
}  # fmt: skip
OPTIM = {
    "optimiser": "SGD", "scheduler": "ExponentialLR", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
    "gamma": 0.2, "lr_switch": [30, 50, 70], "batch_size": 128, "num_epochs": 80, "max_patience": 100,
}  # fmt: skip
SHIPPED = {"experiment.json": EXPERIMENT, "optim.json": OPTIM, "data.json": DATA}
REMOVED = object()


def changed(keys, **changes):
    return {name: value for name, value in (keys | changes).items() if value is not REMOVED}


def shipped(**changes):
    """The three shipped files, each key changed where it stands; a key that is in none goes to experiment.json."""
    optim = {name: value for name, value in changes.items() if name in (*OPTIM, "factor")}
    rest = {name: value for name, value in changes.items() if name not in optim}
    return SHIPPED | {"experiment.json": changed(EXPERIMENT, **rest), "optim.json": changed(OPTIM, **optim)}


def write(folder, files, *, data_above=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        place = folder.parent if name == "data.json" and data_above else folder
        (place / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def values(folder):
    """Their table as Python evaluates it, cell by cell: a reader that owes nothing to ours."""
    table = {}
    for row in csv.DictReader((folder / "results.csv").read_text().splitlines()):
        read = {name: eval(text, {"np": np, "nan": math.nan, "inf": math.inf}) for name, text in row.items()}
        table[read["beta"], read["run"]] = {name: np.array(value, dtype=float) for name, value in read.items()}
    return table
