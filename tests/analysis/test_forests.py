"""Forests whose leaf values are fitted: against scikit-learn's own predictions, and chosen ridges by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor

from jointens.analysis import at_ridges, compare, fit_forest
from jointens.data import load_data

KEYS = {"num_trees": 3, "max_depth": 3, "seed": 1}


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_a_large_ridge_leaves_the_forest_as_scikit_learn_made_it(beta):
    data = load_data("diabetes", seed=1)
    (row,) = fit_forest(data, **KEYS, beta_vals=[beta], ridges=[1e9]).to_dict("records")
    inputs, targets = (getattr(data.train, name).numpy() for name in ("inputs", "targets"))
    forest = RandomForestRegressor(3, max_depth=3, max_features=1 / 3, random_state=1).fit(inputs, targets)
    outputs = np.stack([tree.predict(data.test.inputs.numpy()) for tree in forest.estimators_])
    errors = outputs - data.test.targets.numpy()
    assert row["individual"] == pytest.approx((errors**2).mean(), rel=1e-5)
    assert row["ensemble"] == pytest.approx((errors.mean(0) ** 2).mean(), rel=1e-5)
    assert row["diversity"] == pytest.approx(outputs.var(0).mean(), rel=1e-5)
    assert (row["beta"], row["ridge"], row["seed"]) == (beta, 1e9, 1)


def test_training_losses_are_lowest_where_they_are_trained():
    frame = fit_forest(load_data("diabetes", seed=1), **KEYS, beta_vals=[-1, 0, 1], ridges=[1e-6]).set_index("beta")
    assert frame["train_ensemble"].idxmin() == 1 and frame["train_individual"].idxmin() == 0
    assert frame["train_diversity"].idxmin() == -1
    assert "accuracy" not in frame


def test_classes_are_predicted_one_hot():
    data = load_data("digits", seed=0, train_size=200, test_size=100)
    (row,) = fit_forest(data, seed=0, num_trees=20, max_depth=None, beta_vals=[0], ridges=[0.0]).to_dict("records")
    assert 0.7 < row["accuracy"] <= 1
    assert row["ensemble"] == pytest.approx(row["individual"] - row["diversity"])


def test_ridges_are_one_for_all_or_chosen_for_each_beta():
    """At β = 0 the validation loss is lowest at 0.1 in the mean over seeds, at β = 1 at 0.001."""
    validation = {(0, 0.001): (1.0, 2.0), (0, 0.1): (1.2, 1.0), (1, 0.001): (1.0, 1.0), (1, 0.1): (0.9, 3.0)}
    rows = [
        {"beta": beta, "ridge": ridge, "seed": seed, "val_ensemble": loss, "ensemble": beta + ridge}
        for (beta, ridge), losses in validation.items() for seed, loss in enumerate(losses)
    ]  # fmt: skip
    tests = at_ridges(pd.DataFrame(rows), 0.001)
    ridges = {(row.checkpoint, row.beta): row.ridge for row in tests.itertuples()}
    assert ridges == {
        ("one ridge", 0): 0.001, ("one ridge", 1): 0.001, ("chosen ridge", 0): 0.1, ("chosen ridge", 1): 0.001
    }  # fmt: skip
    compared = compare(tests, 1).loc["ensemble"]["difference"]
    assert compared.to_dict() == pytest.approx({"one ridge": 1.0, "chosen ridge": 0.901})
