"""A results folder as it is while some of its cells are trained."""

import json
import shutil

from jointens import Results


def in_training(results, folder, *cells, validations):
    """Copy results to a folder, where of some cells only the first validations are there."""
    copied = Results(results.experiment, shutil.copytree(results.folder, folder))
    (copied.folder / "unfinished").mkdir()
    for cell in cells:
        record = json.loads(copied.path(cell).read_text()) | {"test": {"best": None, "last": None}}
        history = record["history"]
        for lists in (history, history["val"], history.get("train", {})):
            lists |= {name: values[:validations] for name, values in lists.items() if isinstance(values, list)}
        losses = history["val"]["ensemble"]
        record["best_epoch"] = losses.index(min(losses)) + 1
        copied.unfinished_path(cell).write_text(json.dumps(record))
        for suffix in (".json", ".npz", ".safetensors"):
            copied.path(cell, suffix).unlink(missing_ok=True)
    return copied
