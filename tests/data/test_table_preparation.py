"""Rows of a table of the user's own as inputs, and outputs in its units: compared with numpy."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from houses import table

from jointens import InputError
from jointens.common import generator
from jointens.data import TablePreparation, load_data, prepare_table


@pytest.fixture
def preparation(houses):
    houses(table(area_0="", **{f"city_{row}": "" for row in range(1, 30, 4)}))
    return prepare_table("csv:houses.csv", "price", seed=3)


def training_rows():
    """The rows of the table that seed 3 trains on: the last three fifths of its order."""
    return pd.read_csv("houses.csv").iloc[torch.randperm(30, generator=generator(3, "split"))[12:].numpy()]


def test_new_rows_are_scaled_by_the_training_part_of_the_seed(preparation):
    train = training_rows()
    cities = ["Bonn", "Köln", "Ulm", None]
    of_cities = [(train["city"].isna() if city is None else train["city"] == city).to_numpy(float) for city in cities]
    area = train["area"].fillna(train["area"].mean())
    rows = pd.DataFrame(
        {
            "garden": [True, False, np.nan],  # in another order, as Python's own types
            "area": [110, None, 95.5],
            "one": [7, 7, 1e6],
            "city": ["Ulm", None, " Köln "],
        },
        index=["a", "b", "c"],
    )
    expected = np.zeros((3, 7))
    expected[:, 0] = (np.array([110, area.mean(), 95.5]) - area.mean()) / area.std(ddof=0)
    for column, (values, entries) in enumerate(zip(of_cities, np.eye(4)[[2, 3, 1]].T, strict=True), 1):
        expected[:, column] = (entries - values.mean()) / values.std()
    garden = train["garden"].astype(str).str.lower().eq("true").to_numpy(float)
    expected[:, 5] = (np.array([1, 0, garden.mean()]) - garden.mean()) / garden.std()
    inputs = preparation.inputs(rows)  # the last column is constant in the training part, and stays at 0
    assert inputs.dtype == torch.float32
    np.testing.assert_allclose(inputs.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_outputs_come_back_in_the_units_of_the_target(preparation):
    train = training_rows()
    outputs = torch.tensor([[[-1.0], [0.5]], [[0.0], [2.0]]])  # (M, N, 1)
    values = preparation.values(outputs)
    assert values.shape == (2, 2) and values.dtype == torch.float64
    expected = outputs[..., 0].numpy() * train["price"].std(ddof=0) + train["price"].mean()
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-12)


def test_the_tables_own_rows_are_what_was_trained_on(preparation):
    data = load_data("csv:houses.csv", target="price", seed=3)
    assert torch.equal(preparation.inputs(training_rows()), data.train.inputs)
    test = pd.read_csv("houses.csv", dtype=str).iloc[torch.randperm(30, generator=generator(3, "split"))[:6].numpy()]
    assert torch.equal(preparation.inputs(test), data.test.inputs)
    prices = torch.tensor(test["price"].astype(float).to_numpy())
    torch.testing.assert_close(preparation.values(data.test.targets[None, :, None])[0], prices, rtol=1e-6, atol=0)


def test_written_and_read_again_it_is_the_same(preparation):
    again = TablePreparation.from_dict(json.loads(json.dumps(preparation.to_dict())))
    assert again.to_dict() == preparation.to_dict() and again.columns == preparation.columns
    rows = training_rows()
    assert torch.equal(again.inputs(rows), preparation.inputs(rows))
    assert torch.equal(again.values(torch.ones(1, 2, 1)), preparation.values(torch.ones(1, 2, 1)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aera": 1.0}, "rows: unknown key 'aera'; the nearest known one is 'area'"),
        (
            {"city": "Rom"},
            "rows, row 7, column 'city': 'Rom' is no text of this column; known are 'Bonn', 'Köln', 'Ulm'",
        ),
        ({"city": 3}, "rows, row 7, column 'city': '3' is no text of this column; known are 'Bonn', 'Köln', 'Ulm'"),
        ({"area": "large"}, "rows, row 7, column 'area': 'large' is no number; correct it, or leave it empty"),
        ({"area": "1,5"}, "rows, row 7, column 'area': '1,5' is no number; write a decimal point"),
        ({"area": np.inf}, "rows, row 7, column 'area': 'inf' is not finite; allowed are numbers up to 1e+30"),
        ({"garden": "perhaps"}, "rows, row 7, column 'garden': 'perhaps' is neither true nor false"),
        ({"garden": 1}, "rows, row 7, column 'garden': '1' is neither true nor false"),
    ],
)
def test_entries_that_the_table_does_not_have_are_refused(preparation, changes, message):
    rows = pd.DataFrame([{"area": 100.0, "city": "Bonn", "garden": True, "one": 7, **changes}], index=[7])
    with pytest.raises(InputError) as caught:
        preparation.inputs(rows)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_missing_text_is_refused_where_the_table_had_none(houses):
    houses()
    preparation = prepare_table("csv:houses.csv", "price", seed=0)
    with pytest.raises(InputError, match=r"row 0, column 'city': nan is no text of this column; known are 'Bonn'"):
        preparation.inputs(pd.DataFrame([{"area": 1.0, "city": None, "garden": True, "one": 7}]))


def test_frames_of_other_columns_are_refused(preparation):
    rows = pd.DataFrame([{"area": 100.0, "city": "Bonn", "one": 7}])
    with pytest.raises(InputError, match=r"^rows have no column 'garden'; needed are area, city, garden, one$"):
        preparation.inputs(rows)
    twice = pd.DataFrame([[1.0, 2.0, "Bonn", True, 7]], columns=["area", "area", "city", "garden", "one"])
    with pytest.raises(InputError, match=r"^rows have two columns 'area'; allowed are different names$"):
        preparation.inputs(twice)
    with pytest.raises(InputError, match=r"^rows are of type list; allowed is a pandas DataFrame$"):
        preparation.inputs([[1, 2]])
    assert preparation.inputs(pd.DataFrame(columns=["area", "city", "garden", "one"])).shape == (0, 7)
