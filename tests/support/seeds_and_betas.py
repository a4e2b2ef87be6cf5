"""A frame of a sweep's tests whose means and differences are known."""

import pandas as pd

# Accuracy of seed s at β: s/10 − β · (1 + s/100). Seeds differ a lot, paired differences hardly.
SEEDS, BETAS = range(5), (0.0, 0.5, 1.0)


def frame(seeds=SEEDS, betas=BETAS):
    rows = [
        {"beta": b, "seed": s, "checkpoint": c, "accuracy": s / 10 - b * (1 + s / 100), "individual_accuracy": 0.5,
         "ensemble": 1 + b, "individual": 2 + b, "diversity": 1.0,
         "train_individual": 2 - b, "train_ensemble": 1 - b, "train_diversity": 1.0}
        for b in betas for s in seeds for c in ("best", "last")
    ]  # fmt: skip
    return pd.DataFrame(rows)
