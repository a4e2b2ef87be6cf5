"""Publishing a regression sweep: a table of the whole grid, and whose it is."""

import dataclasses

import numpy as np
import pytest
from upkeep import publish

import jointens
from jointens import InputError
from jointens.common.yaml_json import dump_yaml, read_yaml
from jointens.reports import published_tables

PROFILES = {"abalone": "MLP", "tabm_abalone": "TabM"}
KEYS = {"dataset": "abalone", "train_size": 60, "val_size": 30, "test_size": 30, "learning_rate": 0.01}


@pytest.fixture(params=PROFILES)
def profile(request):
    return request.param


@pytest.fixture
def shipped(tmp_path, monkeypatch, tiny, tabular_root, profile):
    """A small grid as the shipped profile, beside one of other learners, and a results/ of its own."""
    grid = {"num_learners": 3, "beta_vals": [0, 1], "seeds": [0, 1], "hidden": [4]}
    experiments = {
        name: tiny(**KEYS, **grid, data_root=tabular_root, base_learner=learner) for name, learner in PROFILES.items()
    }
    for name, experiment in experiments.items():
        keys = {key: getattr(experiment, key) for key in (*KEYS, "base_learner", "num_epochs")}
        (tmp_path / f"{name}.yml").write_text(dump_yaml(keys | grid))
    monkeypatch.setattr(published_tables, "PROFILES", tuple(PROFILES))
    monkeypatch.setattr(published_tables, "profiles_root", lambda: tmp_path)
    monkeypatch.setattr(published_tables, "published_root", lambda: tmp_path / "results")
    return experiments[profile]


@pytest.mark.realdata
def test_a_whole_sweep_becomes_the_table_of_its_profile(shipped, profile):
    assert published_tables.published_experiment(profile).hash == shipped.hash
    results = jointens.run(shipped, progress=False)
    folder = publish.publish_folder(results.folder)
    (table,) = published_tables.read_tables(PROFILES).values()  # and no other
    assert tuple(table.columns) == published_tables.COLUMNS and table.notna().all().all()
    tests = results.tests().sort_values(["checkpoint", "beta", "seed"])
    for column in ("ensemble", "individual", "diversity", "train_ensemble"):
        np.testing.assert_allclose(table[column], tests[column], rtol=1e-5)
    about = read_yaml((folder / f"{profile}.yml").read_text())
    assert about["hash"] == shipped.hash and about["provenance"]["device"] == "cpu"
    assert set(about["provenance"]) == {"finished", "commit", "device", "threads", "versions"}


@pytest.mark.realdata
def test_part_of_a_sweep_is_refused(shipped):
    results = jointens.run(dataclasses.replace(shipped, seeds=[0]), progress=False)
    with pytest.raises(InputError, match="lacks 2 cells of its profile, beta=0,seed=1 among them"):
        publish.publish_folder(results.folder)
    assert not published_tables.folder().exists()


@pytest.mark.realdata
def test_another_setting_is_no_profile(shipped):
    results = jointens.run(dataclasses.replace(shipped, num_epochs=1), progress=False)
    with pytest.raises(InputError, match="holds no results of a setting to publish"):
        publish.publish_folder(results.folder)
