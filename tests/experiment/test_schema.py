"""The JSON schema of profiles: up to date, true to the shipped profiles, and as strict as the keys."""

import jsonschema
import pytest
from checkout import ROOT

from jointens import Experiment
from jointens.common.yaml_json import read_yaml, read_yaml_file
from jointens.experiment.schema import schema_text

FOLDER = ROOT / "notebooks" / "profiles"
PROFILES = sorted(FOLDER.glob("*.yml"))
SCHEMA = Experiment.json_schema()


def test_the_file_that_editors_read_is_up_to_date():
    """Otherwise: python -m jointens.experiment.schema > notebooks/profiles/schema.json"""
    assert (FOLDER / "schema.json").read_text(encoding="utf-8") == schema_text()
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_every_shipped_profile_names_the_schema_and_follows_it(profile):
    assert profile.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema.json\n")
    jsonschema.validate(read_yaml_file(profile), SCHEMA)


def test_every_key_is_there_in_order_with_its_meaning_and_default():
    assert tuple(SCHEMA["properties"]) == Experiment.names()
    for key in Experiment.described():
        about = SCHEMA["properties"][key.name]
        assert about["description"] == key.meaning and about.get("identity", True) == key.identity
        assert "default" in about


@pytest.mark.parametrize(
    "line",
    [
        "train_size: none", "train_size: null", "seeds: 3", "seeds: [0, 010]", "beta_vals: 0.5", "learning_rate: 5e-4",
        "dataset: csv:data.csv", "base_learner: timm:resnet18", "lr_switch: 6", "lr_switch: [6]", "hidden: [8]",
        "loss: none", "tag: a", "stack: true", "target: 2019",
    ],
)  # fmt: skip
def test_what_a_profile_may_hold_is_taken(line):
    jsonschema.validate(read_yaml(line), SCHEMA)


@pytest.mark.parametrize(
    "line",
    [
        "num_learner: 3", "num_epochs: 0", "num_epochs: many", "num_epochs: 2.5", "gamma: 2", "learning_rate: 0",
        "seeds: [-1]", "dataset: mnist", "base_learner: RNN", "average: median", "num_epochs: none", "stack: 1",
        "seeds: 1:30", "hidden: [0]",
    ],
)  # fmt: skip
def test_what_is_refused_is_marked(line):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read_yaml(line), SCHEMA)
