"""Fit the leaf values of random forests jointly: a sweep over β without the non-convexity of networks.

A forest is trained by scikit-learn, each tree by itself. Its splits then stay as they are, and all of its leaf values
are set to the minimum of L^β on the training part (`jointens.theory.fit_leaf_values`). Classes are predicted one-hot;
their squared error is the Brier score of the averaged class shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..data import Data, Split
from ..losses import decompose
from ..theory import fit_leaf_values, leaf_outputs

if TYPE_CHECKING:
    import pandas as pd

PARTS = {"train": "train_", "val": "val_", "test": ""}


def fit_forest(
    data: Data, *, seed: int, num_trees: int, max_depth: int | None, beta_vals: Sequence[float], ridges: Sequence[float]
) -> pd.DataFrame:
    """Train a forest, and fit its leaf values once for each β and ridge.

    Each tree sees a bootstrap sample and tries a third of the features at a split; leaf values are fitted to the whole
    training part.

    Args:
        data: its three parts; integer targets are classes.
        seed: of the forest.
        num_trees: M.
        max_depth: of the trees; None: they grow until their leaves are pure.
        beta_vals: at most 1.
        ridges: what `fit_leaf_values` takes.

    Returns:
        A row for each β and ridge, with the columns beta, ridge and seed; individual, ensemble and diversity on test
        data, and with the prefixes `train_` and `val_` on the other parts, in squared units of the targets; for classes
        accuracy on test data.
    """
    import pandas as pd
    from sklearn.ensemble import RandomForestRegressor

    parts = {name: getattr(data, name) for name in PARTS}
    inputs = {name: part.inputs.flatten(1).numpy() for name, part in parts.items()}
    targets = {name: _columns(part, data.train) for name, part in parts.items()}
    forest = RandomForestRegressor(num_trees, max_depth=max_depth, max_features=1 / 3, random_state=seed)
    forest.fit(inputs["train"], targets["train"].squeeze(-1).numpy())
    leaves = {name: torch.from_numpy(forest.apply(part)).T.contiguous() for name, part in inputs.items()}
    start = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(tree.tree_.value).flatten(1) for tree in forest.estimators_], batch_first=True
    )
    rows = []
    for beta in beta_vals:
        for ridge in ridges:
            values = fit_leaf_values(leaves["train"], targets["train"], start, beta=beta, ridge=ridge)
            row = {"beta": beta, "ridge": ridge, "seed": seed}
            for name, prefix in PARTS.items():
                row |= {prefix + loss: value for loss, value in _losses(values, leaves[name], targets[name])}
            if not data.test.targets.is_floating_point():
                predicted = leaf_outputs(values, leaves["test"]).mean(0).argmax(-1)
                row["accuracy"] = (predicted == data.test.targets).double().mean().item()
            rows.append(row)
    return pd.DataFrame(rows)


def at_ridges(frame: pd.DataFrame, ridge: float) -> pd.DataFrame:
    """Return the rows at one ridge, and at ridges chosen for each β, as two checkpoints that `compare` compares.

    Args:
        frame: rows of `fit_forest`, of any number of seeds.
        ridge: that of the checkpoint "one ridge". In the checkpoint "chosen ridge" each β has the one with the lowest
            ensemble loss on validation data in the mean over seeds.
    """
    import pandas as pd

    means = frame.groupby(["beta", "ridge"])["val_ensemble"].mean().unstack("beta")
    chosen = frame[frame["ridge"] == frame["beta"].map(means.idxmin())]
    fixed = frame[frame["ridge"] == ridge]
    return pd.concat([fixed.assign(checkpoint="one ridge"), chosen.assign(checkpoint="chosen ridge")])


def _columns(part: Split, train: Split) -> Tensor:
    """Turn targets into columns `(N, K)` in float64, classes one-hot."""
    if part.targets.is_floating_point():
        return part.targets.double().unsqueeze(-1)
    return one_hot(part.targets, int(train.targets.max()) + 1).double()


def _losses(values: Tensor, leaves: Tensor, targets: Tensor) -> Iterator[tuple[str, float]]:
    parts = decompose(leaf_outputs(values, leaves), targets, loss="squared_error")
    for name in ("individual", "ensemble", "diversity"):
        yield name, getattr(parts, name).mean().item()
