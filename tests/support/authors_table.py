"""A results.csv as the authors' code writes it, and what of ours it has a place for."""

import csv
import json

from authors import shipped, write

from jointens.experiment import AUTHORS_COLUMNS


def contents(results):
    """What the authors' format has a place for, by cell, as the JSON files hold it."""
    found = {}
    for cell in (record.cell for record in results.records()):
        stored = json.loads(results.path(cell).read_text())
        history = {part: stored["history"][part] for part in ("learning_rate", "objective", "val")}
        found[cell] = history | {"best_epoch": stored["best_epoch"], "test": stored["test"]["best"]}
    return found


CONFIGURATION = shipped(
    num_learners=2, seeds=[0, 4], beta_vals=[0.0, 0.2], num_epochs=3, lr_switch=[1], average="released",
)  # fmt: skip


def row(beta, run, **changes):
    """A row as their code writes it under NumPy 2, where the accuracies are its numbers."""
    half = "np.float64(0.5)"
    return {
        "beta": beta, "run": run, "train_loss": "[0.8, 1.6180339887498949, 0.4]", "val_loss": "[3.01, 2.01, 2.01]",
        "val_div": "[0.1, 0.2, 1e-05]", "val_ind_loss": "[3.1, 2.2, 2.1]", "val_ens_loss": "[3.0, 2.0, 2.0]",
        "val_acc_ens": f"[0.25, {half}, {half}]", "val_acc_ind": f"[[0.25, {half}], [{half}, {half}], [{half}, 0.75]]",
        "test_loss": "2.125", "test_div": "0.25", "test_ind_loss": "2.25", "test_ens_loss": "2.0",
        "test_acc_ens": "0.625", "test_acc_ind": f"[{half}, np.float64(0.75)]",
    } | changes  # fmt: skip


ROWS = [
    row(0.0, 0),
    row(0.2, 0, val_ens_loss="[inf, nan, 3.5]", val_ind_loss="[inf, nan, np.float64(inf)]", train_loss="[nan, inf, 2]"),
    row(0.0, 4, val_ens_loss="[1.0, 2.0, 1.5]", test_loss="nan", test_ens_loss="np.float64(nan)", test_div="-inf"),
    row(0.2, 4, val_ens_loss="[nan, nan, nan]"),
]


def theirs(folder, rows=ROWS, configuration=CONFIGURATION, columns=AUTHORS_COLUMNS):
    write(folder, configuration, data_above=False)
    with open(folder / "results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return folder
