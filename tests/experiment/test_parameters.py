"""Parameters that papermill hands to a notebook: those that no cell knows are refused."""

import pytest
from checkout import ROOT
from papermill.cli import _resolve_type
from papermill.iorw import read_yaml_file as papermill_reads
from papermill.translators import translate_parameters

from jointens import Experiment, InputError, check_parameters


def namespace(parameters, handed_over):
    """What a notebook sees behind the cell that papermill writes: the values, and executed cells as `In`."""
    injected = translate_parameters("python3", "python", handed_over, "Parameters")
    return {"In": ["", "import jointens", parameters, injected.rstrip("\n")], **handed_over}


def test_what_no_cell_knows_is_refused_with_the_nearest_name():
    for name, value, near in (("lr", 0.01, "shares"), ("repeat", 9, "repeats")):
        with pytest.raises(InputError) as caught:
            check_parameters(namespace("shares = [0.2]  # of learners\nrepeats: int = 3", {name: value}))
        assert str(caught.value) == f"a parameter of papermill: unknown key '{name}'; the nearest known one is '{near}'"
    check_parameters(namespace("shares = [0.2]\nrepeats: int = 3", {"shares": [0.4], "repeats": 5}))


@pytest.mark.parametrize(("name", "value"), [("lr", 0.01), ("betas", [0, 1]), ("results", "runs/x")])
def test_of_an_experiments_notebook_every_key_is_allowed_and_nothing_else(name, value):
    parameters = "num_epochs = 60\nsaved = None"
    with pytest.raises(InputError, match=f"a parameter of papermill: unknown key '{name}'; the nearest known one is "):
        Experiment.from_namespace(namespace(parameters, {name: value}))
    handed_over = {"num_epochs": 3, "momentum": 0.5, "saved": "runs/x"}
    assert Experiment.from_namespace(namespace(parameters, handed_over)) == Experiment(num_epochs=3, momentum=0.5)


@pytest.mark.parametrize("profile", sorted((ROOT / "notebooks" / "profiles").glob("*.yml")), ids=lambda file: file.stem)
def test_shipped_profiles_are_the_same_through_papermills_reader(profile):
    """`papermill -f` reads YAML 1.1, in which 010 is eight."""
    assert Experiment(**papermill_reads(str(profile))) == Experiment.from_profile(profile)


def test_without_papermill_nothing_is_checked():
    """Neither what later cells set, nor a cell of somebody's own that begins as papermill's does."""
    for cells in (
        ["", "seeds = [0]", "lr = 3"],
        ["", "import torch", "# Parameters\nlr = 3"],
        ["", "%pip", "# Parameters"],
    ):
        check_parameters({"In": cells, "lr": 3})
    check_parameters({"lr": 3})


def test_numbers_and_texts_through_papermill_are_read_as_on_the_command_line():
    def experiment(**words):  # as `-p name word`
        return Experiment.from_namespace(namespace("num_epochs = 60", {k: _resolve_type(v) for k, v in words.items()}))

    assert experiment(num_epochs="010", seeds="[007, 010]").num_epochs == 10
    for words in ({"seeds": "1:5"}, {"beta_vals": "0:1:0.1"}, {"seeds": "[1:5]"}, {"num_epochs": "1:30"}):
        with pytest.raises(InputError, match=r"allowed is a (whole|finite) number"):
            experiment(**words)


def test_a_variable_named_as_a_metric_is_no_misspelt_key():
    """`diversity` is nearly `diversity_cap`."""
    assert Experiment.from_namespace({"diversity": 0.3, "accuracy": 0.9}) == Experiment()
    with pytest.raises(InputError, match="unknown key 'diversity_caps'; the nearest known one is 'diversity_cap'"):
        Experiment.from_namespace({"diversity_caps": 0.3})
