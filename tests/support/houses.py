"""A table of thirty houses, and an experiment on it."""

import numpy as np

from jointens import Experiment

ROWS = 30


def table(separator: str = ",", **changed: str) -> str:
    """Make thirty rows of a number, a text, true or false, a constant and the price.

    Args:
        separator: between the cells.
        changed: other cells, named `area_3` for row 3 of the column area, which is line 5 of the file.
    """
    rng = np.random.default_rng(0)
    lines = [["area", "city", "garden", "one", "price"]]
    for row in range(ROWS):
        area = rng.normal(100, 20)
        cells = {"area": f"{area:.2f}", "city": ["Bonn", "Köln", "Ulm"][row % 3], "garden": ["true", "False"][row % 2]}
        cells |= {"one": "7", "price": f"{3 * area + rng.normal():.3f}"}
        cells |= {name.split("_")[0]: value for name, value in changed.items() if name.endswith(f"_{row}")}
        lines.append(list(cells.values()))
    return "".join(separator.join(line) + "\n" for line in lines)


def on_houses(**keys) -> Experiment:
    small = {"hidden": [8], "num_learners": 2, "num_epochs": 2, "seeds": [0, 1], "beta_vals": [0, 1], "device": "cpu"}
    rates = {"optimiser": "Adam", "learning_rate": 0.01, "out": "runs"}
    return Experiment(**{"dataset": "csv:houses.csv", "target": "price", **small, **rates, **keys})
