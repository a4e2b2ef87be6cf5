"""Data sets and learners of the user's own: what may be wrong with them."""

import sys

import pytest
from own_modules import experiment

import jointens
from jointens import InputError

DATA_ERRORS = {
    "return 1 / 0": r"raises ZeroDivisionError: division by zero \(my_module.py, line \d+\)",
    "return None": r"returned a value of type NoneType; allowed are three parts, train, val and test, each a",
    "return good[:2]": "returned a tuple of 2; allowed are three parts",
    "return good[0], good[1], x": r": test is a value of type Tensor; allowed is a pair \(inputs, targets\)",
    "return good[0], (x, None), good[2]": ": val holds inputs of type Tensor and targets of type NoneType; allowed are",
    "return good[0], (x[:5], y), good[2]": r": val has inputs of shape \(5, 4\) and targets of shape \(9,\); allow",
    "return (x[:0], y[:0]), good[1], good[2]": ": train has inputs of shape .* N at least 1",
    "return (x, x), good[1], good[2]": r": train has .* targets of shape \(9, 4\); allowed are \(N, ...\) and \(N,\)",
    "return good[0], good[1], (x[:, :3], y)": r"returned inputs of shape train \(4,\), val \(4,\), test \(3,\); ",
    "return good[0], good[1], (x, y * 0.5)": "returned targets of type train torch.int64, val torch.int64, test ",
    "return good[0], (x / 0, y), good[2]": ": val has NaN or infinite inputs",
    "return good[0], (x * float('nan'), y), good[2]": ": val has NaN or infinite inputs; allowed are finite numbers",
    "return ((x, y / 0.0),) * 3": ": train has NaN or infinite targets",
    "return ((x.long(), y),) * 3": ": train has inputs of type torch.int64; allowed are floats, prepared by",
    "return ((x, y > 0),) * 3": ": train has targets of type torch.bool; allowed are integers",
    "return ((x, y - 1),) * 3": ": train has class -1; allowed are classes from 0",
    "return ((x, y * 0),) * 3": "returned class 0 alone; allowed are at least two classes, or floats as values",
}


@pytest.mark.parametrize("body", DATA_ERRORS)
def test_what_is_wrong_with_data_is_one_line(own, body):
    own(f"def bad(seed):\n    x, y = torch.ones(9, 4), torch.arange(9) % 3\n    good = ((x, y),) * 3\n    {body}\n")
    with pytest.raises(InputError, match=f"^import:my_module:bad ?{DATA_ERRORS[body]}") as caught:
        experiment(dataset="import:my_module:bad")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x, y = x[: 9 - seed], y[: 9 - seed]", r"returned sizes \(8, 8, 8\) for seed 1, \(9, 9, 9\) for seed 0"),
        ("x = x[:, : 4 - seed]", r"returned input_shape \(3,\) for seed 1, \(4,\) for seed 0; allowed is the same"),
        ("y = y * 0.5 if seed else y", "returned loss squared_error for seed 1, cross_entropy for seed 0"),
        ("y = y + seed", "returned class 3 for seed 1, classes up to 2 for seed 0; allowed are the same"),
    ],
)
def test_seeds_whose_data_differ_are_one_line(own, body, message):
    own(f"def bad(seed):\n    x, y = torch.ones(9, 4), torch.arange(9) % 3\n    {body}\n    return ((x, y),) * 3\n")
    with pytest.raises(InputError, match=f"^import:my_module:bad {message}"):
        jointens.run(experiment(dataset="import:my_module:bad"), progress=False)


LEARNER_ERRORS = {
    "raise KeyError('size')": r"raises KeyError: 'size' \(my_module.py, line \d+\)",
    "return 3": "returned a value of type int; allowed is a torch.nn.Module",
    "return ONE": "returned the same module twice; allowed is a new one at each call",
    "return nn.Linear(2, num_outputs + 1)": r"returned a module with outputs \(2, 4\) for 2 inputs of 2; allowed is \(",
    "return nn.Linear(7, num_outputs)": "returned a module that does not take inputs of 2: RuntimeError: ",
    "return nn.LSTM(2, num_outputs)": "returned a module with outputs of type tuple for 2 inputs of 2; allowed is",
}


@pytest.mark.parametrize("body", LEARNER_ERRORS)
def test_what_is_wrong_with_a_learner_is_one_line(own, body):
    own(f"ONE = nn.Linear(2, 3)\n\n\ndef bad(input_shape, num_outputs):\n    {body}\n")
    with pytest.raises(InputError, match=f"^import:my_module:bad {LEARNER_ERRORS[body]}") as caught:
        experiment(base_learner="import:my_module:bad")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("import:", "'import:' names no function; allowed is import:MODULE:FUNCTION"),
        ("import:my_module", "'import:my_module' names no function; allowed is import:MODULE:FUNCTION"),
        ("import:my-module:f", "'import:my-module:f' names no function; allowed is import:MODULE:FUNCTION"),
        ("import:nowhere:f", "import:nowhere:f: no module nowhere in {folder} or on sys.path"),
        ("import:my_module.x:f", "import:my_module.x:f: no module my_module.x in {folder} or on sys.path"),
        ("import:my_module:f", "import:my_module:f: {folder}/my_module.py has no function f"),
        ("import:math:sin", "import:math:sin: math has no Python source"),
        ("import:broken:f", "import:broken:f: broken cannot be imported: SyntaxError: '(' was never closed (broken.py, "
         "line 1)"),
    ],
)  # fmt: skip
def test_names_of_nothing_are_one_line(own, tmp_path, name, message):
    (tmp_path / "broken.py").write_text("f(\n")
    for key in ("dataset", "base_learner"):
        with pytest.raises(InputError) as caught:
            experiment(**{key: name})
        assert str(caught.value) == message.format(folder=tmp_path)
    assert "broken" not in sys.modules


def test_keys_that_do_not_fit_are_one_line(own):
    for keys, message in (
        ({"target": "price"}, "target is 'price'; import:my_module:blobs has its own, only csv:PATH takes one"),
        ({"width": 2}, "width is 2; import:my_module:small_net has fixed widths and allows only 1"),
        ({"loss": "squared_error"}, "loss is squared_error; my_module.blobs allows cross_entropy"),
        ({"image_size": 8}, "image_size is 8; my_module.blobs has inputs of one size and allows none"),
        ({"base_learner": "CNN"}, "base_learner is CNN, which takes images of at least 16×16 pixels; my_module.blobs "
         "has inputs of shape 2"),
        ({"dataset": "digits"}, "import:my_module:small_net raises "),  # images
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            experiment(**keys)
        assert str(caught.value).startswith(message)
