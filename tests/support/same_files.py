"""What two results folders must have in common to be the same."""

import json

import numpy as np


def files(folder):
    """What a results folder holds, by name: arrays, weights and records but for their provenance."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            found[name] = {key: value for key, value in json.loads(path.read_text()).items() if key != "provenance"}
        elif path.suffix == ".npz":
            found[name] = {key: value.tobytes() for key, value in np.load(path).items()}
        else:
            found[name] = path.read_bytes()
    return found
