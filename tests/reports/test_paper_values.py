"""The paper's numbers, as far as somebody has read them off it."""

import re

import pytest

from jointens import InputError
from jointens.models.learners import LEARNERS
from jointens.reports.paper_values import paper_values
from jointens.reports.published import IMAGENET, Setting

SEVEN = (
    "ResNet18_IN", "ResNet34_IN", "SqueezeNet_IN", "DenseNet_IN", "ShuffleNet_IN", "MobileNet_IN", "MobileViT_IN",
)  # fmt: skip


def test_the_shipped_file_has_the_seven_learners_of_the_profiles():
    table = paper_values("table_1")
    assert tuple(table) == SEVEN and set(SEVEN) <= set(LEARNERS)
    assert {Setting(profile, "probabilities").experiment.base_learner for profile in IMAGENET} == set(SEVEN)
    assert {tuple(row) for row in table.values()} == {("independent", "joint")}


def test_the_shipped_file_holds_no_number():
    """So that nobody invents one: whoever fills them in from the published PDF changes this test."""
    assert {value for row in paper_values("table_1").values() for value in row.values()} == {None}


def test_numbers_and_null_are_read(tmp_path):
    file = tmp_path / "values.yml"
    file.write_text("other: {}\ntable_9:\n  A: {independent: 71, joint: null}\n  B: {joint: 70.25}\n")
    assert paper_values("table_9", file) == {"A": {"independent": 71, "joint": None}, "B": {"joint": 70.25}}
    assert paper_values("table_9", str(file)) == paper_values("table_9", file) and paper_values("other", file) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read FILE: No such file or directory"),
        (b"table_1: {A: {joint: 1}", "cannot read FILE: it is not YAML"),
        (b"table_1: {A: {joint: 2026-13-45}}", "cannot read FILE: it is not YAML"),  # an error of its constructor
        (b"\xff\xfe\xfa", "cannot read FILE: it is not YAML"),
        (b"", "FILE holds no table_1: allowed are lines"),
        (b"[1]", "FILE holds no table_1: allowed are lines"),
        (b"table_2: {A: {joint: 1}}", "FILE holds no table_1: allowed are lines"),
        (b"table_1: [1]", "FILE holds no table_1: allowed are lines"),
        (b"table_1: {A: 70.5}", "FILE holds no table_1: allowed are lines"),
        (b"table_1: {A: null}", "FILE holds no table_1: allowed are lines"),
        (b"table_1: {A: {joint: 70 %}}", "FILE, table_1, A: joint is '70 %'; allowed is a number, or null"),
        (b"table_1: {A: {joint: '70'}}", "FILE, table_1, A: joint is '70'; allowed is a number, or null"),
        (b"table_1: {A: {joint: true}}", "FILE, table_1, A: joint is True; allowed is a number, or null"),
        (b"table_1: {A: {joint: [70]}}", "FILE, table_1, A: joint is [70]; allowed is a number, or null"),
        (b"table_1: {A: {joint: 1}, B: {joint: x}}", "FILE, table_1, B: joint is 'x'; allowed is a number, or null"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, content, message):
    file = tmp_path / "values.yml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message.replace("FILE", str(file)))) as told:
        paper_values("table_1", file)
    assert "\n" not in str(told.value)
