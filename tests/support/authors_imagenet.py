"""Files as the authors' imagenet.py writes them, and folders of these."""

import json

from authors import DATA, write

KEYS = (
    "beta", "run", "lr_switch", "train_loss", "val_loss", "val_div", "val_ind_loss", "val_ens_loss", "val_acc_ens",
    "val_acc_ind", "val_top_5_acc",
)  # fmt: skip
CONFIGURATION = {"experiment.json", "optim.json", "data.json"}
FILES = ("results_seed:0_beta:0.0.json", "results_seed:0_beta:1.0.json")


def read(file):
    return json.loads(file.read_text())


EXPERIMENT = {
    "dataset": "ImageNet", "base_learner": "MobileViT_IN", "num_learners": 3, "seeds": [0], "beta_vals": [0.0, 1.0],
    "probs": True, "device": "cuda",
}  # fmt: skip
OPTIM = {
    "optimiser": "SGD", "scheduler": "ExponentialLR", "learning_rate": 0.5, "factor": False, "momentum": 0.9,
    "weight_decay": 1e-7, "gamma": 0.2, "lr_switch": 6, "batch_size": 32, "num_epochs": 1000, "max_patience": 15,
}  # fmt: skip
SHIPPED = {"experiment.json": EXPERIMENT, "optim.json": OPTIM, "data.json": DATA}
NUMBER = 22  # validations: an epoch has twenty


def file_of(beta, /, **changes):
    """What their imagenet.py writes: the lowest ensemble loss, 1.25, at validations 9 and 16."""
    losses = [1.25 if number in (9, 16) else 5 - number / 8 for number in range(1, NUMBER + 1)]
    return {
        "beta": beta, "run": 0, "lr_switch": [14, 21], "train_loss": [4.75],
        "val_loss": [loss + (1 - beta) * 0.5 for loss in losses], "val_div": [0.5] * NUMBER,
        "val_ind_loss": [loss + 0.5 for loss in losses], "val_ens_loss": losses,
        "val_acc_ens": [number / 32 for number in range(NUMBER)],
        "val_acc_ind": [[number / 64, 0.25, 0.125] for number in range(NUMBER)],
        "val_top_5_acc": [number / 24 for number in range(NUMBER)],
    } | changes  # fmt: skip


def theirs(folder, files=None, **changes):
    """A results folder of theirs; changes are of the file of β = 0."""
    files = files or {FILES[0]: file_of(0.0, **changes), FILES[1]: file_of(1.0)}
    write(folder, SHIPPED | {"paths.json": {"data": "data", "results": "results"}}, data_above=False)
    for name, content in files.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content, indent=4))
    return folder
